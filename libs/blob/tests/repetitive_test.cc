// Objects whose equal chunks lie on the disk once, and what a put, SIGKILL or power loss may do to the slots that share a place.
#include <gmock/gmock.h>

#include <thread>

#include "libs/blob/testing/disk_fixture.h"

namespace tributary::blob::testing {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kChunk = 4096;
constexpr std::uint64_t kSlots = 64;
constexpr std::uint64_t kRecord = 128;

class RepetitiveTest : public DiskFixture {
 protected:
  static wire::ObjectSpec Spec() {
    wire::ObjectSpec spec = OneTensorSpec(kSlots * kChunk, kChunk);
    spec.repetitive = true;
    return spec;
  }
  // Slot s holds tile s % distinct.
  static std::vector<std::byte> Tile(std::uint64_t slot, std::uint64_t distinct, std::uint64_t salt = 0) {
    return Pattern(kChunk, slot % distinct, salt);
  }
  void MakeTiled(std::uint64_t distinct) {
    ASSERT_TRUE(store_->Create(name_, Spec(), false).ok());
    for (std::uint64_t slot = 0; slot < kSlots; ++slot) ASSERT_TRUE(PutOne(*store_, name_, slot, Tile(slot, distinct)).ok());
  }
  void ExpectTiles(std::uint64_t distinct, const std::set<std::uint64_t>& but = {}) {
    for (std::uint64_t slot = 0; slot < kSlots; ++slot) {
      if (but.contains(slot)) continue;
      const auto got = GetOne(*store_, name_, slot);
      ASSERT_TRUE(got.ok()) << got.error().message();
      EXPECT_EQ(*got, Tile(slot, distinct)) << slot;
    }
  }
  std::uint64_t DataBytes() const { return fs::file_size(directory_ / "data"); }

