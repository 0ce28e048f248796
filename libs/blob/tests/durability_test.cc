// What power loss and failing disks leave behind. Power loss is played by changing files as it may: a page of `data` that was never
// written back under a record that was, in an object whose mark is of another boot.
#include <sys/syscall.h>
#include <unistd.h>

#include <gmock/gmock.h>

#include <atomic>
#include <cerrno>
#include <fstream>
#include <latch>
#include <thread>

#include "libs/base/testing/temp_directory.h"
#include "libs/blob/testing/store_testing.h"
#include "tributary/blob/local_store.h"

namespace {

std::atomic<int> failing_syncs{0};
std::latch* sync_reached = nullptr;
std::latch* sync_may_end = nullptr;

}  // namespace

// Takes the place of libc's in this program.
extern "C" int fdatasync(int fd) {
  if (sync_reached != nullptr) {
    std::exchange(sync_reached, nullptr)->count_down();
    sync_may_end->wait();
  }
  if (failing_syncs > 0) {
    --failing_syncs;
    errno = EIO;
    return -1;
  }
  return static_cast<int>(syscall(SYS_fdatasync, fd));
}

namespace tributary::blob::testing {
namespace {

namespace fs = std::filesystem;

class DurabilityTest : public ::testing::Test {
 protected:
  void SetUp() override { Reopen(); }
  void Reopen() {
    store_.reset();
    auto store = OpenDiskStore({root_}, pool_);
    ASSERT_TRUE(store.ok()) << store.error().message();
    store_ = *std::move(store);
  }
  void MakeFull() {
    ASSERT_TRUE(store_->Create(name_, spec_, false).ok());
    ASSERT_TRUE(PutAll(*store_, name_, layout_).ok());
  }
  void LoseData(std::uint64_t slot) {
    std::fstream stream(directory_ / "data", std::ios::in | std::ios::out | std::ios::binary);
    stream.seekp(static_cast<std::streamoff>(4096 * slot + 17));
    stream.write("\xff\0\xff", 3);
    ASSERT_TRUE(stream.good());
  }
  void Reboot() {
    std::ofstream(directory_ / "boot") << "another\n";
    Reopen();
  }

