#include "tributary/job/needs.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "jobs.h"

namespace tributary::job {
namespace {

using testing::AllOf;
using testing::HasSubstr;

Job With(const std::string& text, const std::vector<Override>& changes) {
  auto job = ParseJob(text, "job.yaml", changes);
  EXPECT_TRUE(job.ok()) << job.error().message();
  return job.ok() ? *job : Job();
}

TEST(Needs, StreamsNeedRoomForChunksWhateverTheModel) {
  for (const char* mode : {"stream", "file"}) {
    const Job job = With(kBytes, {{"model.bytes", "64GiB"}, {"transfer.mode", mode}});
    const auto needs = NeedsOf(job);
    ASSERT_TRUE(needs.ok());
    EXPECT_EQ(needs->max_message, tensor::kMaxChunkBytes);
    EXPECT_EQ(needs->memory_budget, 4u << 20);
  }
}

TEST(Needs, BothHalvesOfTheBudgetHoldTheLargestMessage) {
  const Job container = With(kBytes, {{"model.bytes", "96MiB"}, {"transfer.mode", "container"}});
  EXPECT_EQ(NeedsOf(container)->max_message, 32u << 20);
  EXPECT_EQ(NeedsOf(container)->memory_budget, 65u << 20);
  const Job regular = With(kBytes, {{"model.bytes", "96MiB"}, {"transfer.mode", "regular"}});
  EXPECT_EQ(NeedsOf(regular)->max_message, 96u << 20);
  EXPECT_EQ(NeedsOf(regular)->memory_budget, 193u << 20);
  // The sums of a mean are fp32.
  const Job halves = With(kBytes, {{"model.bytes", "96MiB"}, {"model.dtype", "bf16"}, {"transfer.mode", "regular"}});
  EXPECT_EQ(NeedsOf(halves)->max_message, 96u << 20);
  EXPECT_EQ(NeedsOf(halves)->memory_budget, 385u << 20);
  // The largest tensor of a small GPT-2 is its embedding.
  const Job gpt2 = With(kText, {{"transfer.mode", "container"}, {"model.vocabulary", "100000"}});
  EXPECT_EQ(NeedsOf(gpt2)->max_message, 100'000u * 64 * 4);
}

TEST(Needs, ABudgetThatIsTooSmallIsRefusedWithTheOneThatIsNot) {
  const Job job = With(kBytes, {{"model.bytes", "96MiB"}, {"transfer.mode", "regular"}});
  EXPECT_TRUE(CheckBudget(job, 193u << 20).ok());
  const Status refused = CheckBudget(job, (193u << 20) - 1);
  ASSERT_FALSE(refused.ok());
  EXPECT_THAT(refused.error().message(), AllOf(HasSubstr("--memory-budget"), HasSubstr("193MiB"), HasSubstr("regular"), HasSubstr("stream")));
}

TEST(Needs, AMessageOverOneGibibyteIsRefusedWithTheJob) {
  const auto job = ParseJob(kBytes, "job.yaml", {{"model.bytes", "4GiB"}, {"transfer.mode", "container"}});
  ASSERT_FALSE(job.ok());
  EXPECT_THAT(job.error().message(), AllOf(HasSubstr("transfer.mode"), HasSubstr("1073741824"), HasSubstr("stream")));
  EXPECT_FALSE(ParseJob(kText, "job.yaml", {{"model.size", "xl"}, {"model.layers", "null"}, {"model.heads", "null"}, {"model.hidden", "null"},
                                            {"transfer.mode", "regular"}}).ok());
}

TEST(Needs, AdaptersOverAModelOfASeedHaveABaseThatNobodyElseHas) {
  EXPECT_FALSE(HasBaseOfSeed(With(kText, {}))) << "all weights are written";
  EXPECT_TRUE(HasBaseOfSeed(With(kText, {{"adapter", "{lora: {r: 4}}"}})));
  EXPECT_FALSE(HasBaseOfSeed(With(kBytes, {})));
  for (const char* model : {"{source: /srv/llm}", "{object: models/llm}", "{source: /srv/llm, object: models/llm}"}) {
    EXPECT_FALSE(HasBaseOfSeed(With(kText, {{"adapter", "{lora: {r: 4}}"}, {"model", model}}))) << model;
  }
}

}  // namespace
}  // namespace tributary::job