  const ObjectName name_ = Object("a/b");
  const fs::path directory_ = DirectoryOf("a+b");
};

TEST_F(RepetitiveTest, EqualChunksLieOnTheDiskOnce) {
  MakeTiled(4);
  EXPECT_EQ(DataBytes(), 4 * kChunk);
  ExpectTiles(4);
  EXPECT_EQ(store_->Stat(name_)->bytes_present, kSlots * kChunk);
  TRIBUTARY_ASSERT_OK(store_->Seal(name_, 0, true));
  Reopen();
  EXPECT_EQ(DataBytes(), 4 * kChunk);
  ExpectTiles(4);
}

TEST_F(RepetitiveTest, ItsDigestIsThatOfTheSameBytesKeptAnyOtherWay) {
  MakeTiled(4);
  wire::ObjectSpec plain = Spec();
  plain.repetitive = false;
  ASSERT_TRUE(store_->Create(Object("plain"), plain, false).ok());
  for (std::uint64_t slot = 0; slot < kSlots; ++slot) ASSERT_TRUE(PutOne(*store_, Object("plain"), slot, Tile(slot, 4)).ok());
  EXPECT_EQ(*store_->Seal(name_, 0, false), *store_->Seal(Object("plain"), 0, false));
}

TEST_F(RepetitiveTest, AnObjectThatIsNotRepetitiveTakesItsRoomAtOnce) {
  ASSERT_TRUE(store_->Create(Object("plain"), OneTensorSpec(kSlots * kChunk, kChunk), false).ok());
  EXPECT_EQ(fs::file_size(DirectoryOf("plain") / "data"), kSlots * kChunk);
  ASSERT_TRUE(store_->Create(name_, Spec(), false).ok());
  EXPECT_EQ(DataBytes(), 0u);
}

TEST_F(RepetitiveTest, ARewrittenSlotChangesNoneThatSharedItsPlace) {
  MakeTiled(2);
  // Slot 0 wrote the place that all even slots point to.
  TRIBUTARY_ASSERT_OK(PutOne(*store_, name_, 0, Pattern(kChunk, 0, 7), 1));
  EXPECT_EQ(*GetOne(*store_, name_, 0), Pattern(kChunk, 0, 7));
  ExpectTiles(2, {0});
  // And back again, which finds the place of the others.
  TRIBUTARY_ASSERT_OK(PutOne(*store_, name_, 0, Tile(0, 2), 2));
  ExpectTiles(2);
  EXPECT_EQ(DataBytes(), 3 * kChunk);
  EXPECT_EQ(store_->Stat(name_)->slots_present, kSlots);
  EXPECT_EQ(store_->Stat(name_)->bytes_present, kSlots * kChunk);
}

TEST_F(RepetitiveTest, ANewGenerationOfTheSameBytesTakesNoRoom) {
  MakeTiled(2);
  for (std::uint64_t slot = 0; slot < kSlots; ++slot) TRIBUTARY_ASSERT_OK(PutOne(*store_, name_, slot, Tile(slot, 2), 5));
  EXPECT_EQ(DataBytes(), 2 * kChunk);
  EXPECT_EQ(store_->Stat(name_)->generation, 5u);
  TRIBUTARY_ASSERT_OK(store_->Seal(name_, 5, false));
}

TEST_F(RepetitiveTest, MoreDistinctChunksThanAreRememberedAreAllKept) {
  // 4 KiB chunks of 20,000 kinds, each twice: some are stored again, all are right.
  constexpr std::uint64_t kMany = 40'000;
  wire::ObjectSpec spec = OneTensorSpec(kMany * kChunk, kChunk);
  spec.repetitive = true;
  ASSERT_TRUE(store_->Create(name_, spec, false).ok());
  auto writer = store_->Write({});
  ASSERT_TRUE(writer.ok());
  std::vector<std::byte> chunk(kChunk);
  const auto fill = [&](std::uint64_t slot) {
    const std::uint64_t kind = slot % (kMany / 2);
    std::memcpy(chunk.data(), &kind, sizeof kind);
  };
  for (std::uint64_t slot = 0; slot < kMany; ++slot) {
    fill(slot);
    ASSERT_TRUE(PutBytes(**writer, name_, slot, chunk).ok());
  }
  EXPECT_LE(DataBytes(), kMany * kChunk);
  for (std::uint64_t slot = 0; slot < kMany; slot += 997) {
    fill(slot);
    EXPECT_EQ(*GetOne(*store_, name_, slot), chunk) << slot;
  }
  TRIBUTARY_ASSERT_OK(store_->Seal(name_, 0, false));
}

TEST_F(RepetitiveTest, AfterARestartNothingIsRememberedAndNothingIsLost) {
  MakeTiled(4);
  Reopen();
  TRIBUTARY_ASSERT_OK(PutOne(*store_, name_, 8, Pattern(kChunk, 8, 1)));
  TRIBUTARY_ASSERT_OK(PutOne(*store_, name_, 9, Pattern(kChunk, 8, 1)));
  EXPECT_EQ(DataBytes(), 5 * kChunk);
  ExpectTiles(4, {8, 9});
}

// SIGKILL between the data of a put and its record.
TEST_F(RepetitiveTest, BytesThatNoRecordPointsToAreGivenBack) {
  MakeTiled(4);
  const std::uint64_t used = store_->Use().bytes;
  fs::resize_file(directory_ / "data", 4 * kChunk + 1000);
  Reopen();
  ExpectTiles(4);
  EXPECT_EQ(DataBytes(), 4 * kChunk);
  EXPECT_EQ(store_->Use().bytes, used);
  TRIBUTARY_ASSERT_OK(PutOne(*store_, name_, 1, Pattern(kChunk, 1, 9)));
  EXPECT_EQ(*GetOne(*store_, name_, 1), Pattern(kChunk, 1, 9));
  ExpectTiles(4, {1});
}

// SIGKILL between the two, when the slot had another chunk before: the old record stands, over bytes that nobody overwrote.
TEST_F(RepetitiveTest, AReplacementThatDiedLeavesTheOldChunk) {
  MakeTiled(4);
  std::fstream table(directory_ / "slots", std::ios::in | std::ios::out | std::ios::binary);
  std::string record(kRecord, '\0');
  table.seekg(5 * kRecord);
  table.read(record.data(), kRecord);
  TRIBUTARY_ASSERT_OK(PutOne(*store_, name_, 5, Pattern(kChunk, 5, 3), 2));
  table.seekp(5 * kRecord);
  table.write(record.data(), kRecord);
  table.close();
  Reopen();
  ExpectTiles(4);
}

// Power loss: a place whose bytes did not reach the disk is missing in every slot that points there, and only in those.
TEST_F(RepetitiveTest, APlaceThatPowerLossTookIsMissingInAllItsSlots) {
  MakeTiled(4);
  FlipByte(directory_ / "data", 2 * kChunk + 17);
  std::ofstream(directory_ / "boot") << "another\n";
  Reopen();
  const auto missing = store_->Missing(name_, {0, kSlots}, 0);
  TRIBUTARY_ASSERT_OK(missing);
  ASSERT_EQ(missing->size(), kSlots / 4);
  for (const auto& range : *missing) {
    EXPECT_EQ(range.begin % 4, 2u);
    EXPECT_EQ(range.size(), 1u);
    TRIBUTARY_ASSERT_OK(PutOne(*store_, name_, range.begin, Tile(2, 4)));
  }
  ExpectTiles(4);
  TRIBUTARY_ASSERT_OK(store_->Seal(name_, 0, true));
  ExpectTiles(4);
}

// Before its slots are read again, a record of another boot is no proof that its place holds the bytes.
TEST_F(RepetitiveTest, RecordsOfAnotherBootLendNoPlace) {
  MakeTiled(4);
  FlipByte(directory_ / "data", 17);
  std::ofstream(directory_ / "boot") << "another\n";
  Reopen();
  TRIBUTARY_ASSERT_OK(PutOne(*store_, name_, 4, Tile(0, 4)));
  EXPECT_EQ(*GetOne(*store_, name_, 4), Tile(0, 4));
}

TEST_F(RepetitiveTest, ADamagedPlaceIsNotGivenToTheChunkThatIsPutAgain) {
  MakeTiled(4);
  FlipByte(directory_ / "data", 17);
  EXPECT_EQ(CodeOf(GetOne(*store_, name_, 8)), "data loss");
  TRIBUTARY_ASSERT_OK(PutOne(*store_, name_, 8, Tile(0, 4)));
  EXPECT_EQ(*GetOne(*store_, name_, 8), Tile(0, 4));
}

TEST_F(RepetitiveTest, WritersOfEqualChunksSideBySideAgree) {
  ASSERT_TRUE(store_->Create(name_, Spec(), false).ok());
  std::vector<std::jthread> writers;
  for (std::uint64_t w = 0; w < 4; ++w) {
    writers.emplace_back([&, w] {
      for (std::uint64_t generation = 1; generation <= 20; ++generation) {
        for (std::uint64_t slot = w; slot < kSlots; slot += 4) {
          EXPECT_TRUE(PutOne(*store_, name_, slot, Tile(slot / 4, 4, generation % 3), generation).ok());
        }
      }
    });
  }
  writers.clear();
  for (std::uint64_t slot = 0; slot < kSlots; ++slot) EXPECT_EQ(*GetOne(*store_, name_, slot), Tile(slot / 4, 4, 20 % 3));
  TRIBUTARY_ASSERT_OK(store_->Seal(name_, 20, false));
  EXPECT_EQ(store_->Stat(name_)->slots_present, kSlots);
}

}  // namespace
}  // namespace tributary::blob::testing
