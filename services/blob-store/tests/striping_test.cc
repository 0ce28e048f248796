// A store of several shards as its clients use it: where slots lie, what a manifest is, and what happens when a shard goes away.
#include <gmock/gmock.h>

#include <thread>

#include "services/blob-store/tests/harness.h"
#include "tributary/blob/local_store.h"
#include "tributary/digest/digest.h"

namespace tributary::service::testing {
namespace {

using blob::testing::GetOne;
using blob::testing::LayoutOf;
using blob::testing::Object;
using blob::testing::OneTensorSpec;
using blob::testing::Pattern;
using blob::testing::PutAll;
using blob::testing::PutBytes;
using blob::testing::PutOne;
using ::testing::AnyOf;
using ::testing::HasSubstr;
using tensor::SlotRange;

constexpr std::uint64_t kSlots = 50;
constexpr std::uint64_t kChunk = 4096;

wire::ObjectSpec Spec(wire::ObjectKind kind = wire::ObjectKind::kModel) {
  auto spec = OneTensorSpec(kSlots * kChunk, kChunk);
  spec.kind = kind;
  return spec;
}

TEST(Striping, EachShardHasItsSlotsAndTheManifestIsThatOfOneStore) {
  Server whole;
  Client alone(whole.endpoint());
  ASSERT_TRUE(alone->Create(Object("o"), Spec(), false).ok());
  ASSERT_TRUE(PutAll(*alone, Object("o"), LayoutOf(Spec())).ok());
  const auto expected = alone->Seal(Object("o"), 0, false);
  ASSERT_TRUE(expected.ok());

  Shards shards(3);
  Client client(shards.endpoints(), 1, 1_MiB);
  ASSERT_TRUE(client->Create(Object("o"), Spec(), false).ok());
  ASSERT_TRUE(PutAll(*client, Object("o"), LayoutOf(Spec())).ok());
  EXPECT_EQ(shards[0]->stats().bytes_in, 17 * kChunk);
  EXPECT_EQ(shards[1]->stats().bytes_in, 17 * kChunk);
  EXPECT_EQ(shards[2]->stats().bytes_in, 16 * kChunk);
  const auto sealed = client->Seal(Object("o"), 0, true);
  ASSERT_TRUE(sealed.ok()) << sealed.error().message();
  EXPECT_EQ(*sealed, *expected);
  EXPECT_EQ(client->Stat(Object("o"))->digest, *expected);
  EXPECT_EQ(client->Stat(Object("o"))->slots_present, kSlots);
  EXPECT_EQ(*client->Page(Object("o"), 0), *alone->Page(Object("o"), 0));
  EXPECT_EQ(wire::EncodeManifestRoot(*client->Root(Object("o"))), wire::EncodeManifestRoot(*alone->Root(Object("o"))));
  for (std::uint64_t slot = 0; slot < kSlots; ++slot) EXPECT_EQ(*GetOne(*client, Object("o"), slot), Pattern(kChunk, slot)) << slot;
}

TEST(Striping, MoreSlotsThanAPageHas) {
  constexpr std::uint64_t kMany = wire::kPageDigests + 300;
  auto spec = OneTensorSpec(kMany * kChunk, kChunk);
  Shards shards(2);
  Client client(shards.endpoints(), 2, 4_MiB);
  ASSERT_TRUE(client->Create(Object("o"), spec, false).ok());
  EXPECT_EQ(*client->Missing(Object("o"), {0, kMany}, 0), (std::vector<SlotRange>{{0, kMany}}));
  ASSERT_TRUE(PutAll(*client, Object("o"), LayoutOf(spec)).ok());
  EXPECT_TRUE(client->Missing(Object("o"), {0, kMany}, 0)->empty());
  const auto sealed = client->Seal(Object("o"), 0, false);
  ASSERT_TRUE(sealed.ok()) << sealed.error().message();
  const auto last = client->Page(Object("o"), 1);
  ASSERT_TRUE(last.ok());
  ASSERT_EQ(last->size(), 300u);
  EXPECT_EQ(last->back().sha256, digest::ComputeSha256(Pattern(kChunk, kMany - 1)));
  memory::Pool pool(8_MiB);
  const auto memory = blob::MakeMemoryStore(pool);
  ASSERT_TRUE(memory->Create(Object("o"), spec, false).ok());
  ASSERT_TRUE(PutAll(*memory, Object("o"), LayoutOf(spec)).ok());
  EXPECT_EQ(*sealed, *memory->Seal(Object("o"), 0, false));
}

TEST(Striping, ASealOfWhatIsNotThereSealsNoShard) {
  Shards shards(2);
  Client client(shards.endpoints(), 1, 1_MiB);
  ASSERT_TRUE(client->Create(Object("o"), Spec(), false).ok());
  for (std::uint64_t slot = 0; slot < kSlots; ++slot) {
    if (slot == 7 || slot == 30) continue;
    ASSERT_TRUE(PutOne(*client, Object("o"), slot, Pattern(kChunk, slot)).ok());
  }
  EXPECT_EQ(*client->Missing(Object("o"), {0, kSlots}, 0), (std::vector<SlotRange>{{7, 8}, {30, 31}}));
  const auto sealed = client->Seal(Object("o"), 0, false);
  ASSERT_FALSE(sealed.ok());
  EXPECT_EQ(sealed.error().code(), Code::kUnavailable);
  EXPECT_THAT(sealed.error().message(), HasSubstr("2 of 50 slots are missing, the first is 7"));
  for (const std::uint64_t slot : {7, 30}) ASSERT_TRUE(PutOne(*client, Object("o"), slot, Pattern(kChunk, slot)).ok());
  EXPECT_TRUE(client->Seal(Object("o"), 0, false).ok());
}

TEST(Striping, AnInterruptedSealGoesOn) {
  Shards shards(2);
  std::string digest;
  {
    // One shard is sealed and the other is not, as when whoever seals dies in between.
    Client client(shards.endpoints(), 1, 1_MiB, Duration(2'000));
    ASSERT_TRUE(client->Create(Object("o"), Spec(), false).ok());
    ASSERT_TRUE(PutAll(*client, Object("o"), LayoutOf(Spec())).ok());
    const auto sealed = client->Seal(Object("o"), 0, false);
    ASSERT_TRUE(sealed.ok());
    digest = *sealed;
  }
  shards[1].Kill();
  const auto directory = shards[1].spec().directory / "objects/o";
  ASSERT_TRUE(std::filesystem::remove(directory / "root"));
  shards[1].Start();
  Client client(shards.endpoints(), 1, 1_MiB);
  auto info = client->Stat(Object("o"));
  ASSERT_TRUE(info.ok()) << info.error().message();
  EXPECT_FALSE(info->sealed);
  EXPECT_EQ(info->slots_present, kSlots);
  const auto sealed = client->Seal(Object("o"), 5, true);
  EXPECT_FALSE(sealed.ok());  // of another generation
  const auto again = client->Seal(Object("o"), 0, true);
  ASSERT_TRUE(again.ok()) << again.error().message();
  EXPECT_EQ(*again, digest);
  EXPECT_TRUE(client->Stat(Object("o"))->sealed);
  // Whoever makes the object again completes the seal as well.
  shards[0].Kill();
  ASSERT_TRUE(std::filesystem::remove(shards[0].spec().directory / "objects/o/root"));
  shards[0].Start();
  EXPECT_FALSE(client->Stat(Object("o"))->sealed);
  const auto created = client->Create(Object("o"), Spec(), /*replace=*/true);
  ASSERT_TRUE(created.ok()) << created.error().message();
  EXPECT_TRUE(created->existed);
  EXPECT_TRUE(created->sealed);
  EXPECT_EQ(client->Stat(Object("o"))->digest, digest);
}

TEST(Striping, SeveralThatSealGetTheSameDigest) {
  Shards shards(2);
  Client client(shards.endpoints(), 1, 1_MiB);
  for (int run = 0; run < 5; ++run) {
    ASSERT_TRUE(client->Create(Object("o"), Spec(), false).ok());
    ASSERT_TRUE(PutAll(*client, Object("o"), LayoutOf(Spec())).ok());
    std::vector<std::string> digests(3);
    {
      std::vector<std::jthread> sealing;
      for (std::string& digest : digests) {
        sealing.emplace_back([&] {
          Client another(shards.endpoints(), 1, 1_MiB);
          const auto sealed = another->Seal(Object("o"), 0, true);
          digest = sealed.ok() ? *sealed : sealed.error().message();
        });
      }
    }
    EXPECT_EQ(digests, std::vector(3, client->Stat(Object("o"))->digest));
    ASSERT_TRUE(client->Remove(Object("o")).ok());
  }
}

TEST(Striping, AShardThatIsAwayHoldsUpNoOtherSession) {
  Shards shards(2);
  for (std::size_t i = 0; i < 2; ++i) {
    shards[i].Kill();
    shards[i].spec().credit_idle = Duration(300);
    shards[i].Start();
  }
  Client client(shards.endpoints(), 1, 1_MiB);
  ASSERT_TRUE(client->Create(Object("o"), Spec(), false).ok());
  ASSERT_TRUE(PutOne(*client, Object("o"), 0, Pattern(kChunk, 0)).ok());
  shards[1].Kill();
  std::jthread later([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(700));
    shards[1].Start();
  });
  // Waits for the second shard; the first is listened to all the while.
  ASSERT_TRUE(PutOne(*client, Object("o"), 1, Pattern(kChunk, 1)).ok());
  EXPECT_EQ(client->counters().sessions, 3u);
  EXPECT_EQ(client->Stat(Object("o"))->slots_present, 2u);
}

TEST(Striping, ToManyConnectionsAtATime) {
  Shards shards(2);
  Client client(shards.endpoints(), 16, 4_MiB);
  ASSERT_TRUE(client->Create(Object("o"), Spec(), false).ok());
  ASSERT_TRUE(PutAll(*client, Object("o"), LayoutOf(Spec())).ok());
  EXPECT_TRUE(client->Seal(Object("o"), 0, false).ok());
  EXPECT_EQ(client->counters().sessions, 32u);
}

TEST(Striping, ShardsThatSealedOtherBytesAreDataLoss) {
  Shards shards(2);
  Client client(shards.endpoints(), 1, 1_MiB);
  const auto make = [&](std::uint64_t salt) {
    EXPECT_TRUE(client->Create(Object("o"), Spec(), false).ok());
    EXPECT_TRUE(PutAll(*client, Object("o"), LayoutOf(Spec()), salt).ok());
    EXPECT_TRUE(client->Seal(Object("o"), 0, false).ok());
  };
  make(1);
  shards[1].Kill();
  const auto objects = shards[1].spec().directory / "objects";
  const auto kept = shards[1].path() / "kept";
  std::filesystem::rename(objects / "o", kept);
  shards[1].Start();
  ASSERT_TRUE(client->Remove(Object("o")).ok());
  make(2);
  shards[1].Kill();
  std::filesystem::remove_all(objects / "o");
  std::filesystem::rename(kept, objects / "o");
  shards[1].Start();
  const auto info = client->Stat(Object("o"));
  ASSERT_FALSE(info.ok());
  EXPECT_EQ(info.error().code(), Code::kDataLoss);
  const auto sealed = client->Seal(Object("o"), 0, false);
  ASSERT_FALSE(sealed.ok());
  EXPECT_EQ(sealed.error().code(), Code::kDataLoss);
  ASSERT_TRUE(client->Remove(Object("o")).ok());
  EXPECT_EQ(client->Stat(Object("o")).error().code(), Code::kNotFound);
}

TEST(Striping, AnObjectThatOneShardLacksIsMadeWholeOrRemoved) {
  Shards shards(2);
  Client client(shards.endpoints(), 1, 1_MiB);
  ASSERT_TRUE(client->Create(Object("o"), Spec(), false).ok());
  shards[1].Kill();
  std::filesystem::remove_all(shards[1].spec().directory / "objects/o");
  shards[1].Start();
  EXPECT_EQ(client->Stat(Object("o")).error().code(), Code::kNotFound);
  EXPECT_EQ(client->List("", "", 10)->size(), 1u);
  const auto created = client->Create(Object("o"), Spec(), false);
  ASSERT_TRUE(created.ok());
  EXPECT_FALSE(created->existed);
  ASSERT_TRUE(PutAll(*client, Object("o"), LayoutOf(Spec())).ok());
  EXPECT_TRUE(client->Seal(Object("o"), 0, false).ok());
  ASSERT_TRUE(client->Remove(Object("o")).ok());
  EXPECT_TRUE(client->List("", "", 10)->empty());
}

TEST(Striping, AnUpdateThatHoldsChunksOnOneShardIsReplacedOnNone) {
  Shards shards(2);
  Client client(shards.endpoints(), 1, 1_MiB);
  auto other = Spec(wire::ObjectKind::kUpdate);
  other.sample_count = 9;
  ASSERT_TRUE(client->Create(Object("u"), Spec(wire::ObjectKind::kUpdate), false).ok());
  ASSERT_TRUE(client->Create(Object("u"), other, true).ok());
  EXPECT_EQ(client->Stat(Object("u"))->sample_count, 9u);
  ASSERT_TRUE(PutOne(*client, Object("u"), 1, Pattern(kChunk, 1)).ok());
  const auto again = client->Create(Object("u"), Spec(wire::ObjectKind::kUpdate), true);
  ASSERT_FALSE(again.ok());
  EXPECT_EQ(again.error().code(), Code::kAlreadyExists);
  EXPECT_EQ(client->Stat(Object("u"))->sample_count, 9u);
  EXPECT_EQ(client->Stat(Object("u"))->slots_present, 1u);
}

TEST(Striping, ListsGoThroughAllShardsInOrder) {
  Shards shards(2);
  Client client(shards.endpoints(), 1, 1_MiB);
  for (const char* name : {"b", "a", "d", "c", "e"}) ASSERT_TRUE(client->Create(Object(name), Spec(), false).ok());
  const auto names = [&](const std::string& after, std::uint32_t limit) {
    std::string text;
    const auto listed = client->List("", after, limit).value();
    for (const ObjectName& name : listed) text += name.str();
    return text;
  };
  EXPECT_EQ(names("", 10), "abcde");
  EXPECT_EQ(names("", 3), "abc");
  EXPECT_EQ(names("b", 2), "cd");
}

TEST(Striping, ShardsInTheWrongOrderAreRefused) {
  Shards shards(2);
  const auto why = [](const std::vector<std::string>& endpoints) {
    Client client(endpoints, 1, 1_MiB, Duration(5'000));
    const auto made = client->Create(Object("o"), Spec(), false);
    return made.ok() ? Error(Code::kUnknown, "it was made") : made.error();
  };
  const auto swapped = why({shards[1].endpoint(), shards[0].endpoint()});
  EXPECT_EQ(swapped.code(), Code::kInvalidArgument);
  // Of the one that answers first.
  EXPECT_THAT(swapped.message(), AnyOf(HasSubstr("is shard 1 of 2, and is named here as shard 0 of 2"),
                                       HasSubstr("is shard 0 of 2, and is named here as shard 1 of 2")));
  EXPECT_THAT(why({shards[0].endpoint()}).message(), HasSubstr("is shard 0 of 2, and is named here as shard 0 of 1"));
  memory::Pool pool(1_MiB);
  const auto none = blob_client::ConnectStore(std::make_shared<transport::Context>(), pool, {});
  ASSERT_FALSE(none.ok());
  EXPECT_EQ(none.error().code(), Code::kInvalidArgument);
}

TEST(Striping, AShardThatDiesAndComesBackLosesNothing) {
  Shards shards(2);
  Client client(shards.endpoints(), 2, 1_MiB);
  ASSERT_TRUE(client->Create(Object("o"), Spec(), false).ok());
  auto writer = client->Write({});
  std::thread killer;
  for (std::uint64_t slot = 0; slot < kSlots; ++slot) {
    if (slot == kSlots / 2) {
      killer = std::thread([&] {
        shards[1].Kill();
        shards[1].Start();
      });
    }
    ASSERT_TRUE(PutBytes(**writer, Object("o"), slot, Pattern(kChunk, slot)).ok());
  }
  const Status flushed = (*writer)->Flush();
  killer.join();
  ASSERT_TRUE(flushed.ok()) << flushed.error().message();
  ASSERT_TRUE(client->Seal(Object("o"), 0, false).ok());

  auto reader = client->Read(blob::SlotsOf(Object("o"), {0, kSlots}), {});
  for (std::uint64_t slot = 0; slot < kSlots; ++slot) {
    if (slot == kSlots / 2) {
      killer = std::thread([&] {
        shards[0].Kill();
        shards[0].Start();
      });
    }
    const auto chunk = (*reader)->Next();
    ASSERT_TRUE(chunk.ok()) << chunk.error().message();
    EXPECT_EQ((*chunk)->slot, slot);
    EXPECT_TRUE(std::ranges::equal((*chunk)->bytes, Pattern(kChunk, slot)));
  }
  killer.join();
}

TEST(Striping, EqualSlotsAreLinkedOnTheirShard) {
  Shards shards(2);
  Client client(shards.endpoints(), 1, 1_MiB);
  ASSERT_TRUE(client->Create(Object("base"), Spec(), false).ok());
  ASSERT_TRUE(PutAll(*client, Object("base"), LayoutOf(Spec())).ok());
  ASSERT_TRUE(client->Seal(Object("base"), 0, false).ok());
  ASSERT_TRUE(client->Create(Object("update"), Spec(wire::ObjectKind::kUpdate), false).ok());
  blob::WriteOptions options;
  options.same_as = Object("base");
  auto writer = client->Write(options);
  for (std::uint64_t slot = 0; slot < kSlots; ++slot) {
    ASSERT_TRUE(PutBytes(**writer, Object("update"), slot, Pattern(kChunk, slot, slot < 10 ? 1 : 0)).ok());
  }
  ASSERT_TRUE((*writer)->Flush().ok());
  EXPECT_EQ((*writer)->deduplicated(), 40 * kChunk);
  EXPECT_EQ(shards[0]->stats().bytes_linked, 20 * kChunk);
  EXPECT_EQ(shards[1]->stats().bytes_linked, 20 * kChunk);
  EXPECT_TRUE(client->Seal(Object("update"), 0, false).ok());
}

}  // namespace
}  // namespace tributary::service::testing
