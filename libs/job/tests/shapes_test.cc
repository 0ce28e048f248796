// Shapes of published models, and the job files that use them.
#include "tributary/job/shapes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <set>

#include "tributary/job/job.h"

namespace tributary::job {
namespace {

using testing::HasSubstr;

std::uint64_t Parameters(const std::vector<tensor::TensorSpec>& tensors) {
  std::uint64_t sum = 0;
  for (const auto& tensor : tensors) {
    std::uint64_t elements = 1;
    for (const std::uint64_t extent : tensor.shape) elements *= extent;
    sum += elements;
  }
  return sum;
}

TEST(Shapes, HaveTheParametersOfThePublishedModels) {
  EXPECT_EQ(Parameters(*ShapesOf("llama-3.1-8b", tensor::DType::kBF16)), 8'030'261'248u);
  EXPECT_EQ(Parameters(*ShapesOf("llama-3.1-70b", tensor::DType::kBF16)), 70'553'706'496u);
  // 774,030,080 and the head, which the state_dict holds a second time: 437 tensors.
  EXPECT_EQ(Parameters(*ShapesOf("gpt2-large", tensor::DType::kF32)), 774'030'080u + 50257u * 1280u);
  EXPECT_EQ(ShapesOf("llama-3.1-8b", tensor::DType::kBF16)->size(), 291u);
  EXPECT_EQ(ShapesOf("llama-3.1-70b", tensor::DType::kBF16)->size(), 723u);
  EXPECT_EQ(ShapesOf("gpt2-large", tensor::DType::kF32)->size(), 437u);
}

TEST(Shapes, NamesAreThoseOfTheCheckpoints) {
  std::set<std::string> names;
  const auto tensors = ShapesOf("llama-3.1-8b", tensor::DType::kBF16);
  for (const auto& tensor : *tensors) {
    EXPECT_TRUE(names.insert(tensor.name).second) << tensor.name;
    if (tensor.name == "model.layers.31.self_attn.k_proj.weight") {
      EXPECT_THAT(tensor.shape, testing::ElementsAre(1024, 4096));
    }
    EXPECT_EQ(tensor.dtype, tensor::DType::kBF16);
  }
  EXPECT_TRUE(names.contains("model.layers.31.self_attn.k_proj.weight"));
  EXPECT_TRUE(names.contains("lm_head.weight"));
}

TEST(Shapes, UnknownOnesAreRefused) {
  EXPECT_EQ(ShapesOf("gpt5", tensor::DType::kF32).error().code(), Code::kNotFound);
  for (const auto name : KnownShapes()) EXPECT_TRUE(ShapesOf(name, tensor::DType::kF16).ok()) << name;
}

TEST(Shapes, AJobTakesThemInsteadOfBytesAndTensors) {
  const std::string head = "name: a\nmodel: {family: synthetic, shapes: gpt2-large, dtype: f16";
  const auto job = ParseJob(head + "}\n", "job.yaml");
  ASSERT_TRUE(job.ok()) << job.error().message();
  EXPECT_EQ(job->model.synthetic.bytes, 2 * (774'030'080u + 50257u * 1280u));
  EXPECT_EQ(SyntheticLayout(job->model.synthetic, job->transfer.chunk_bytes)->tensors().size(), 437u);
  EXPECT_THAT(ParseJob(head + ", bytes: 1GiB}\n", "job.yaml").error().message(), HasSubstr("either it or model.shapes"));
  EXPECT_THAT(ParseJob(head + ", tensors: 3}\n", "job.yaml").error().message(), HasSubstr("either it or model.shapes"));
  EXPECT_THAT(ParseJob("name: a\nmodel: {family: synthetic, shapes: gpt5}\n", "job.yaml").error().message(), HasSubstr("expected llama-3.1-8b"));
}

TEST(Shapes, WhatTrainingAddsIsTheSeatsOrTheSameForAll) {
  const std::string head = "name: a\nmodel: {family: synthetic, bytes: 1MiB}\ntrain: {add: ";
  EXPECT_EQ(SyntheticConstant(ParseJob(head + "seat}\n", "f")->train, 2), 3.0f);
  EXPECT_EQ(SyntheticConstant(ParseJob(head + "0}\n", "f")->train, 2), 0.0f);
  EXPECT_EQ(SyntheticConstant(ParseJob(head + "-0.5}\n", "f")->train, 2), -0.5f);
  EXPECT_EQ(SyntheticConstant(Train(), 0), 1.0f);
  EXPECT_FALSE(ParseJob(head + "many}\n", "f").ok());
}

TEST(JobFiles, EveryOneOfDeployParses) {
  int files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(TRIBUTARY_SOURCE_DIR "/deploy/jobs")) {
    if (entry.path().extension() != ".yaml") continue;
    const auto job = ReadJobFile(entry.path().string());
    ASSERT_TRUE(job.ok()) << job.error().message();
    EXPECT_EQ(job->name, entry.path().stem().string());
    // A disk holds no distinct bytes of larger ones, and every byte is to be moved.
    if (job->synthetic() && job->model.synthetic.bytes > 4_GiB) {
      EXPECT_EQ(job->model.synthetic.fill, FillKind::kTiled);
      EXPECT_EQ(job->model.synthetic.distinct % job->transfer.chunk_bytes, 0u);
      EXPECT_FALSE(job->transfer.deduplicate);
      EXPECT_FALSE(job->checkpoint.export_model);
    }
    ++files;
  }
  EXPECT_GE(files, 6);
}

TEST(JobFiles, TheReferenceJobsAreWhatTheyClaim) {
  const auto read = [](const std::string& name) { return *ReadJobFile(TRIBUTARY_SOURCE_DIR "/deploy/jobs/" + name + ".yaml"); };
  const Job large = read("large-model-128gb");
  const auto layout = SyntheticLayout(large.model.synthetic, large.transfer.chunk_bytes);
  EXPECT_EQ(layout->tensors().size(), 64u);
  for (const auto& tensor : layout->tensors()) EXPECT_EQ(tensor.shape.at(0) * 4, 2'000'000'000u);
  EXPECT_EQ(large.rounds, 3u);
  EXPECT_EQ(large.participants.min, 2u);
  for (const char* name : {"llama-8b-dummy", "llama-70b-dummy", "tensor-stream-comparison"}) {
    const Job job = read(name);
    EXPECT_EQ(job.train.add, 0.0) << name;
    EXPECT_FALSE(job.strategy.weights_by_samples) << name;
  }
  EXPECT_EQ(read("llama-8b-dummy").model.synthetic.bytes, 2 * 8'030'261'248u);
  EXPECT_EQ(read("llama-70b-dummy").model.synthetic.bytes, 2 * 70'553'706'496u);
  EXPECT_EQ(read("tensor-stream-comparison").participants.min, 6u);
}

}  // namespace
}  // namespace tributary::job
