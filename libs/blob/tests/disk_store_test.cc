// What only the disk store does: what it finds after a crash, damaged files, a full disk.
#include <fcntl.h>
#include <sys/mount.h>
#include <unistd.h>

#include <gmock/gmock.h>

#include <fstream>
#include <thread>

#include "libs/blob/testing/store_testing.h"
#include "libs/base/testing/temp_directory.h"
#include "tributary/blob/local_store.h"

namespace tributary::blob::testing {
namespace {

namespace fs = std::filesystem;

class DiskStoreTest : public ::testing::Test {
 protected:
  void SetUp() override { Reopen(); }

  // As after SIGKILL: a new instance over what lies in the directory.
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
  void FlipByte(const fs::path& file, std::uint64_t offset) {
    std::fstream stream(file, std::ios::in | std::ios::out | std::ios::binary);
    stream.seekg(static_cast<std::streamoff>(offset));
    const char byte = static_cast<char>(stream.get() ^ 1);
    stream.seekp(static_cast<std::streamoff>(offset));
    stream.put(byte);
    ASSERT_TRUE(stream.good());
  }

  TempDirectory temp_;
  const fs::path root_ = temp_.path() / "store";
  const ObjectName name_ = Object("a/b");
  const fs::path directory_ = root_ / "objects" / "a+b";
  const wire::ObjectSpec spec_ = SmallSpec();
  const tensor::Layout layout_ = LayoutOf(spec_);
  memory::Pool pool_{1_MiB};
  std::unique_ptr<SlotStore> store_;
};

TEST_F(DiskStoreTest, FindsOpenAndSealedObjectsAfterARestart) {
  MakeFull();
  ASSERT_TRUE(store_->Create(Object("c"), spec_, false).ok());
  ASSERT_TRUE(PutOne(*store_, Object("c"), 5, Pattern(4096, 5), 3).ok());
  const auto digest = store_->Seal(name_, 0, true);
  ASSERT_TRUE(digest.ok());
  Reopen();
  EXPECT_EQ(store_->Stat(name_)->digest, *digest);
  EXPECT_EQ(store_->Stat(name_)->slots_present, 7u);
  EXPECT_EQ(*store_->Seal(name_, 0, false), *digest);
  EXPECT_EQ(*GetOne(*store_, name_, 6), Pattern(layout_.SlotBytes(6), 6));
  EXPECT_FALSE(store_->Stat(Object("c"))->sealed);
  EXPECT_EQ(store_->Stat(Object("c"))->slots_present, 1u);
  EXPECT_EQ(store_->Stat(Object("c"))->generation, 3u);
  EXPECT_EQ(store_->Stat(Object("c"))->bytes_present, 4096u);
}

TEST_F(DiskStoreTest, RemovesHalfMadeObjectsAtStart) {
  store_.reset();
  fs::create_directories(root_ / "tmp" / "7");
  std::ofstream(root_ / "tmp" / "7" / "spec") << "half";
  Reopen();
  EXPECT_TRUE(fs::is_empty(root_ / "tmp"));
  EXPECT_THAT(*store_->List("", "", 10), ::testing::IsEmpty());
}

TEST_F(DiskStoreTest, ASealThatDiedBeforeItsRootIsDoneAgain) {
  MakeFull();
  memory::Pool pool(1_MiB);
  const auto reference = MakeMemoryStore(pool);
  ASSERT_TRUE(reference->Create(name_, spec_, false).ok());
  ASSERT_TRUE(PutAll(*reference, name_, layout_).ok());
  const std::string digest = *reference->Seal(name_, 0, false);
  std::ofstream(directory_ / "pages") << "torn";
  std::ofstream(directory_ / "root.tmp") << "torn";
  Reopen();
  EXPECT_FALSE(store_->Stat(name_)->sealed);
  EXPECT_EQ(*store_->Seal(name_, 0, true), digest);
  Reopen();
  EXPECT_TRUE(store_->Stat(name_)->sealed);
  EXPECT_EQ(store_->Page(name_, 0)->size(), 7u);
}

TEST_F(DiskStoreTest, ATornRecordReadsAsAbsentInAnOpenObject) {
  MakeFull();
  FlipByte(directory_ / "slots", 2 * 128 + 30);
  Reopen();
  EXPECT_EQ(CodeOf(GetOne(*store_, name_, 2)), "unavailable");
  EXPECT_EQ(store_->Stat(name_)->slots_present, 6u);
  EXPECT_EQ(*store_->Missing(name_, layout_.all_slots(), 0), (std::vector<tensor::SlotRange>{{2, 3}}));
  EXPECT_EQ(CodeOf(store_->Seal(name_, 0, false)), "unavailable");
  ASSERT_TRUE(PutOne(*store_, name_, 2, Pattern(4096, 2)).ok());
  EXPECT_TRUE(store_->Seal(name_, 0, false).ok());
}

TEST_F(DiskStoreTest, ARecordOfAnotherSlotReadsAsAbsent) {
  MakeFull();
  std::fstream table(directory_ / "slots", std::ios::in | std::ios::out | std::ios::binary);
  std::string record(128, '\0');
  table.read(record.data(), 128);
  table.seekp(128);
  table.write(record.data(), 128);
  table.close();
  EXPECT_EQ(CodeOf(store_->StatSlot(name_, 1, 0)), "unavailable");
}

TEST_F(DiskStoreTest, AFlippedBitInASealedObjectIsDataLossEachTime) {
  MakeFull();
  ASSERT_TRUE(store_->Seal(name_, 0, false).ok());
  FlipByte(directory_ / "data", 4096 * 3 + 17);
  for (int i = 0; i < 2; ++i) {
    const auto got = GetOne(*store_, name_, 3);
    ASSERT_EQ(CodeOf(got), "data loss");
    EXPECT_THAT(got.error().message(), ::testing::HasSubstr("slot 3"));
  }
  EXPECT_TRUE(GetOne(*store_, name_, 2).ok());
  FlipByte(directory_ / "slots", 2 * 128 + 30);
  EXPECT_EQ(CodeOf(GetOne(*store_, name_, 2)), "data loss");
}

TEST_F(DiskStoreTest, AFlippedBitInAnOpenObjectIsDataLossOnceAndThenMissing) {
  MakeFull();
  FlipByte(directory_ / "data", 4096 * 3 + 17);
  EXPECT_EQ(CodeOf(GetOne(*store_, name_, 3)), "data loss");
  EXPECT_EQ(*store_->Missing(name_, layout_.all_slots(), 0), (std::vector<tensor::SlotRange>{{3, 4}}));
  EXPECT_EQ(store_->Stat(name_)->slots_present, 6u);
  ASSERT_TRUE(PutOne(*store_, name_, 3, Pattern(4096, 3)).ok());
  EXPECT_EQ(*GetOne(*store_, name_, 3), Pattern(4096, 3));
}

TEST_F(DiskStoreTest, TruncatedFilesAreDataLossOrAbsent) {
  MakeFull();
  fs::resize_file(directory_ / "data", 4096 * 2);
  EXPECT_EQ(CodeOf(GetOne(*store_, name_, 4)), "data loss");
  fs::resize_file(directory_ / "slots", 128 + 5);
  Reopen();
  EXPECT_EQ(store_->Stat(name_)->slots_present, 1u);
  EXPECT_EQ(CodeOf(GetOne(*store_, name_, 1)), "unavailable");
  EXPECT_TRUE(GetOne(*store_, name_, 0).ok());
}

TEST_F(DiskStoreTest, ADamagedRootOrSpecIsDataLoss) {
  MakeFull();
  ASSERT_TRUE(store_->Seal(name_, 0, false).ok());
  fs::resize_file(directory_ / "root", 10);
  EXPECT_EQ(CodeOf(store_->Root(name_)), "data loss");
  fs::resize_file(directory_ / "pages", 10);
  EXPECT_EQ(CodeOf(store_->Page(name_, 0)), "data loss");
  fs::resize_file(directory_ / "spec", 10);
  Reopen();
  EXPECT_EQ(CodeOf(store_->Stat(name_)), "data loss");
  // Sealed: not even the same spec makes it anew.
  EXPECT_EQ(CodeOf(store_->Create(name_, spec_, true)), "data loss");
  EXPECT_TRUE(store_->Remove(name_).ok());
  EXPECT_TRUE(store_->Create(name_, spec_, false).ok());
}

TEST_F(DiskStoreTest, AnOpenObjectWithoutAReadableSpecIsMadeAnew) {
  MakeFull();
  fs::resize_file(directory_ / "spec", 0);
  Reopen();
  EXPECT_EQ(CodeOf(store_->Stat(name_)), "data loss");
  const auto created = store_->Create(name_, spec_, false);
  TRIBUTARY_ASSERT_OK(created);
  EXPECT_FALSE(created->existed);
  EXPECT_EQ(store_->Stat(name_)->slots_present, 0u);
}

TEST_F(DiskStoreTest, ASecondStoreOverTheSameDirectoryIsRefused) {
  const auto second = OpenDiskStore({root_}, pool_);
  ASSERT_EQ(CodeOf(second), "unavailable");
  EXPECT_THAT(second.error().message(), ::testing::HasSubstr(root_.string()));
}

TEST_F(DiskStoreTest, ADirectoryWithOtherFilesIsRefusedAndLeftAlone) {
  const fs::path other = temp_.path() / "home";
  fs::create_directories(other / "tmp");
  const auto store = OpenDiskStore({other}, pool_);
  ASSERT_EQ(CodeOf(store), "invalid argument");
  EXPECT_THAT(store.error().message(), ::testing::HasSubstr("--data-dir"));
  EXPECT_TRUE(fs::exists(other / "tmp"));
}

TEST_F(DiskStoreTest, AnObjectLargerThanTheDiskIsRefusedWithNeedAndFreeSpace) {
  const auto created = store_->Create(name_, OneTensorSpec(1ULL << 55, 4_MiB), false);
  ASSERT_EQ(CodeOf(created), "resource exhausted");
  EXPECT_THAT(created.error().message(), ::testing::AllOf(::testing::HasSubstr(root_.string()), ::testing::HasSubstr("are free")));
  EXPECT_TRUE(fs::is_empty(root_ / "tmp"));
  EXPECT_EQ(CodeOf(store_->Stat(name_)), "not found");
}

TEST_F(DiskStoreTest, AFullDiskHarmsNothingThatIsStored) {
  const fs::path small = temp_.path() / "small";
  fs::create_directories(small);
  if (mount("tmpfs", small.c_str(), "tmpfs", 0, "size=2m") != 0) GTEST_SKIP() << "needs the right to mount a tmpfs";
  {
    auto opened = OpenDiskStore({small / "store"}, pool_);
    ASSERT_TRUE(opened.ok()) << opened.error().message();
    SlotStore& store = **opened;
    const auto spec = OneTensorSpec(1_MiB, 64_KiB);
    EXPECT_TRUE(store.Create(Object("first"), spec, false).ok());
    const auto second = store.Create(Object("second"), spec, false);
    EXPECT_EQ(CodeOf(second), "resource exhausted");
    EXPECT_TRUE(PutAll(store, Object("first"), LayoutOf(spec)).ok());
    EXPECT_TRUE(store.Seal(Object("first"), 0, true).ok());
    EXPECT_TRUE(store.Remove(Object("first")).ok());
    EXPECT_TRUE(store.Create(Object("second"), spec, false).ok());
  }
  umount(small.c_str());
}

TEST_F(DiskStoreTest, ManyObjectsNeedFewDescriptors) {
  const auto open_files = [] {
    return std::distance(fs::directory_iterator("/proc/self/fd"), fs::directory_iterator());
  };
  const auto before = open_files();
  const auto spec = OneTensorSpec(8192, 4096);
  for (int i = 0; i < 300; ++i) {
    ASSERT_TRUE(store_->Create(Object("o/" + std::to_string(i)), spec, false).ok());
    ASSERT_TRUE(PutOne(*store_, Object("o/" + std::to_string(i)), 0, Pattern(4096, 0)).ok());
  }
  EXPECT_LE(open_files() - before, 270);
  EXPECT_EQ(*GetOne(*store_, Object("o/0"), 0), Pattern(4096, 0));
}

TEST_F(DiskStoreTest, AReaderNeverSeesHalfOfAReplacement) {
  ASSERT_TRUE(store_->Create(name_, spec_, false).ok());
  ASSERT_TRUE(PutOne(*store_, name_, 0, Pattern(4096, 0, 0)).ok());
  std::jthread writer([&](std::stop_token stop) {
    for (std::uint64_t salt = 1; !stop.stop_requested(); ++salt) {
      EXPECT_TRUE(PutOne(*store_, name_, 0, Pattern(4096, 0, salt % 2)).ok());
    }
  });
  for (int i = 0; i < 300; ++i) {
    const auto got = GetOne(*store_, name_, 0);
    ASSERT_TRUE(got.ok()) << got.error().message();
    EXPECT_TRUE(*got == Pattern(4096, 0, 0) || *got == Pattern(4096, 0, 1));
  }
}

TEST_F(DiskStoreTest, TheNormOfAnUpdateIsTheSameAfterARestart) {
  wire::ObjectSpec update;
  update.kind = wire::ObjectKind::kUpdate;
  update.tensors = {{"t", tensor::DType::kF32, {5000}}};
  update.chunk_bytes = 4096;
  update.encoding = tensor::Encoding::kBF16;
  update.delta = true;
  const auto layout = LayoutOf(update);
  ASSERT_TRUE(store_->Create(Object("u"), update, false).ok());
  for (std::uint64_t slot = 0; slot < layout.slot_count(); ++slot) {
    auto bytes = Pattern(layout.Place(slot).elements * 2, slot);
    for (std::size_t i = 1; i < bytes.size(); i += 2) bytes[i] &= std::byte{0xBF};  // no exponent of NaN or infinity
    ASSERT_TRUE(PutOne(*store_, Object("u"), slot, bytes).ok());
  }
  ASSERT_TRUE(store_->Seal(Object("u"), 0, false).ok());
  const double norm = store_->Stat(Object("u"))->norm;
  EXPECT_GT(norm, 0);
  Reopen();
  EXPECT_EQ(store_->Stat(Object("u"))->norm, norm);
}

}  // namespace
}  // namespace tributary::blob::testing