  TempDirectory temp_;
  const fs::path root_ = temp_.path() / "store";
  const ObjectName name_ = Object("a");
  const fs::path directory_ = root_ / "objects" / "a";
  const wire::ObjectSpec spec_ = SmallSpec();
  const tensor::Layout layout_ = LayoutOf(spec_);
  memory::Pool pool_{1_MiB};
  std::unique_ptr<SlotStore> store_;
};

TEST_F(DurabilityTest, SlotsWhoseDataPowerLossTookAreMissing) {
  MakeFull();
  LoseData(3);
  Reboot();
  EXPECT_EQ(*store_->Missing(name_, {0, 2}, 0), std::vector<tensor::SlotRange>());
  EXPECT_EQ(*store_->Missing(name_, layout_.all_slots(), 0), (std::vector<tensor::SlotRange>{{3, 4}}));
  EXPECT_EQ(CodeOf(store_->Seal(name_, 0, true)), "unavailable");
  ASSERT_TRUE(PutOne(*store_, name_, 3, Pattern(4096, 3)).ok());
  TRIBUTARY_ASSERT_OK(store_->Seal(name_, 0, true));
  EXPECT_EQ(*GetOne(*store_, name_, 3), Pattern(4096, 3));
}

TEST_F(DurabilityTest, ASealAloneFindsThemToo) {
  MakeFull();
  LoseData(1);
  Reboot();
  EXPECT_EQ(CodeOf(store_->Seal(name_, 0, true)), "unavailable");
  EXPECT_EQ(store_->Stat(name_)->slots_present, 6u);
}

TEST_F(DurabilityTest, TheSameBytesPutAgainAreWrittenAgain) {
  MakeFull();
  LoseData(3);
  Reboot();
  ASSERT_TRUE(PutOne(*store_, name_, 3, Pattern(4096, 3)).ok());
  TRIBUTARY_ASSERT_OK(store_->Seal(name_, 0, true));
  EXPECT_EQ(*GetOne(*store_, name_, 3), Pattern(4096, 3));
}

TEST_F(DurabilityTest, AnUpdatesSlotThatPowerLossSparedKeepsItsBytes) {
  wire::ObjectSpec update = spec_;
  update.kind = wire::ObjectKind::kUpdate;
  TRIBUTARY_ASSERT_OK(store_->Create(name_, update, false));
  for (const std::uint64_t slot : {5, 6}) TRIBUTARY_ASSERT_OK(PutOne(*store_, name_, slot, Pattern(layout_.SlotBytes(slot), slot)));
  LoseData(5);
  Reboot();
  EXPECT_EQ(CodeOf(PutOne(*store_, name_, 6, Pattern(layout_.SlotBytes(6), 7))), "conflict");
  TRIBUTARY_ASSERT_OK(PutOne(*store_, name_, 5, Pattern(4096, 8)));
  EXPECT_EQ(*GetOne(*store_, name_, 5), Pattern(4096, 8));
}

TEST_F(DurabilityTest, WhatWasReadOnceInABootIsNotReadAgain) {
  MakeFull();
  Reboot();
  ASSERT_TRUE(store_->Missing(name_, layout_.all_slots(), 0)->empty());
  Reopen();
  LoseData(3);
  // As the record says: nothing but power loss makes it tell what is not so.
  EXPECT_TRUE(store_->Missing(name_, layout_.all_slots(), 0)->empty());
}

TEST_F(DurabilityTest, ASyncThatFailedMakesTheNextSealReadEverything) {
  MakeFull();
  failing_syncs = 1;
  ASSERT_EQ(CodeOf(store_->Seal(name_, 0, true)), "i/o");
  EXPECT_FALSE(store_->Stat(name_)->sealed);
  LoseData(2);
  EXPECT_EQ(CodeOf(store_->Seal(name_, 0, true)), "unavailable");
  EXPECT_EQ(*store_->Missing(name_, layout_.all_slots(), 0), (std::vector<tensor::SlotRange>{{2, 3}}));
  ASSERT_TRUE(PutOne(*store_, name_, 2, Pattern(4096, 2)).ok());
  TRIBUTARY_ASSERT_OK(store_->Seal(name_, 0, true));
}

TEST_F(DurabilityTest, AfterASyncThatFailedNoPlaceIsLentToEqualChunks) {
  wire::ObjectSpec spec = OneTensorSpec(3 * 4096, 4096);
  spec.repetitive = true;
  ASSERT_TRUE(store_->Create(name_, spec, false).ok());
  for (const std::uint64_t slot : {0, 1, 2}) ASSERT_TRUE(PutOne(*store_, name_, slot, Pattern(4096, 0)).ok());
  failing_syncs = 1;
  ASSERT_EQ(CodeOf(store_->Seal(name_, 0, true)), "i/o");
  LoseData(0);
  ASSERT_TRUE(PutOne(*store_, name_, 1, Pattern(4096, 0)).ok());
  EXPECT_EQ(*GetOne(*store_, name_, 1), Pattern(4096, 0));
  EXPECT_EQ(*store_->Missing(name_, {0, 3}, 0), (std::vector<tensor::SlotRange>{{0, 1}, {2, 3}}));
  for (const std::uint64_t slot : {0, 2}) ASSERT_TRUE(PutOne(*store_, name_, slot, Pattern(4096, 0)).ok());
  TRIBUTARY_ASSERT_OK(store_->Seal(name_, 0, true));
}

TEST_F(DurabilityTest, ASyncThatFailedIsNotForgottenByARestart) {
  MakeFull();
  failing_syncs = 1;
  ASSERT_EQ(CodeOf(store_->Seal(name_, 0, true)), "i/o");
  LoseData(2);
  Reopen();
  EXPECT_EQ(CodeOf(store_->Seal(name_, 0, true)), "unavailable");
}

TEST_F(DurabilityTest, ASyncOfASealedObjectThatFailedIsFollowedByDataLossWhenDataIsGone) {
  MakeFull();
  TRIBUTARY_ASSERT_OK(store_->Seal(name_, 0, false));
  failing_syncs = 1;
  ASSERT_EQ(CodeOf(store_->Seal(name_, 0, true)), "i/o");
  LoseData(2);
  EXPECT_EQ(CodeOf(store_->Seal(name_, 0, true)), "data loss");
}

TEST_F(DurabilityTest, AChunkThatComesDuringASealIsRefusedAtOnce) {
  MakeFull();
  std::latch reached(1);
  std::latch may_end(1);
  sync_may_end = &may_end;
  sync_reached = &reached;
  std::thread sealer([&] { EXPECT_EQ(CodeOf(store_->Seal(name_, 0, true)), "ok"); });
  reached.wait();
  const Status put = PutOne(*store_, name_, 0, Pattern(4096, 0, 1));
  EXPECT_EQ(CodeOf(put), "conflict");
  EXPECT_EQ(*GetOne(*store_, name_, 0), Pattern(4096, 0));
  may_end.count_down();
  sealer.join();
}

// A store that has the even slots.
class ShardDurability : public DurabilityTest {
 protected:
  void SetUp() override {
    auto store = OpenDiskStore({.directory = root_, .shard = {0, 2}}, pool_);
    ASSERT_TRUE(store.ok()) << store.error().message();
    store_ = *std::move(store);
    ASSERT_TRUE(store_->Create(name_, spec_, false).ok());
    for (std::uint64_t slot = 0; slot < 7; slot += 2) ASSERT_TRUE(PutOne(*store_, name_, slot, Pattern(layout_.SlotBytes(slot), slot)).ok());
    digests_ = store_->OwnDigests(name_, 0).value();
    for (std::uint64_t slot = 1; slot < 7; slot += 2) digests_[slot].sha256.fill(std::byte{1});
    TRIBUTARY_ASSERT_OK(store_->PutDigests(name_, 0, 0, digests_));
  }
  std::vector<wire::SlotDigest> digests_{7};
};

TEST_F(ShardDurability, ASyncThatFailedForgetsWhatOtherShardsHave) {
  failing_syncs = 1;
  ASSERT_EQ(CodeOf(store_->Seal(name_, 0, true)), "i/o");
  EXPECT_TRUE(store_->Missing(name_, layout_.all_slots(), 0)->empty());
  EXPECT_EQ(CodeOf(store_->Seal(name_, 0, true)), "unavailable");
  TRIBUTARY_ASSERT_OK(store_->PutDigests(name_, 0, 0, digests_));
  TRIBUTARY_ASSERT_OK(store_->Seal(name_, 0, false));
  // Of a sealed object nothing is forgotten.
  failing_syncs = 1;
  ASSERT_EQ(CodeOf(store_->Seal(name_, 0, true)), "i/o");
  TRIBUTARY_ASSERT_OK(store_->Seal(name_, 0, true));
}

TEST_F(ShardDurability, DigestsThatComeDuringASealAreRefusedAtOnce) {
  std::latch reached(1);
  std::latch may_end(1);
  sync_may_end = &may_end;
  sync_reached = &reached;
  std::thread sealer([&] { EXPECT_EQ(CodeOf(store_->Seal(name_, 0, true)), "ok"); });
  reached.wait();
  EXPECT_EQ(CodeOf(store_->PutDigests(name_, 0, 0, digests_)), "conflict");
  EXPECT_TRUE(store_->OwnDigests(name_, 0).ok());
  may_end.count_down();
  sealer.join();
}

TEST_F(DurabilityTest, ARootThatCannotBeReadIsDataLossAndAnUpdateMayBeReplaced) {
  wire::ObjectSpec update = OneTensorSpec(8192, 4096);
  update.kind = wire::ObjectKind::kUpdate;
  ASSERT_TRUE(store_->Create(name_, update, false).ok());
  ASSERT_TRUE(PutAll(*store_, name_, LayoutOf(update)).ok());
  ASSERT_TRUE(store_->Seal(name_, 0, false).ok());
  fs::resize_file(directory_ / "root", 0);
  Reopen();
  EXPECT_EQ(CodeOf(store_->Stat(name_)), "data loss");
  EXPECT_EQ(CodeOf(store_->Create(name_, update, false)), "data loss");
  const auto created = store_->Create(name_, update, true);
  TRIBUTARY_ASSERT_OK(created);
  EXPECT_FALSE(created->existed);
  EXPECT_FALSE(store_->Stat(name_)->sealed);
}

TEST_F(DurabilityTest, AModelWithADamagedRootIsNeverReplaced) {
  MakeFull();
  ASSERT_TRUE(store_->Seal(name_, 0, true).ok());
  fs::resize_file(directory_ / "root", 0);
  Reopen();
  EXPECT_EQ(CodeOf(store_->Stat(name_)), "data loss");
  EXPECT_EQ(CodeOf(store_->Create(name_, spec_, true)), "data loss");
}

TEST_F(DurabilityTest, ARootOfAnotherObjectIsDataLoss) {
  MakeFull();
  ASSERT_TRUE(store_->Seal(name_, 0, false).ok());
  wire::ObjectSpec other = spec_;
  other.sample_count = 1;
  ASSERT_TRUE(store_->Create(Object("b"), other, false).ok());
  ASSERT_TRUE(PutAll(*store_, Object("b"), layout_).ok());
  ASSERT_TRUE(store_->Seal(Object("b"), 0, false).ok());
  fs::copy_file(root_ / "objects" / "b" / "root", directory_ / "root", fs::copy_options::overwrite_existing);
  Reopen();
  EXPECT_EQ(CodeOf(store_->Stat(name_)), "data loss");
}

TEST_F(DurabilityTest, DocumentsAreServedAsTheyLieOnTheDisk) {
  MakeFull();
  EXPECT_EQ(CodeOf(store_->DocumentBytes(name_, Document::kRoot, 0)), "unavailable");
  const std::string digest = *store_->Seal(name_, 0, false);
  const auto read = [&](Document document) {
    std::vector<std::byte> bytes(*store_->DocumentBytes(name_, document, 0));
    EXPECT_TRUE(store_->ReadDocument(name_, document, 0, bytes).ok());
    return bytes;
  };
  EXPECT_EQ(*wire::DecodeObjectSpec(read(Document::kSpec)), spec_);
  EXPECT_EQ(digest::Hex(digest::ComputeSha256(read(Document::kRoot))), digest);
  EXPECT_EQ(digest::ComputeSha256(read(Document::kPage)), store_->Root(name_)->pages[0]);
  EXPECT_EQ(CodeOf(store_->DocumentBytes(name_, Document::kPage, 1)), "not found");
  std::vector<std::byte> shorter(3);
  EXPECT_EQ(CodeOf(store_->ReadDocument(name_, Document::kSpec, 0, shorter)), "unavailable");
}

}  // namespace
}  // namespace tributary::blob::testing
