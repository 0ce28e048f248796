// Quota, real ENOSPC and abandoned objects: who is refused, what is told, and that nothing else is harmed.
#include <sys/mount.h>

#include <gmock/gmock.h>

#include "libs/blob/testing/disk_fixture.h"

namespace tributary::blob::testing {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;

using QuotaTest = DiskFixture;

constexpr std::uint64_t kChunk = 64_KiB;

wire::ObjectSpec Repetitive(std::uint64_t bytes) {
  wire::ObjectSpec spec = OneTensorSpec(bytes, kChunk);
  spec.repetitive = true;
  return spec;
}

TEST_F(QuotaTest, AnObjectBeyondItIsRefusedWithObjectNeedUseAndQuota) {
  Reopen(3_MiB);
  const auto spec = OneTensorSpec(2_MiB, kChunk);
  ASSERT_TRUE(store_->Create(Object("first"), spec, false).ok());
  const std::uint64_t used = store_->Use().bytes;
  EXPECT_GE(used, 2_MiB);
  EXPECT_EQ(store_->Use().quota, 3_MiB);
  const auto second = store_->Create(Object("second"), spec, false);
  ASSERT_EQ(CodeOf(second), "resource exhausted");
  EXPECT_THAT(second.error().message(), AllOf(HasSubstr("second"), HasSubstr("--quota"), HasSubstr("3.0 MiB"), HasSubstr("2.0 MiB")));
  EXPECT_EQ(store_->Use().bytes, used);
  EXPECT_EQ(CodeOf(store_->Stat(Object("second"))), "not found");
  // The first is unharmed, and its end makes room.
  ASSERT_TRUE(PutAll(*store_, Object("first"), LayoutOf(spec)).ok());
  TRIBUTARY_ASSERT_OK(store_->Seal(Object("first"), 0, true));
  EXPECT_EQ(store_->Use().bytes, used);
  TRIBUTARY_ASSERT_OK(store_->Remove(Object("first")));
  EXPECT_EQ(store_->Use().bytes, 0u);
  TRIBUTARY_ASSERT_OK(store_->Create(Object("second"), spec, false));
}

TEST_F(QuotaTest, AReplacementMayTakeTheRoomOfWhatItReplaces) {
  Reopen(3_MiB);
  wire::ObjectSpec spec = OneTensorSpec(2_MiB, kChunk);
  ASSERT_TRUE(store_->Create(Object("a"), spec, false).ok());
  const std::uint64_t used = store_->Use().bytes;
  spec.sample_count = 7;
  TRIBUTARY_ASSERT_OK(store_->Create(Object("a"), spec, true));
  EXPECT_EQ(store_->Use().bytes, used);
}

TEST_F(QuotaTest, ARepetitiveObjectIsRefusedAtThePutThatDoesNotFit) {
  Reopen(256_KiB);
  ASSERT_TRUE(store_->Create(Object("a"), Repetitive(1_MiB), false).ok());
  std::uint64_t slot = 0;
  Status put;
  while ((put = PutOne(*store_, Object("a"), slot, Pattern(kChunk, slot))).ok()) ++slot;
  EXPECT_EQ(slot, 3u);
  ASSERT_EQ(CodeOf(put), "resource exhausted");
  EXPECT_THAT(put.error().message(), AllOf(HasSubstr("'a'"), HasSubstr("--quota"), HasSubstr("64.0 KiB")));
  EXPECT_EQ(store_->Stat(Object("a"))->slots_present, 3u);
  // Equal bytes take no room.
  TRIBUTARY_ASSERT_OK(PutOne(*store_, Object("a"), slot, Pattern(kChunk, 0)));
  // With room, the same put succeeds.
  Reopen(1_GiB);
  TRIBUTARY_ASSERT_OK(PutOne(*store_, Object("a"), slot, Pattern(kChunk, slot)));
  EXPECT_EQ(*GetOne(*store_, Object("a"), 1), Pattern(kChunk, 1));
}

TEST_F(QuotaTest, ARestartCountsWhatIsThere) {
  ASSERT_TRUE(store_->Create(Object("a"), OneTensorSpec(1_MiB, kChunk), false).ok());
  ASSERT_TRUE(store_->Create(Object("b"), Repetitive(1_MiB), false).ok());
  ASSERT_TRUE(PutOne(*store_, Object("b"), 3, Pattern(kChunk, 3)).ok());
  const std::uint64_t used = store_->Use().bytes;
  Reopen();
  EXPECT_EQ(store_->Use().bytes, used);
  TRIBUTARY_ASSERT_OK(store_->Remove(Object("b")));
  TRIBUTARY_ASSERT_OK(store_->Remove(Object("a")));
  EXPECT_EQ(store_->Use().bytes, 0u);
}

TEST_F(QuotaTest, ALowerQuotaThanIsTakenServesWhatIsThere) {
  ASSERT_TRUE(store_->Create(Object("a"), OneTensorSpec(1_MiB, kChunk), false).ok());
  Reopen(64_KiB);
  TRIBUTARY_ASSERT_OK(PutOne(*store_, Object("a"), 0, Pattern(kChunk, 0)));
  EXPECT_EQ(*GetOne(*store_, Object("a"), 0), Pattern(kChunk, 0));
  EXPECT_EQ(CodeOf(store_->Create(Object("b"), OneTensorSpec(kChunk, kChunk), false)), "resource exhausted");
}

TEST_F(QuotaTest, OpenObjectsThatNobodyWritesToAreRemovedAndNoOthers) {
  const auto spec = OneTensorSpec(2 * kChunk, kChunk);
  for (const char* name : {"old", "new", "sealed"}) ASSERT_TRUE(store_->Create(Object(name), spec, false).ok());
  ASSERT_TRUE(PutAll(*store_, Object("sealed"), LayoutOf(spec)).ok());
  TRIBUTARY_ASSERT_OK(store_->Seal(Object("sealed"), 0, false));
  const auto long_ago = fs::file_time_type::clock::now() - std::chrono::hours(100);
  for (const char* name : {"old", "new", "sealed"}) fs::last_write_time(DirectoryOf(name) / "slots", long_ago);
  ASSERT_TRUE(PutOne(*store_, Object("new"), 0, Pattern(kChunk, 0)).ok());
  const auto removed = store_->RemoveAbandoned(std::chrono::hours(99));
  TRIBUTARY_ASSERT_OK(removed);
  EXPECT_EQ(*removed, 1u);
  EXPECT_EQ(CodeOf(store_->Stat(Object("old"))), "not found");
  EXPECT_TRUE(store_->Stat(Object("new")).ok());
  EXPECT_TRUE(store_->Stat(Object("sealed")).ok());
}

TEST_F(QuotaTest, WhatASitePutForSomebodyWhoNeverCameIsRemovedThoughItIsSealed) {
  const auto spec = OneTensorSpec(kChunk, kChunk);
  for (const char* name : {"offers/old", "offers/new", "offersold"}) {
    ASSERT_TRUE(store_->Create(Object(name), spec, false).ok());
    ASSERT_TRUE(PutAll(*store_, Object(name), LayoutOf(spec)).ok());
    TRIBUTARY_ASSERT_OK(store_->Seal(Object(name), 0, false));
  }
  const auto long_ago = fs::file_time_type::clock::now() - std::chrono::hours(100);
  for (const char* name : {"offers+old", "offersold"}) fs::last_write_time(DirectoryOf(name) / "slots", long_ago);
  const auto removed = store_->RemoveAbandoned(std::chrono::hours(99));
  TRIBUTARY_ASSERT_OK(removed);
  EXPECT_EQ(*removed, 1u);
  EXPECT_EQ(CodeOf(store_->Stat(Object("offers/old"))), "not found");
  EXPECT_TRUE(store_->Stat(Object("offers/new")).ok());
  EXPECT_TRUE(store_->Stat(Object("offersold")).ok());
}

// A file system of 2 MiB that really is full.
class FullDiskTest : public ::testing::Test {
 protected:
  void SetUp() override {
    fs::create_directories(small_);
    if (mount("tmpfs", small_.c_str(), "tmpfs", 0, "size=2m") != 0) GTEST_SKIP() << "needs the right to mount a tmpfs";
    mounted_ = true;
    auto opened = OpenDiskStore({small_ / "store"}, pool_);
    ASSERT_TRUE(opened.ok()) << opened.error().message();
    store_ = *std::move(opened);
  }
  void TearDown() override {
    store_.reset();
    if (mounted_) umount(small_.c_str());
  }

