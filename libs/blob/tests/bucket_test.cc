// A disk store with a bucket: what lies where, at each step, after failures and in new directories.
#include <gmock/gmock.h>

#include <chrono>
#include <fstream>
#include <thread>

#include "libs/base/testing/temp_directory.h"
#include "libs/blob/testing/fake_bucket.h"
#include "libs/blob/testing/store_testing.h"
#include "tributary/blob/local_store.h"

namespace tributary::blob::testing {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class BucketStore : public ::testing::Test {
 protected:
  void SetUp() override { Open(); }
  void Open() {
    store_.reset();
    options_.directory = root_;
    options_.bucket = &bucket_;
    auto store = OpenDiskStore(options_, pool_);
    ASSERT_TRUE(store.ok()) << store.error().message();
    store_ = *std::move(store);
  }
  // As on another machine.
  void OpenElsewhere() {
    store_.reset();
    root_ = temp_.path() / ("store-" + std::to_string(++directories_));
    Open();
  }
  fs::path FileOf(const std::string& object, const char* file) const { return root_ / "objects" / object / file; }

  void Fill(const ObjectName& name, const wire::ObjectSpec& spec, std::uint64_t salt = 0) {
    TRIBUTARY_ASSERT_OK(store_->Create(name, spec, false));
    TRIBUTARY_ASSERT_OK(PutAll(*store_, name, LayoutOf(spec), salt, 3));
  }
  std::string Sealed(const ObjectName& name, const wire::ObjectSpec& spec, std::uint64_t salt = 0) {
    Fill(name, spec, salt);
    const auto digest = store_->Seal(name, 0, true);
    EXPECT_TRUE(digest.ok()) << digest.error().message();
    return digest.ok() ? *digest : "";
  }
  void ExpectChunks(const ObjectName& name, const wire::ObjectSpec& spec, std::uint64_t salt = 0) {
    const auto layout = LayoutOf(spec);
    for (std::uint64_t slot = 0; slot < layout.slot_count(); ++slot) {
      const auto chunk = GetOne(*store_, name, slot);
      TRIBUTARY_ASSERT_OK(chunk);
      EXPECT_EQ(*chunk, Pattern(layout.SlotBytes(slot), slot, salt)) << slot;
    }
  }
  // Operations on keys that begin so fail.
  void Fail(const std::string& operation, const std::string& prefix, Code code = Code::kUnavailable) {
    bucket_.SetRule([=](const std::string& asked, const std::string& key) {
      return asked == operation && key.starts_with(prefix) ? Status(Error(code, "the bucket is away")) : Ok();
    });
  }
  void Work() { bucket_.SetRule(nullptr); }
  static void Age(const fs::path& mark, int hours) {
    fs::last_write_time(mark, fs::file_time_type::clock::now() - std::chrono::hours(hours));
  }

