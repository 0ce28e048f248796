#include "services/cli/preflight.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tributary::cli {
namespace {

using testing::HasSubstr;

job::Job TextJob() {
  job::Job job;
  job.model.family = "gpt2";
  job.data.name = "texts";
  job.data.path = "/usr";
  return job;
}

TEST(Preflight, TheJobsOwnPathIsTheDefault) {
  const auto data = FindData(TextJob(), {});
  ASSERT_TRUE(data.ok());
  EXPECT_EQ(data->at("texts"), "/usr");
}

TEST(Preflight, AFlagWinsOverTheJob) {
  const auto data = FindData(TextJob(), {"texts=/tmp"});
  ASSERT_TRUE(data.ok());
  EXPECT_EQ(data->at("texts"), "/tmp");
}

TEST(Preflight, DataWithoutAPlaceNamesTheFlag) {
  auto job = TextJob();
  job.data.path.clear();
  const auto data = FindData(job, {});
  ASSERT_FALSE(data.ok());
  EXPECT_THAT(data.error().message(), HasSubstr("--data texts=PATH"));
}

TEST(Preflight, DataThatIsNotThereNamesThePlace) {
  const auto data = FindData(TextJob(), {"texts=/nowhere/at/all"});
  ASSERT_FALSE(data.ok());
  EXPECT_THAT(data.error().message(), HasSubstr("/nowhere/at/all"));
}

TEST(Preflight, AMalformedFlagIsRefused) {
  const auto data = FindData(TextJob(), {"texts"});
  ASSERT_FALSE(data.ok());
  EXPECT_EQ(data.error().code(), Code::kInvalidArgument);
}

TEST(Preflight, ASyntheticJobNeedsNoData) {
  job::Job job;
  job.model.family = "synthetic";
  const auto data = FindData(job, {});
  ASSERT_TRUE(data.ok());
  EXPECT_TRUE(data->empty());
}

TEST(Preflight, GptParametersAreCounted) {
  auto job = TextJob();
  job.model.layers = 12;
  job.model.hidden = 768;
  job.model.positions = 1024;
  job.model.vocabulary = 50257;
  const auto bytes = ModelBytes(job);
  ASSERT_TRUE(bytes.ok());
  EXPECT_EQ(*bytes, 124'439'808ull * 4) << "GPT-2 small, as published";
}

TEST(Preflight, NoRoomTellsNeededAndFree) {
  const auto room = CheckRoom("/tmp", 1ull << 60);
  ASSERT_FALSE(room.ok());
  EXPECT_EQ(room.error().code(), Code::kResourceExhausted);
  EXPECT_THAT(room.error().message(), HasSubstr("stages up to"));
  EXPECT_TRUE(CheckRoom("/tmp", 1).ok());
}

}  // namespace
}  // namespace tributary::cli
