#include "services/cli/preflight.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "libs/base/testing/temp_directory.h"
#include "tributary/job/needs.h"

namespace tributary::cli {
namespace {

using testing::AllOf;
using testing::HasSubstr;

// A directory with one text file, and one without any.
class PreflightData : public testing::Test {
 protected:
  PreflightData() {
    std::filesystem::create_directories(full_);
    std::filesystem::create_directories(empty_);
    std::ofstream(full_ + "/tale") << "Once upon a time.\n";
    std::ofstream(empty_ + "/image") << std::string(100, '\0');
    job_.model.family = "gpt2";
    job_.data.name = "texts";
    job_.data.format = "text";
    job_.data.path = full_;
  }
  const TempDirectory temp_;
  const std::string full_ = temp_.File("full");
  const std::string empty_ = temp_.File("empty");
  job::Job job_;
};

TEST_F(PreflightData, TheJobsOwnPathIsTheDefault) {
  const auto data = FindData(job_, {});
  ASSERT_TRUE(data.ok()) << data.error().message();
  EXPECT_EQ(data->at("texts"), full_);
}

TEST_F(PreflightData, AFlagWinsOverTheJob) {
  job_.data.path = "/nowhere/at/all";
  const auto data = FindData(job_, {"texts=" + full_});
  ASSERT_TRUE(data.ok()) << data.error().message();
  EXPECT_EQ(data->at("texts"), full_);
}

TEST_F(PreflightData, DataWithoutAPlaceNamesTheFlag) {
  job_.data.path.clear();
  const auto data = FindData(job_, {});
  ASSERT_FALSE(data.ok());
  EXPECT_THAT(data.error().message(), HasSubstr("--data texts=PATH"));
}

TEST_F(PreflightData, DataThatIsNotThereNamesThePlace) {
  const auto data = FindData(job_, {"texts=/nowhere/at/all"});
  ASSERT_FALSE(data.ok());
  EXPECT_EQ(data.error().code(), Code::kNotFound);
  EXPECT_THAT(data.error().message(), HasSubstr("/nowhere/at/all"));
}

TEST_F(PreflightData, ADirectoryWithoutTextNamesItAndTheFlag) {
  const auto data = FindData(job_, {"texts=" + empty_});
  ASSERT_FALSE(data.ok());
  EXPECT_EQ(data.error().code(), Code::kNotFound);
  EXPECT_THAT(data.error().message(), AllOf(HasSubstr(empty_), HasSubstr("--data texts=PATH")));
}

TEST_F(PreflightData, AMalformedFlagIsRefused) {
  const auto data = FindData(job_, {"texts"});
  ASSERT_FALSE(data.ok());
  EXPECT_EQ(data.error().code(), Code::kInvalidArgument);
}

TEST_F(PreflightData, ANameThatTheJobDoesNotUseIsRefusedWithTheOneItDoes) {
  const auto mistyped = FindData(job_, {"text=" + full_});
  ASSERT_FALSE(mistyped.ok());
  EXPECT_EQ(mistyped.error().code(), Code::kInvalidArgument);
  EXPECT_THAT(mistyped.error().message(), HasSubstr("did you mean 'texts'?"));
  const auto other = FindData(job_, {"novels=" + full_});
  ASSERT_FALSE(other.ok());
  EXPECT_THAT(other.error().message(), AllOf(HasSubstr("'novels'"), HasSubstr("--data texts=PATH")));
}

TEST(Preflight, ASyntheticJobNeedsNoData) {
  job::Job job;
  job.model.family = "synthetic";
  const auto data = FindData(job, {});
  ASSERT_TRUE(data.ok());
  EXPECT_TRUE(data->empty());
  EXPECT_EQ(FindData(job, {"texts=/usr"}).error().code(), Code::kInvalidArgument);
}

TEST(Preflight, GptParametersAreCounted) {
  job::Job job;
  job.model.family = "gpt2";
  job.model.layers = 12;
  job.model.hidden = 768;
  job.model.positions = 1024;
  job.model.vocabulary = 50257;
  const std::uint64_t bytes = job::ModelBytes(job);
  EXPECT_EQ(bytes, 124'439'808ull * 4) << "GPT-2 small, as published";
}

TEST(Preflight, ATiledModelIsStagedOnceForEachDistinctChunk) {
  job::Job job;
  job.model.family = "synthetic";
  job.model.synthetic.bytes = 128'000'000'000;
  job.data.count = 2;
  EXPECT_GT(StagedBytes(job, job.model.synthetic.bytes), 7 * job.model.synthetic.bytes);
  job.model.synthetic.fill = job::FillKind::kTiled;
  job.model.synthetic.distinct = 256_MiB;
  EXPECT_GT(StagedBytes(job, job.model.synthetic.bytes), job.model.synthetic.bytes) << "it is exported";
  job.checkpoint.export_model = false;
  EXPECT_LT(StagedBytes(job, job.model.synthetic.bytes), 2_GiB);
  job.model.synthetic.distinct = 256_MiB + 4;  // no two chunks begin at the same place of a tile
  EXPECT_GT(StagedBytes(job, job.model.synthetic.bytes), 6 * job.model.synthetic.bytes);
}

TEST(Preflight, AdaptersAreStagedAndNotTheBaseOfEachSeat) {
  modeldir::StoredWeight matrix, norm;
  matrix.spec = {"q", tensor::DType::kBF16, {4096, 4096}};
  matrix.bytes = 4096 * 4096 * 2;
  norm.spec = {"norm", tensor::DType::kBF16, {4096}};
  norm.bytes = 4096 * 2;
  job::Job job;
  job.data.count = 20;
  EXPECT_EQ(TrainedBytes(job, {matrix, norm}), (4096 * 4096 + 4096) * 4u) << "half precision travels in fp32";
  EXPECT_GT(StagedBytes(job, TrainedBytes(job, {matrix, norm}), matrix.bytes), 42 * 64_MiB);
  job.adapter.rank = 8;
  EXPECT_EQ(TrainedBytes(job, {matrix, norm}), 8 * 8192 * 4u);
  EXPECT_LT(StagedBytes(job, TrainedBytes(job, {matrix, norm}), matrix.bytes), matrix.bytes + 16_MiB);
}

TEST(Preflight, ADiskWithRoomIsNotFull) {
  EXPECT_FALSE(DiskIsFull("/tmp"));
  EXPECT_TRUE(DiskIsFull("/proc")) << "nothing can be stored there";
  EXPECT_FALSE(DiskIsFull("/nowhere/at/all")) << "what cannot be asked is not called full";
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
