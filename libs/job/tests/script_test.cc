// model.script and train.optimizer_state.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tributary/job/job.h"

namespace tributary::job {
namespace {

using testing::HasSubstr;

constexpr const char* kScript = R"(name: own
model: {script: models/tiny.pt, seed: 3}
data: {name: books, format: text}
train: {mode: step, steps: 10, max_length: 64}
)";

std::string With(const std::string& path, const std::string& value) {
  const auto job = ParseJob(kScript, "job.yaml", {{path, value}});
  EXPECT_FALSE(job.ok()) << path << "=" << value;
  return job.ok() ? "" : job.error().message();
}

TEST(ScriptJob, StandsInPlaceOfAFamily) {
  const auto job = ParseJob(kScript, "job.yaml");
  ASSERT_TRUE(job.ok()) << job.error().message();
  EXPECT_EQ(job->model.script, "models/tiny.pt");
  EXPECT_TRUE(job->model.family.empty());
  EXPECT_THAT(With("model.family", "gpt2"), HasSubstr("model.family: got 'gpt2', expected either it or model.script, not both"));
  EXPECT_THAT(With("model.source", "/srv/gpt2"), HasSubstr("either it or model.script, not both"));
  EXPECT_THAT(With("model.object", "base"), HasSubstr("either it or model.script, not both"));
  EXPECT_THAT(With("model.layers", "3"), HasSubstr("it only with model.family: gpt2"));
}

TEST(ScriptJob, WhatAScriptCannotFollowIsRefused) {
  EXPECT_THAT(With("adapter.lora.r", "8"), HasSubstr("a TorchScript module (model.script) takes no adapters"));
  EXPECT_THAT(With("train.precision", "bf16"), HasSubstr("expected fp32: a TorchScript module"));
  EXPECT_THAT(With("train.gradient_checkpointing", "true"), HasSubstr("expected false: a TorchScript module"));
}

TEST(ScriptJob, MayAskForAnyDevice) { EXPECT_EQ(ParseJob(kScript, "job.yaml", {{"train.device", "cuda"}})->train.device, "cuda"); }

TEST(OptimizerState, IsFreshUnlessTheJobKeepsIt) {
  EXPECT_EQ(ParseJob(kScript, "job.yaml")->train.optimizer_state, "fresh");
  EXPECT_EQ(ParseJob(kScript, "job.yaml", {{"train.optimizer_state", "kept"}})->train.optimizer_state, "kept");
  EXPECT_THAT(With("train.optimizer_state", "maybe"), HasSubstr("got 'maybe', expected fresh or kept"));
  const auto sgd = ParseJob(kScript, "job.yaml", {{"train.optimizer_state", "kept"}, {"train.optimizer", "sgd"}});
  ASSERT_FALSE(sgd.ok());
  EXPECT_THAT(sgd.error().message(), HasSubstr("expected fresh: train.optimizer sgd has no state"));
}

}  // namespace
}  // namespace tributary::job
