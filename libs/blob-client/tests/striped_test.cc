// What several shards answer, put together.
#include "libs/blob-client/src/striped.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

namespace tributary::blob_client {
namespace {

using Ranges = std::vector<tensor::SlotRange>;

TEST(Striped, RangesOfAllShardsAreWhole) {
  const std::vector<Ranges> shards = {{{0, 9}}, {{1, 10}}};
  EXPECT_EQ(MergeRanges(shards), (Ranges{{0, 10}}));
  EXPECT_EQ(MergeRanges(std::vector<Ranges>{{}, {}, {}}), Ranges{});
  EXPECT_EQ(MergeRanges(std::vector<Ranges>{{}}), Ranges{});
}

TEST(Striped, AShardCountsForItsOwnSlotsAlone) {
  // The first lacks 0, 2 and 4, as one range; the second nothing.
  EXPECT_EQ(MergeRanges(std::vector<Ranges>{{{0, 5}}, {}}), (Ranges{{0, 1}, {2, 3}, {4, 5}}));
  EXPECT_EQ(MergeRanges(std::vector<Ranges>{{}, {{0, 5}}}), (Ranges{{1, 2}, {3, 4}}));
}

TEST(Striped, RangesAreThoseOfEachSlotsOwnShard) {
  std::mt19937 random(7);
  for (int run = 0; run < 200; ++run) {
    const std::size_t count = 1 + random() % 5;
    const std::uint64_t slots = 1 + random() % 60;
    std::vector<bool> missing(slots);
    for (std::size_t i = 0; i < slots; ++i) missing[i] = random() % 3 == 0;
    std::vector<Ranges> shards(count);
    for (std::size_t shard = 0; shard < count; ++shard) {
      for (std::uint64_t slot = shard; slot < slots; slot += count) {
        if (!missing[slot]) continue;
        // Some shards tell their slots as long ranges, over those of others.
        const bool follows = !shards[shard].empty() && shards[shard].back().end + count > slot && run % 2 == 0;
        if (follows) {
          shards[shard].back().end = slot + 1;
        } else {
          shards[shard].push_back({slot, slot + 1});
        }
      }
    }
    Ranges expected;
    for (std::uint64_t slot = 0; slot < slots; ++slot) {
      if (!missing[slot]) continue;
      if (!expected.empty() && expected.back().end == slot) {
        ++expected.back().end;
      } else {
        expected.push_back({slot, slot + 1});
      }
    }
    EXPECT_EQ(MergeRanges(shards), expected) << "run " << run;
  }
}

blob::ObjectInfo Info(bool sealed, std::uint64_t present, const std::string& digest, double norm) {
  blob::ObjectInfo info;
  info.name = *ObjectName::Parse("a/b");
  info.slots = 5;
  info.bytes = 500;
  info.sealed = sealed;
  info.slots_present = present;
  info.bytes_present = present * 100;
  info.generation = present;
  info.digest = digest;
  info.norm = norm;
  return info;
}

TEST(Striped, AnObjectIsSealedWhenAllShardsHaveSealedIt) {
  const auto open = MergeInfo(std::vector{Info(true, 3, "d", 3), Info(false, 1, "", 0)});
  ASSERT_TRUE(open.ok());
  EXPECT_FALSE(open->sealed);
  EXPECT_EQ(open->digest, "");
  EXPECT_EQ(open->norm, 0);
  EXPECT_EQ(open->slots, 5);
  EXPECT_EQ(open->slots_present, 4);
  EXPECT_EQ(open->bytes_present, 400);
  EXPECT_EQ(open->generation, 3);
  const auto sealed = MergeInfo(std::vector{Info(true, 3, "d", 3), Info(true, 2, "d", 4)});
  ASSERT_TRUE(sealed.ok());
  EXPECT_TRUE(sealed->sealed);
  EXPECT_EQ(sealed->digest, "d");
  EXPECT_DOUBLE_EQ(sealed->norm, 5);
}

TEST(Striped, ShardsThatDifferAreTold) {
  const auto digests = MergeInfo(std::vector{Info(true, 3, "d", 0), Info(true, 2, "e", 0)});
  ASSERT_FALSE(digests.ok());
  EXPECT_EQ(digests.error().code(), Code::kDataLoss);
  EXPECT_THAT(digests.error().message(), testing::HasSubstr("object 'a/b' is sealed as d on one shard"));
  auto other = Info(false, 0, "", 0);
  other.bytes = 501;
  const auto specs = MergeInfo(std::vector{Info(false, 0, "", 0), other});
  ASSERT_FALSE(specs.ok());
  EXPECT_EQ(specs.error().code(), Code::kUnavailable);
}

TEST(Striped, EachDigestIsOfItsOwnShard) {
  const auto digest = [](int shard, int slot) {
    wire::SlotDigest one;
    one.sha256[0] = static_cast<std::byte>(shard);
    one.sha256[1] = static_cast<std::byte>(slot);
    return one;
  };
  std::vector<std::vector<wire::SlotDigest>> shards(3);
  for (int shard = 0; shard < 3; ++shard) {
    for (int slot = 4; slot < 9; ++slot) shards[static_cast<std::size_t>(shard)].push_back(digest(shard, slot));
  }
  std::vector<wire::SlotDigest> page(5);
  for (std::size_t shard = 0; shard < 3; ++shard) TakeDigests(shards[shard], 4, shard, 3, page);
  EXPECT_THAT(page, testing::ElementsAre(digest(1, 4), digest(2, 5), digest(0, 6), digest(1, 7), digest(2, 8)));
}

}  // namespace
}  // namespace tributary::blob_client