  TempDirectory temp_;
  const fs::path small_ = temp_.path() / "small";
  memory::Pool pool_{1_MiB};
  bool mounted_ = false;
  std::unique_ptr<DiskStore> store_;
};

TEST_F(FullDiskTest, APutIsRefusedNothingIsLostAndTheSamePutSucceedsOnceThereIsRoom) {
  const auto sealed = OneTensorSpec(256_KiB, kChunk);
  ASSERT_TRUE(store_->Create(Object("sealed"), sealed, false).ok());
  ASSERT_TRUE(PutAll(*store_, Object("sealed"), LayoutOf(sealed)).ok());
  TRIBUTARY_ASSERT_OK(store_->Seal(Object("sealed"), 0, true));
  ASSERT_TRUE(store_->Create(Object("ballast"), OneTensorSpec(256_KiB, kChunk), false).ok());
  ASSERT_TRUE(store_->Create(Object("a"), Repetitive(4_MiB), false).ok());
  std::uint64_t slot = 0;
  Status put;
  while ((put = PutOne(*store_, Object("a"), slot, Pattern(kChunk, slot))).ok()) ++slot;
  ASSERT_EQ(CodeOf(put), "resource exhausted");
  EXPECT_THAT(put.error().message(), AllOf(HasSubstr("is full"), HasSubstr(fmt::format("slot {}", slot)), HasSubstr("'a'"), HasSubstr("are free")));
  EXPECT_GE(slot, 16u);
  EXPECT_EQ(CodeOf(PutOne(*store_, Object("a"), slot, Pattern(kChunk, slot))), "resource exhausted");
  // What is there is served and may be sealed and removed.
  const std::uint64_t used = store_->Use().bytes;
  EXPECT_EQ(store_->Stat(Object("a"))->slots_present, slot);
  for (std::uint64_t each = 0; each < slot; ++each) EXPECT_EQ(*GetOne(*store_, Object("a"), each), Pattern(kChunk, each));
  EXPECT_EQ(*GetOne(*store_, Object("sealed"), 3), Pattern(kChunk, 3));
  EXPECT_EQ(CodeOf(store_->Create(Object("b"), OneTensorSpec(1_MiB, kChunk), false)), "resource exhausted");
  EXPECT_EQ(store_->Use().bytes, used);
  TRIBUTARY_ASSERT_OK(store_->Remove(Object("ballast")));
  TRIBUTARY_ASSERT_OK(PutOne(*store_, Object("a"), slot, Pattern(kChunk, slot)));
  EXPECT_EQ(*GetOne(*store_, Object("a"), slot), Pattern(kChunk, slot));
}

TEST_F(FullDiskTest, ASealWithoutRoomForItsManifestIsDoneOnceThereIs) {
  const std::uint64_t bytes = 64_KiB;
  wire::ObjectSpec spec = OneTensorSpec(bytes, 4_KiB);
  spec.repetitive = true;
  ASSERT_TRUE(store_->Create(Object("a"), spec, false).ok());
  ASSERT_TRUE(PutAll(*store_, Object("a"), LayoutOf(spec)).ok());
  std::ofstream ballast(small_ / "ballast", std::ios::binary);
  const std::string page(4096, 'x');
  while (ballast.write(page.data(), 4096).flush().good()) {
  }
  ballast.close();
  EXPECT_EQ(CodeOf(store_->Seal(Object("a"), 0, true)), "resource exhausted");
  EXPECT_FALSE(store_->Stat(Object("a"))->sealed);
  EXPECT_EQ(*GetOne(*store_, Object("a"), 5), Pattern(4_KiB, 5));
  fs::remove(small_ / "ballast");
  TRIBUTARY_ASSERT_OK(store_->Seal(Object("a"), 0, true));
}

}  // namespace
}  // namespace tributary::blob::testing