  TempDirectory temp_;
  fs::path root_ = temp_.path() / "store";
  int directories_ = 0;
  FakeBucket bucket_;
  DiskOptions options_{.directory = {}, .bucket_part_bytes = 5000, .bucket_grace = Duration(0)};
  memory::Pool pool_{1_MiB};
  std::unique_ptr<DiskStore> store_;
  const ObjectName a_ = Object("m/a");
  const wire::ObjectSpec spec_ = SmallSpec();
};

TEST_F(BucketStore, ADurableSealPutsEverythingIntoTheBucketAndTheCommitLast) {
  std::vector<std::string> puts;
  std::mutex mutex;
  bucket_.SetRule([&](const std::string& operation, const std::string& key) {
    const std::lock_guard lock(mutex);
    if (operation == "put") puts.push_back(key);
    return Ok();
  });
  const std::string digest = Sealed(a_, spec_);
  EXPECT_THAT(puts.back(), ::testing::StartsWith("sealed/m/a/-"));
  const auto bytes = LayoutOf(spec_).total_bytes();
  EXPECT_EQ(bucket_.Keys("parts/m/a/-").size(), (bytes + 4999) / 5000 + 3);
  EXPECT_THAT(bucket_.Values().at(puts.back()), HasSubstr("digest " + digest));
  EXPECT_TRUE(fs::exists(FileOf("m+a", "bucket")));
  EXPECT_TRUE(fs::exists(FileOf("m+a", "data")));
  EXPECT_FALSE(store_->Waits(a_));
  ExpectChunks(a_, spec_);
  EXPECT_EQ(bucket_.gets(), 1u) << "the format; what is on the disk is read there";
}

TEST_F(BucketStore, AnEmptyDirectoryServesWhatTheBucketHolds) {
  const std::string digest = Sealed(a_, spec_);
  OpenElsewhere();
  EXPECT_THAT(*store_->List("m/", "", 10), ElementsAre(a_));
  EXPECT_TRUE(store_->Waits(a_));
  const auto info = store_->Stat(a_);
  TRIBUTARY_ASSERT_OK(info);
  EXPECT_TRUE(info->sealed);
  EXPECT_EQ(info->digest, digest);
  EXPECT_EQ(info->generation, 3u);
  EXPECT_EQ(info->slots_present, LayoutOf(spec_).slot_count());
  EXPECT_EQ(*store_->Spec(a_), spec_);
  EXPECT_EQ(store_->Page(a_, 0)->size(), LayoutOf(spec_).slot_count());
  ExpectChunks(a_, spec_);
  EXPECT_EQ(*store_->Seal(a_, 3, true), digest);
  EXPECT_EQ(CodeOf(store_->Seal(a_, 4, true)), "conflict");
  EXPECT_FALSE(fs::exists(FileOf("m+a", "data")));
  const auto again = store_->Create(a_, spec_, false);
  TRIBUTARY_ASSERT_OK(again);
  EXPECT_TRUE(again->existed && again->sealed);
  EXPECT_EQ(CodeOf(PutOne(*store_, a_, 0, Pattern(4096, 0), 9)), "conflict");
  // And once more over what was fetched.
  Open();
  ExpectChunks(a_, spec_);
}

TEST_F(BucketStore, RepetitiveObjectsGoAndComeBack) {
  wire::ObjectSpec spec = OneTensorSpec(64 * 4096, 4096);
  spec.repetitive = true;
  TRIBUTARY_ASSERT_OK(store_->Create(a_, spec, false));
  for (std::uint64_t slot = 0; slot < 64; ++slot) TRIBUTARY_ASSERT_OK(PutOne(*store_, a_, slot, Pattern(4096, slot % 3)));
  TRIBUTARY_ASSERT_OK(store_->Seal(a_, 0, true));
  EXPECT_EQ(bucket_.Keys("parts/m/a/-").size(), 3u + 3u) << "12 KiB of data";
  OpenElsewhere();
  for (std::uint64_t slot = 0; slot < 64; ++slot) EXPECT_EQ(*GetOne(*store_, a_, slot), Pattern(4096, slot % 3)) << slot;
}

TEST_F(BucketStore, UpdatesAndWhatIsNotSealedDurablyStayOnTheDisk) {
  wire::ObjectSpec update = spec_;
  update.kind = wire::ObjectKind::kUpdate;
  update.tensors = {{"u", tensor::DType::kU8, {9000}}};
  Sealed(Object("u"), update);
  Fill(Object("n"), spec_);
  TRIBUTARY_ASSERT_OK(store_->Seal(Object("n"), 0, false));
  EXPECT_THAT(bucket_.Keys(), ElementsAre("format"));
  // Asked for durability later, it goes.
  TRIBUTARY_ASSERT_OK(store_->Seal(Object("n"), 0, true));
  EXPECT_THAT(bucket_.Keys("sealed/"), ElementsAre(::testing::StartsWith("sealed/n/-")));
}

TEST_F(BucketStore, ASealThatTheBucketDoesNotTakeLeavesTheObjectOpen) {
  for (const char* prefix : {"parts/m/a/-", "sealed/m/a/"}) {
    const ObjectName name = a_;
    if (!store_->Stat(name).ok()) Fill(name, spec_);
    Fail("put", prefix);
    const auto refused = store_->Seal(name, 0, true);
    ASSERT_EQ(CodeOf(refused), "unavailable");
    EXPECT_THAT(refused.error().message(), AllOf(HasSubstr("'m/a'"), HasSubstr("not sealed"), HasSubstr("the bucket is away")));
    EXPECT_FALSE(store_->Stat(name)->sealed);
    EXPECT_THAT(bucket_.Keys("sealed/"), IsEmpty());
    Work();
    // It still takes chunks, and what is sealed in the end is what was put last.
    TRIBUTARY_ASSERT_OK(PutOne(*store_, name, 2, Pattern(4096, 2, 77), 3));
  }
  TRIBUTARY_ASSERT_OK(store_->Seal(a_, 0, true));
  OpenElsewhere();
  EXPECT_EQ(*GetOne(*store_, a_, 2), Pattern(4096, 2, 77));
  EXPECT_EQ(*GetOne(*store_, a_, 3), Pattern(4096, 3));
  TRIBUTARY_ASSERT_OK(store_->TendBucket({}));
  EXPECT_EQ(bucket_.Keys("parts/m/a/-").size(), (LayoutOf(spec_).total_bytes() + 4999) / 5000 + 3) << "of two failed uploads nothing is left";
  EXPECT_EQ(*GetOne(*store_, a_, 2), Pattern(4096, 2, 77));
}

TEST_F(BucketStore, ASealThatWasKilledBeforeTheCommitIsRepeated) {
  Fill(a_, spec_);
  Fail("put", "sealed/");
  EXPECT_FALSE(store_->Seal(a_, 0, true).ok());
  Work();
  Open();
  EXPECT_FALSE(store_->Stat(a_)->sealed);
  TRIBUTARY_ASSERT_OK(store_->Seal(a_, 0, true));
  ExpectChunks(a_, spec_);
}

TEST_F(BucketStore, ASealThatWasKilledAfterTheCommitIsDone) {
  const std::string digest = Sealed(a_, spec_);
  fs::remove(FileOf("m+a", "root"));
  for (const bool marked : {true, false}) {
    if (!marked) {
      store_.reset();
      fs::remove(FileOf("m+a", "root"));
      fs::remove(FileOf("m+a", "bucket"));
    }
    Open();
    EXPECT_EQ(store_->Stat(a_)->digest, digest);
    ExpectChunks(a_, spec_);
  }
}

TEST_F(BucketStore, TheLeastRecentlyReadGiveWayToTheQuota) {
  const auto spec = OneTensorSpec(64_KiB, 4_KiB);
  options_.quota = 300_KiB;
  Open();
  for (const char* name : {"a", "b", "c"}) Sealed(Object(name), spec, name[0]);
  Age(FileOf("a", "bucket"), 2);
  Age(FileOf("b", "bucket"), 3);
  Age(FileOf("c", "bucket"), 1);
  TRIBUTARY_ASSERT_OK(store_->Create(Object("d"), OneTensorSpec(100_KiB, 4_KiB), false));
  EXPECT_FALSE(fs::exists(FileOf("b", "data")));
  EXPECT_TRUE(fs::exists(FileOf("a", "data")));
  EXPECT_TRUE(store_->Waits(Object("b")));
  EXPECT_EQ(store_->Use().evictions, 1u);
  EXPECT_LE(store_->Use().bytes, 300_KiB);
  for (const char* name : {"a", "b", "c"}) ExpectChunks(Object(name), spec, name[0]);
  // Reading is what counts: "a" was read just now, as "c" was; the file of "c" is made older again.
  Age(FileOf("c", "bucket"), 1);
  TRIBUTARY_ASSERT_OK(store_->Create(Object("e"), OneTensorSpec(64_KiB, 4_KiB), false));
  EXPECT_FALSE(fs::exists(FileOf("c", "data")));
  EXPECT_TRUE(fs::exists(FileOf("a", "data")));
  // Open objects never give way.
  EXPECT_EQ(CodeOf(store_->Create(Object("f"), OneTensorSpec(200_KiB, 4_KiB), false)), "resource exhausted");
  Open();
  for (const char* name : {"a", "b", "c"}) ExpectChunks(Object(name), spec, name[0]);
}

TEST_F(BucketStore, APutToARepetitiveObjectMakesRoomToo) {
  const auto spec = OneTensorSpec(64_KiB, 4_KiB);
  options_.quota = 100_KiB;
  Open();
  Sealed(a_, spec);
  wire::ObjectSpec repetitive = spec;
  repetitive.repetitive = true;
  TRIBUTARY_ASSERT_OK(store_->Create(Object("r"), repetitive, false));
  TRIBUTARY_ASSERT_OK(PutAll(*store_, Object("r"), LayoutOf(spec), 5));
  EXPECT_TRUE(store_->Waits(a_));
  ExpectChunks(a_, spec);
  ExpectChunks(Object("r"), spec, 5);
}

TEST_F(BucketStore, TheCacheIsBounded) {
  options_.cache_bytes = 150_KiB;
  Open();
  const auto spec = OneTensorSpec(64_KiB, 4_KiB);
  for (const char* name : {"a", "b", "c", "d"}) {
    Sealed(Object(name), spec, name[0]);
    Age(FileOf(name, "bucket"), 100 - name[0] + 'a');
  }
  EXPECT_FALSE(fs::exists(FileOf("a", "data")));
  EXPECT_FALSE(fs::exists(FileOf("b", "data")));
  EXPECT_TRUE(fs::exists(FileOf("c", "data")));
  EXPECT_TRUE(fs::exists(FileOf("d", "data")));
  for (const char* name : {"a", "b", "c", "d"}) ExpectChunks(Object(name), spec, name[0]);
}

TEST_F(BucketStore, ReadersGoOnWhileTheirObjectIsEvicted) {
  const auto spec = OneTensorSpec(1_MiB, 4_KiB);
  Sealed(a_, spec);
  std::atomic<bool> done{false};
  std::atomic<std::uint64_t> reads{0};
  std::thread reader([&] {
    for (std::uint64_t i = 0; !done; ++i, ++reads) {
      const auto chunk = GetOne(*store_, a_, i % 256);
      ASSERT_TRUE(chunk.ok()) << chunk.error().message();
      ASSERT_EQ(*chunk, Pattern(4096, i % 256));
    }
  });
  while (reads < 100) std::this_thread::yield();
  fs::remove(FileOf("m+a", "data"));  // as Evict begins
  Sealed(Object("b"), OneTensorSpec(4_KiB, 4_KiB));
  while (reads < 400) std::this_thread::yield();
  done = true;
  reader.join();
}

TEST_F(BucketStore, RemoveDeletesTheCommitFirstAndThenTheParts) {
  Sealed(a_, spec_);
  Sealed(Object("m/a/b"), spec_);
  std::vector<std::string> deleted;
  bucket_.SetRule([&](const std::string& operation, const std::string& key) {
    if (operation == "delete") deleted.push_back(key);
    return Ok();
  });
  TRIBUTARY_ASSERT_OK(store_->Remove(a_));
  ASSERT_FALSE(deleted.empty());
  EXPECT_THAT(deleted.front(), ::testing::StartsWith("sealed/m/a/-"));
  EXPECT_THAT(bucket_.Keys("parts/m/a/-"), IsEmpty());
  EXPECT_THAT(bucket_.Keys("sealed/"), ElementsAre(::testing::StartsWith("sealed/m/a/b/-")));
  EXPECT_EQ(CodeOf(store_->Stat(a_)), "not found");
  TRIBUTARY_ASSERT_OK(store_->Remove(a_));
  Work();
  // Of one that was never looked at, too.
  OpenElsewhere();
  TRIBUTARY_ASSERT_OK(store_->Remove(Object("m/a/b")));
  EXPECT_THAT(bucket_.Keys(), ElementsAre("format"));
  OpenElsewhere();
  EXPECT_THAT(*store_->List("", "", 10), IsEmpty());
}

TEST_F(BucketStore, WhatTheBucketDoesNotRemoveStaysAndSaysSo) {
  Sealed(a_, spec_);
  Fail("delete", "sealed/");
  const Status refused = store_->Remove(a_);
  ASSERT_EQ(CodeOf(refused), "i/o");
  EXPECT_THAT(refused.error().message(), AllOf(HasSubstr("'m/a'"), HasSubstr("still there")));
  ExpectChunks(a_, spec_);
  Work();
  TRIBUTARY_ASSERT_OK(store_->Remove(a_));
  EXPECT_THAT(bucket_.Keys(), ElementsAre("format"));
  // Parts that could not be removed are nobody's: the sweep takes them.
  Sealed(a_, spec_);
  Fail("delete", "parts/");
  TRIBUTARY_ASSERT_OK(store_->Remove(a_));
  EXPECT_FALSE(bucket_.Keys("parts/").empty());
  Work();
  TRIBUTARY_ASSERT_OK(store_->TendBucket({}));
  EXPECT_THAT(bucket_.Keys(), ElementsAre("format"));
}

TEST_F(BucketStore, ANewObjectOfTheNameIsNotHarmedByTheRemovalOfTheOldOne) {
  Sealed(a_, spec_);
  TRIBUTARY_ASSERT_OK(store_->Remove(a_));
  Sealed(a_, spec_, 5);
  OpenElsewhere();
  ExpectChunks(a_, spec_, 5);
}

TEST_F(BucketStore, AnObjectThatWasMadeAnewElsewhereIsNotServedFromHere) {
  Sealed(a_, spec_);
  const fs::path here = root_;
  OpenElsewhere();
  TRIBUTARY_ASSERT_OK(store_->Remove(a_));
  const std::string digest = Sealed(a_, spec_, 5);
  store_.reset();
  root_ = here;
  Open();
  EXPECT_EQ(store_->Stat(a_)->digest, digest);
  ExpectChunks(a_, spec_, 5);
}

TEST_F(BucketStore, OfTwoCommitsTheOneThatTheDirectoryKnowsIsKept) {
  const std::string digest = Sealed(a_, spec_);
  const std::string known = bucket_.Keys("sealed/m/a/-").front();
  for (const char* other : {"sealed/m/a/-0000000000000000", "sealed/m/a/-ffffffffffffffff"}) {
    bucket_.SetValue(other, "left by a seal that was repeated");
    Open();
    EXPECT_THAT(bucket_.Keys("sealed/"), ElementsAre(known));
    EXPECT_EQ(store_->Stat(a_)->digest, digest);
  }
  // A seal drops what is left of earlier ones.
  Fill(Object("b"), spec_);
  bucket_.SetValue("sealed/b/-00000000000000bb", "left");
  TRIBUTARY_ASSERT_OK(store_->Seal(Object("b"), 0, true));
  EXPECT_EQ(bucket_.Keys("sealed/b/-").size(), 1u);
  OpenElsewhere();
  ExpectChunks(Object("b"), spec_);
}

TEST_F(BucketStore, TheSweepTakesLeftoversAloneAndOnlyAfterAWhile) {
  Sealed(a_, spec_);
  Sealed(Object("b"), spec_);
  OpenElsewhere();
  TRIBUTARY_ASSERT_OK(store_->Stat(Object("b")));  // one fetched, one not
  const auto before = bucket_.Keys();
  const std::string left = "parts/m/a/-00000000000000aa/data-000000";
  bucket_.SetValue(left, "left");
  bucket_.SetValue("parts/unknown", "foreign");
  options_.bucket_grace = std::chrono::hours(1);
  Open();
  TRIBUTARY_ASSERT_OK(store_->TendBucket({}));
  EXPECT_TRUE(bucket_.Values().contains(left));
  options_.bucket_grace = Duration(0);
  Open();
  TRIBUTARY_ASSERT_OK(store_->TendBucket({}));
  EXPECT_FALSE(bucket_.Values().contains(left));
  EXPECT_TRUE(bucket_.Values().contains("parts/unknown"));
  EXPECT_EQ(bucket_.Keys().size(), before.size() + 1);
  ExpectChunks(a_, spec_);
  // Nothing is removed for the reason that nobody could be asked.
  bucket_.SetValue(left, "left");
  Fail("size", "sealed/");
  EXPECT_FALSE(store_->TendBucket({}).ok());
  EXPECT_TRUE(bucket_.Values().contains(left));
  // Nor is what another store has committed meanwhile.
  Work();
  bucket_.SetValue("sealed/m/a/-00000000000000aa", "of another store");
  TRIBUTARY_ASSERT_OK(store_->TendBucket({}));
  EXPECT_TRUE(bucket_.Values().contains(left));
}

TEST_F(BucketStore, WhatWasSealedWithoutABucketIsPutThereInTheBackground) {
  store_.reset();
  options_.bucket = nullptr;
  auto plain = OpenDiskStore({root_}, pool_);
  TRIBUTARY_ASSERT_OK(plain);
  store_ = *std::move(plain);
  const std::string digest = Sealed(a_, spec_);
  Open();
  EXPECT_THAT(bucket_.Keys(), ElementsAre("format"));
  TRIBUTARY_ASSERT_OK(store_->TendBucket({}));
  OpenElsewhere();
  EXPECT_EQ(store_->Stat(a_)->digest, digest);
  ExpectChunks(a_, spec_);
}

TEST_F(BucketStore, AnotherPrefixCostsNoLocalCopy) {
  Sealed(a_, spec_);
  for (const std::string& key : bucket_.Keys()) TRIBUTARY_ASSERT_OK(bucket_.Delete(key));
  Open();
  ExpectChunks(a_, spec_);
  EXPECT_FALSE(fs::exists(FileOf("m+a", "bucket")));
  TRIBUTARY_ASSERT_OK(store_->TendBucket({}));
  EXPECT_THAT(bucket_.Keys("sealed/"), ElementsAre(::testing::StartsWith("sealed/m/a/-")));
}

TEST_F(BucketStore, ABucketThatIsAwayOrDeniesIsToldAtStartAndAtReads) {
  Sealed(a_, spec_);
  Fail("list", "sealed/", Code::kPermission);
  store_.reset();
  const auto refused = OpenDiskStore(options_, pool_);
  ASSERT_EQ(CodeOf(refused), "permission");
  bucket_.SetValue("format", "something else    x\n");
  Work();
  EXPECT_EQ(CodeOf(OpenDiskStore(options_, pool_)), "invalid argument");
  bucket_.SetValue("format", "tributary bucket 1\n");
  OpenElsewhere();
  Fail("get", "sealed/");
  EXPECT_EQ(CodeOf(store_->Stat(a_)), "i/o");
  Work();
  TRIBUTARY_ASSERT_OK(store_->Stat(a_));
  Fail("get", "parts/");
  const auto chunk = GetOne(*store_, a_, 0);
  // Not "unavailable", for which readers wait.
  ASSERT_EQ(CodeOf(chunk), "i/o");
  EXPECT_THAT(chunk.error().message(), AllOf(HasSubstr("in the bucket alone"), HasSubstr("is away")));
  Work();
  ExpectChunks(a_, spec_);
}

TEST_F(BucketStore, DamageInTheBucketIsDataLossAndDamageOnTheDiskIsNot) {
  Sealed(a_, spec_);
  {
    std::fstream data(FileOf("m+a", "data"), std::ios::in | std::ios::out | std::ios::binary);
    data.seekp(10);
    data.put('?');
  }
  ExpectChunks(a_, spec_);
  OpenElsewhere();
  TRIBUTARY_ASSERT_OK(store_->Stat(a_));
  const std::string part = bucket_.Keys("parts/m/a/-").front();
  const std::string good = bucket_.Values().at(part);
  std::string bad = good;
  bad[10] ^= 1;
  bucket_.SetValue(part, bad);
  EXPECT_EQ(CodeOf(GetOne(*store_, a_, 0)), "data loss");
  TRIBUTARY_ASSERT_OK(bucket_.Delete(part));
  EXPECT_EQ(CodeOf(GetOne(*store_, a_, 0)), "data loss");
  EXPECT_EQ(*GetOne(*store_, a_, 3), Pattern(4096, 3));
  bucket_.SetValue(part, good);
  ExpectChunks(a_, spec_);
}

TEST_F(BucketStore, HostileCommitsAreDataLossAndHarmNothingElse) {
  Sealed(a_, spec_);
  Sealed(Object("b"), spec_);
  const std::string key = bucket_.Keys("sealed/m/a/-").front();
  const std::string good = bucket_.Values().at(key);
  std::string flipped = good;
  flipped[600] ^= 1;
  std::string huge = good;
  huge.replace(huge.find("\nroot "), 16, "\nroot 9999999999");
  for (const std::string& bad : {std::string(), std::string(5000, 'x'), good.substr(0, 520), flipped, huge}) {
    bucket_.SetValue(key, bad);
    OpenElsewhere();
    EXPECT_EQ(CodeOf(store_->Stat(a_)), "data loss");
    EXPECT_EQ(CodeOf(store_->Create(a_, spec_, true)), "data loss");
    ExpectChunks(Object("b"), spec_);
    TRIBUTARY_ASSERT_OK(store_->TendBucket({}));
  }
  bucket_.SetValue(key, good);
  OpenElsewhere();
  ExpectChunks(a_, spec_);
  bucket_.SetValue(key, flipped);
  OpenElsewhere();
  TRIBUTARY_ASSERT_OK(store_->Remove(a_));
  EXPECT_EQ(Sealed(a_, spec_, 9).size(), 64u);
  OpenElsewhere();
  ExpectChunks(a_, spec_, 9);
}

TEST_F(BucketStore, MetadataThatIsDamagedOnTheDiskIsFetchedAgain) {
  Sealed(a_, spec_);
  OpenElsewhere();
  TRIBUTARY_ASSERT_OK(store_->Stat(a_));
  store_.reset();
  std::ofstream(FileOf("m+a", "root")) << "garbage";
  Open();
  ExpectChunks(a_, spec_);
}

TEST_F(BucketStore, TheScrubLeavesTheBucketAlone) {
  Sealed(a_, spec_);
  OpenElsewhere();
  TRIBUTARY_ASSERT_OK(store_->Stat(a_));
  Sealed(Object("b"), spec_);
  const auto gets = bucket_.gets();
  const auto report = store_->Scrub({});
  TRIBUTARY_ASSERT_OK(report);
  EXPECT_EQ(report->objects, 1u);
  EXPECT_EQ(report->damaged, 0u);
  EXPECT_EQ(bucket_.gets(), gets);
}

}  // namespace
}  // namespace tributary::blob::testing
