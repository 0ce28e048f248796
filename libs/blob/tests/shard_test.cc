// Stores that are shards of one: each has its own slots, and all seal to the manifest that one store would have.
#include <gmock/gmock.h>

#include <cmath>
#include <fstream>
#include <thread>

#include "libs/base/testing/temp_directory.h"
#include "libs/blob/testing/fake_bucket.h"
#include "libs/blob/testing/shards.h"

namespace tributary::blob::testing {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::AnyOf;
using ::testing::HasSubstr;
using ::testing::Not;
using Ranges = std::vector<tensor::SlotRange>;

struct StoreKind {
  bool disk;
  std::uint32_t count;
  bool repetitive = false;
};

class ShardedStores : public ::testing::Test {
 protected:
  Shards Make(const StoreKind& kind) {
    Shards shards;
    for (std::uint32_t number = 0; number < kind.count; ++number) {
      if (kind.disk) {
        shards.push_back(OpenDisk({number, kind.count}));
      } else {
        memory_.push_back(MakeMemoryStore(pool_, {number, kind.count}));
        shards.push_back(memory_.back().get());
      }
    }
    return shards;
  }
  fs::path RootOf(const Shard& shard) const { return temp_.path() / (std::to_string(shard.number) + "-of-" + std::to_string(shard.count)); }
  DiskStore* OpenDisk(const Shard& shard, std::uint64_t quota = 0) {
    auto store = OpenDiskStore({.directory = RootOf(shard), .quota = quota, .shard = shard}, pool_);
    EXPECT_TRUE(store.ok()) << store.error().message();
    disks_.push_back(*std::move(store));
    return disks_.back().get();
  }
  // As after SIGKILL.
  void Reopen(Shards& shards) {
    disks_.clear();
    const auto count = static_cast<std::uint32_t>(shards.size());
    for (std::uint32_t number = 0; number < count; ++number) shards[number] = OpenDisk({number, count});
  }
  static void Create(const Shards& shards, const ObjectName& name, const wire::ObjectSpec& spec) {
    for (SlotStore* shard : shards) TRIBUTARY_ASSERT_OK(shard->Create(name, spec, false));
  }
  fs::path FileOf(std::uint32_t number, const char* file) const { return RootOf({number, 2}) / "objects" / "m+a" / file; }

  TempDirectory temp_;
  memory::Pool pool_{1_MiB};
  std::vector<std::unique_ptr<SlotStore>> memory_;
  std::vector<std::unique_ptr<DiskStore>> disks_;
  const ObjectName a_ = Object("m/a");
  const wire::ObjectSpec spec_ = SmallSpec();
  const tensor::Layout layout_ = LayoutOf(spec_);
};

class EachKind : public ShardedStores, public ::testing::WithParamInterface<StoreKind> {
 protected:
  // Everything that can be had of a sealed object.
  static void ExpectEqual(SlotStore& one, const Shards& shards, const ObjectName& name, std::uint64_t slots) {
    const auto document = [&](SlotStore& store, Document which, std::uint64_t page) {
      std::string text(store.DocumentBytes(name, which, page).value(), '\0');
      EXPECT_TRUE(store.ReadDocument(name, which, page, std::as_writable_bytes(std::span(text))).ok());
      return text;
    };
    for (SlotStore* shard : shards) {
      EXPECT_EQ(document(*shard, Document::kRoot, 0), document(one, Document::kRoot, 0));
      for (std::uint64_t page = 0; page * wire::kPageDigests < slots; ++page) {
        EXPECT_EQ(document(*shard, Document::kPage, page), document(one, Document::kPage, page));
      }
      EXPECT_EQ(shard->Stat(name)->digest, one.Stat(name)->digest);
    }
  }
};

TEST_P(EachKind, ShardsSealToTheManifestOfOneStore) {
  const StoreKind& kind = GetParam();
  const Shards shards = Make(kind);
  const auto one = MakeMemoryStore(pool_);
  auto tensors = spec_;
  tensors.cut = tensor::Cut::kTensors;
  std::vector<wire::ObjectSpec> specs{spec_, tensors, OneTensorSpec(100, 4096)};  // of the last all but one shard have nothing
  for (wire::ObjectSpec& spec : specs) {
    spec.repetitive = kind.repetitive;
    const ObjectName name = Object("o/" + std::to_string(&spec - specs.data()));
    const auto layout = LayoutOf(spec);
    Create({one.get()}, name, spec);
    Create(shards, name, spec);
    TRIBUTARY_ASSERT_OK(PutAll(*one, name, layout, 5, 3));
    TRIBUTARY_ASSERT_OK(PutSlots(shards, name, layout, 5, 3));
    const std::string digest = one->Seal(name, 3, false).value();
    const auto sealed = SealShards(shards, name, 3, true);
    TRIBUTARY_ASSERT_OK(sealed);
    EXPECT_THAT(*sealed, ::testing::Each(digest));
    ExpectEqual(*one, shards, name, layout.slot_count());
    for (std::uint64_t slot = 0; slot < layout.slot_count(); ++slot) {
      EXPECT_EQ(*GetOne(*shards[slot % shards.size()], name, slot), Pattern(layout.SlotBytes(slot), slot, 5));
    }
  }
}

TEST_P(EachKind, AnObjectOfSeveralPagesToo) {
  const Shards shards = Make(GetParam());
  const auto one = MakeMemoryStore(pool_);
  auto spec = OneTensorSpec((wire::kPageDigests + 5) * 4096 - 1, 4096);
  spec.repetitive = true;  // few bytes
  const auto layout = LayoutOf(spec);
  Create({one.get()}, a_, spec);
  Create(shards, a_, spec);
  for (std::uint64_t slot = 0; slot < layout.slot_count(); ++slot) {
    const auto chunk = Pattern(layout.SlotBytes(slot), slot % 7);
    ASSERT_TRUE(one->PutSlot(a_, slot, 0, chunk, nullptr, nullptr).ok());
    ASSERT_TRUE(shards[slot % shards.size()]->PutSlot(a_, slot, 0, chunk, nullptr, nullptr).ok());
  }
  TRIBUTARY_ASSERT_OK(one->Seal(a_, 0, false));
  TRIBUTARY_ASSERT_OK(SealShards(shards, a_));
  ExpectEqual(*one, shards, a_, layout.slot_count());
}

TEST_P(EachKind, TheNormsSquaresAddUp) {
  const Shards shards = Make(GetParam());
  const auto one = MakeMemoryStore(pool_);
  wire::ObjectSpec update;
  update.kind = wire::ObjectKind::kUpdate;
  update.tensors = {{"t", tensor::DType::kF32, {5000}}};
  update.chunk_bytes = 4096;
  update.encoding = tensor::Encoding::kBF16;
  update.delta = true;
  const auto layout = LayoutOf(update);
  Create({one.get()}, a_, update);
  Create(shards, a_, update);
  for (std::uint64_t slot = 0; slot < layout.slot_count(); ++slot) {
    auto bytes = Pattern(layout.Place(slot).elements * 2, slot);
    for (std::size_t i = 1; i < bytes.size(); i += 2) bytes[i] &= std::byte{0xBF};  // no exponent of NaN or infinity
    TRIBUTARY_ASSERT_OK(PutOne(*one, a_, slot, bytes));
    TRIBUTARY_ASSERT_OK(PutOne(*shards[slot % shards.size()], a_, slot, bytes));
  }
  TRIBUTARY_ASSERT_OK(one->Seal(a_, 0, false));
  TRIBUTARY_ASSERT_OK(SealShards(shards, a_));
  double squares = 0;
  for (SlotStore* shard : shards) squares += shard->Stat(a_)->norm * shard->Stat(a_)->norm;
  EXPECT_GT(squares, 0);
  EXPECT_NEAR(std::sqrt(squares), one->Stat(a_)->norm, 1e-9 * std::sqrt(squares));
}

INSTANTIATE_TEST_SUITE_P(Stores, EachKind,
                         ::testing::Values(StoreKind{false, 1}, StoreKind{false, 2}, StoreKind{false, 3}, StoreKind{true, 1}, StoreKind{true, 2}, StoreKind{true, 3},
                                           StoreKind{true, 2, true}),
                         [](const auto& info) {
                           return std::string(info.param.disk ? "disk" : "memory") + std::to_string(info.param.count) +
                                  (info.param.repetitive ? "repetitive" : "");
                         });

class TwoShards : public ShardedStores, public ::testing::WithParamInterface<bool> {
 protected:
  void SetUp() override {
    shards_ = Make({GetParam(), 2});
    Create(shards_, a_, spec_);
  }
  Status PutDigests(std::uint32_t shard, std::vector<wire::SlotDigest> digests, std::uint64_t page = 0) {
    return shards_[shard]->PutDigests(a_, page, 0, digests);
  }
  Shards shards_;
};

TEST_P(TwoShards, EachTakesAndGivesItsOwnSlotsAlone) {
  TRIBUTARY_ASSERT_OK(PutOne(*shards_[0], a_, 2, Pattern(4096, 2), 4));
  const std::string text = "slot 3 of object 'm/a' lies on shard 1 of 2, this is shard 0";
  const auto bytes = Pattern(4096, 3);
  std::vector<std::byte> out(4096);
  for (const Status& refused : {shards_[0]->PutSlot(a_, 3, 0, bytes, nullptr, nullptr).status(), shards_[0]->StatSlot(a_, 3, 0).status(),
                                shards_[0]->GetSlot(a_, 3, out).status(), GetOne(*shards_[0], a_, 3).status()}) {
    ASSERT_EQ(CodeOf(refused), "not found");
    EXPECT_EQ(refused.error().message(), text);
  }
  const ObjectInfo info = shards_[0]->Stat(a_).value();
  EXPECT_EQ(info.slots, 7u);
  EXPECT_EQ(info.slots_present, 1u);
  EXPECT_EQ(info.bytes, layout_.total_bytes());
  EXPECT_EQ(info.bytes_present, 4096u);
  EXPECT_EQ(info.generation, 4u);
  EXPECT_EQ(*shards_[0]->Missing(a_, layout_.all_slots(), 0), (Ranges{{0, 1}, {4, 5}, {6, 7}}));
  EXPECT_EQ(*shards_[1]->Missing(a_, {2, 5}, 0), (Ranges{{3, 4}}));
  EXPECT_EQ(CodeOf(shards_[1]->Missing(a_, {2, 8}, 0)), "invalid argument");
}

TEST_P(TwoShards, DigestsAreToldOnceAllOwnSlotsOfThePageAreThere) {
  const auto early = shards_[1]->OwnDigests(a_, 0);
  ASSERT_EQ(CodeOf(early), "unavailable");
  EXPECT_THAT(early.error().message(), AllOf(HasSubstr("'m/a'"), HasSubstr("3 of its slots"), HasSubstr("the first is 1")));
  TRIBUTARY_ASSERT_OK(PutSlots(shards_, a_, layout_));
  const auto own = shards_[1]->OwnDigests(a_, 0);
  TRIBUTARY_ASSERT_OK(own);
  ASSERT_EQ(own->size(), 7u);
  for (std::uint64_t slot = 0; slot < 7; ++slot) {
    const auto bytes = Pattern(layout_.SlotBytes(slot), slot);
    EXPECT_EQ((*own)[slot], slot % 2 == 0 ? wire::SlotDigest() : (wire::SlotDigest{digest::ComputeSha256(bytes), digest::ComputeXxh128(bytes)}));
  }
  for (const std::uint64_t page : {std::uint64_t{1}, ~std::uint64_t{0} / wire::kPageDigests + 1, ~std::uint64_t{0}}) {
    EXPECT_EQ(CodeOf(shards_[1]->OwnDigests(a_, page)), "not found") << page;
  }
  EXPECT_EQ(CodeOf(shards_[1]->OwnDigests(Object("b"), 0)), "not found");
  // What a sealed one has the others are told again.
  TRIBUTARY_ASSERT_OK(SealShards(shards_, a_));
  EXPECT_EQ(*shards_[1]->OwnDigests(a_, 0), *own);
}

TEST_P(TwoShards, ASealSaysWhatItLacksItsOwnSlotsFirst) {
  TRIBUTARY_ASSERT_OK(PutSlots(shards_, a_, layout_, 0, 2));
  auto sealed = shards_[0]->Seal(a_, 0, false);
  ASSERT_EQ(CodeOf(sealed), "unavailable");
  EXPECT_THAT(sealed.error().message(), AllOf(HasSubstr("3 of 3 slots that lie on other shards"), HasSubstr("put-digests"), HasSubstr("slot 1")));
  const auto digests = CollectDigests(shards_, a_, 0).value();
  TRIBUTARY_ASSERT_OK(shards_[0]->PutDigests(a_, 0, 2, digests));
  EXPECT_EQ(CodeOf(shards_[0]->Seal(a_, 3, false)), "conflict");
  TRIBUTARY_ASSERT_OK(shards_[0]->PutDigests(a_, 0, 3, digests));
  EXPECT_EQ(CodeOf(shards_[0]->Seal(a_, 2, false)), "conflict") << "the others' slots are of another generation";
  TRIBUTARY_ASSERT_OK(shards_[0]->PutDigests(a_, 0, 2, digests));
  TRIBUTARY_ASSERT_OK(shards_[0]->Seal(a_, 2, false));
  TRIBUTARY_ASSERT_OK(shards_[0]->Seal(a_, 2, true));

  Create(shards_, Object("b"), spec_);
  EXPECT_EQ(CodeOf(shards_[0]->PutDigests(Object("b"), 0, 0, digests)), "unavailable") << "its own slots are not there";
  TRIBUTARY_ASSERT_OK(PutOne(*shards_[0], Object("b"), 0, Pattern(4096, 0)));
  sealed = shards_[0]->Seal(Object("b"), 0, false);
  ASSERT_EQ(CodeOf(sealed), "unavailable");
  EXPECT_THAT(sealed.error().message(), AllOf(HasSubstr("3 of 4 slots are missing, the first is 2"), Not(HasSubstr("shard"))));
}

TEST_P(TwoShards, DigestsLeaveOwnSlotsAndCountsAlone) {
  TRIBUTARY_ASSERT_OK(PutSlots(shards_, a_, layout_));
  const auto before = shards_[0]->Stat(a_).value();
  const auto own = shards_[0]->OwnDigests(a_, 0).value();
  std::vector<wire::SlotDigest> wrong(7);
  for (auto& digest : wrong) digest.sha256.fill(std::byte{9});
  for (std::uint64_t slot = 0; slot < 7; slot += 2) wrong[slot] = own[slot];
  TRIBUTARY_ASSERT_OK(shards_[0]->PutDigests(a_, 0, 99, wrong));
  EXPECT_EQ(*shards_[0]->OwnDigests(a_, 0), own);
  const auto after = shards_[0]->Stat(a_).value();
  EXPECT_EQ(after.slots_present, before.slots_present);
  EXPECT_EQ(after.bytes_present, before.bytes_present);
  EXPECT_EQ(after.generation, before.generation);
  for (std::uint64_t slot = 0; slot < 7; slot += 2) EXPECT_EQ(*GetOne(*shards_[0], a_, slot), Pattern(layout_.SlotBytes(slot), slot));
  EXPECT_EQ(CodeOf(shards_[0]->StatSlot(a_, 1, 0)), "not found");
  EXPECT_EQ(*shards_[0]->Missing(a_, layout_.all_slots(), 0), Ranges());
}

TEST_P(TwoShards, WhatWasToldBeforeASlotChangedIsToldAgain) {
  TRIBUTARY_ASSERT_OK(PutSlots(shards_, a_, layout_));
  TRIBUTARY_ASSERT_OK(TellDigests(shards_, a_));
  TRIBUTARY_ASSERT_OK(PutOne(*shards_[1], a_, 3, Pattern(4096, 3, 8)));
  const auto sealed = SealShards(shards_, a_);
  TRIBUTARY_ASSERT_OK(sealed);
  EXPECT_EQ((*sealed)[0], (*sealed)[1]);
  EXPECT_EQ((*shards_[0]->Page(a_, 0))[3].sha256, digest::ComputeSha256(Pattern(4096, 3, 8)));
}

// As when the slot was put again since its digest was asked for.
TEST_P(TwoShards, AWrongWordAboutAShardsOwnSlotsIsRefusedThere) {
  TRIBUTARY_ASSERT_OK(PutSlots(shards_, a_, layout_));
  auto digests = CollectDigests(shards_, a_, 0).value();
  digests[3].sha256[0] ^= std::byte{1};
  TRIBUTARY_ASSERT_OK(PutDigests(0, digests));
  const auto refused = PutDigests(1, digests);
  ASSERT_EQ(CodeOf(refused), "unavailable");
  EXPECT_THAT(refused.error().message(), HasSubstr("slot 3 of object 'm/a' changed"));
  TRIBUTARY_ASSERT_OK(SealShards(shards_, a_));
}

TEST_P(TwoShards, DigestsThatCannotBeAreRefused) {
  TRIBUTARY_ASSERT_OK(PutSlots(shards_, a_, layout_));
  const auto digests = CollectDigests(shards_, a_, 0).value();
  for (const std::size_t count : {std::size_t{0}, std::size_t{6}, std::size_t{8}, std::size_t{wire::kPageDigests}}) {
    auto other = digests;
    other.resize(count, digests[0]);
    EXPECT_EQ(CodeOf(PutDigests(0, other)), "invalid argument") << count;
  }
  for (const std::uint64_t page : {std::uint64_t{1}, ~std::uint64_t{0} / wire::kPageDigests + 1, ~std::uint64_t{0}}) {
    EXPECT_EQ(CodeOf(PutDigests(0, digests, page)), "invalid argument") << page;
  }
  const auto zeros = PutDigests(0, shards_[0]->OwnDigests(a_, 0).value());
  ASSERT_EQ(CodeOf(zeros), "invalid argument");
  EXPECT_THAT(zeros.error().message(), AllOf(HasSubstr("slot 1"), HasSubstr("shard 1")));
  EXPECT_EQ(CodeOf(shards_[0]->PutDigests(Object("b"), 0, 0, digests)), "not found");
  EXPECT_EQ(CodeOf(shards_[0]->Seal(a_, 0, false)), "unavailable") << "nothing of all that was taken";
  TRIBUTARY_ASSERT_OK(SealShards(shards_, a_));
  EXPECT_EQ(CodeOf(PutDigests(0, digests)), "conflict");
  const auto alone = MakeMemoryStore(pool_);
  Create({alone.get()}, a_, spec_);
  EXPECT_EQ(CodeOf(alone->PutDigests(a_, 0, 0, digests)), "invalid argument");
  TRIBUTARY_ASSERT_OK(PutAll(*alone, a_, layout_));
  EXPECT_EQ(*alone->OwnDigests(a_, 0), digests);
}

INSTANTIATE_TEST_SUITE_P(Stores, TwoShards, ::testing::Bool(), [](const auto& info) { return info.param ? "disk" : "memory"; });

class DiskShards : public ShardedStores {
 protected:
  void SetUp() override { shards_ = Make({true, 2}); }
  void Fill() {
    Create(shards_, a_, spec_);
    TRIBUTARY_ASSERT_OK(PutSlots(shards_, a_, layout_));
  }
  void Reboot() {
    for (std::uint32_t number = 0; number < 2; ++number) std::ofstream(FileOf(number, "boot")) << "another\n";
    Reopen(shards_);
  }
  static void FlipByte(const fs::path& file, std::uint64_t offset) {
    std::fstream stream(file, std::ios::in | std::ios::out | std::ios::binary);
    stream.seekg(static_cast<std::streamoff>(offset));
    const char byte = static_cast<char>(stream.get() ^ 1);
    stream.seekp(static_cast<std::streamoff>(offset));
    stream.put(byte);
    ASSERT_TRUE(stream.good());
  }
  Shards shards_;
};

TEST_F(DiskShards, RoomIsTakenForOwnBytesAlone) {
  const auto spec = OneTensorSpec(9 * 64_KiB - 10'000, 64_KiB);
  const std::uint64_t tables = 4096 + 4096;
  for (std::uint32_t number = 0; number < 2; ++number) {
    disks_.clear();
    const std::uint64_t own = number == 0 ? 5 * 64_KiB - 10'000 : 4 * 64_KiB;
    const std::uint64_t room = (own + 4095) / 4096 * 4096 + tables;
    DiskStore* store = OpenDisk({number, 2}, room - 1);
    EXPECT_EQ(CodeOf(store->Create(a_, spec, false)), "resource exhausted");
    disks_.clear();
    store = OpenDisk({number, 2}, room);
    TRIBUTARY_ASSERT_OK(store->Create(a_, spec, false));
    EXPECT_EQ(fs::file_size(FileOf(number, "data")), own);
    EXPECT_EQ(store->Use().bytes, room);
  }
}

TEST_F(DiskShards, WhatIsThereAfterARestartIsCountedAsBefore) {
  Fill();
  TRIBUTARY_ASSERT_OK(TellDigests(shards_, a_));
  const auto before = shards_[0]->Stat(a_).value();
  Reopen(shards_);
  auto after = shards_[0]->Stat(a_).value();
  EXPECT_EQ(after.slots_present, 4u);
  EXPECT_EQ(after.bytes_present, before.bytes_present);
  // SIGKILL after the digests were told, and after one of both was sealed.
  TRIBUTARY_ASSERT_OK(shards_[0]->Seal(a_, 0, true));
  Reopen(shards_);
  EXPECT_TRUE(shards_[0]->Stat(a_)->sealed);
  EXPECT_FALSE(shards_[1]->Stat(a_)->sealed);
  EXPECT_EQ(CodeOf(TellDigests(shards_, a_)), "conflict") << "who is sealed needs none";
  TRIBUTARY_ASSERT_OK(shards_[1]->PutDigests(a_, 0, 0, CollectDigests(shards_, a_, 0).value()));
  EXPECT_EQ(shards_[1]->Seal(a_, 0, true).value(), shards_[0]->Stat(a_)->digest);
  Reopen(shards_);
  after = shards_[1]->Stat(a_).value();
  EXPECT_EQ(after.digest, shards_[0]->Stat(a_)->digest);
  EXPECT_EQ(after.slots_present, 3u);
  EXPECT_EQ(shards_[1]->Seal(a_, 0, false).value(), after.digest);
}

TEST_F(DiskShards, DigestsOfAnotherBootAreForgottenByASeal) {
  Fill();
  TRIBUTARY_ASSERT_OK(TellDigests(shards_, a_));
  Reboot();
  // The machine may have come back with what was told before a slot changed.
  const auto sealed = shards_[0]->Seal(a_, 0, true);
  ASSERT_EQ(CodeOf(sealed), "unavailable");
  EXPECT_THAT(sealed.error().message(), HasSubstr("put-digests"));
  EXPECT_EQ(shards_[0]->Stat(a_)->slots_present, 4u);
  EXPECT_FALSE(shards_[0]->Rereads(a_));
  EXPECT_TRUE(shards_[1]->Rereads(a_));
  TRIBUTARY_ASSERT_OK(SealShards(shards_, a_, 0, true));
  EXPECT_FALSE(shards_[1]->Rereads(a_));
}

TEST_F(DiskShards, OwnSlotsThatPowerLossTookAreMissingBeforeTheirDigestsAreTold) {
  Fill();
  FlipByte(FileOf(1, "data"), 4096 + 17);  // slot 3
  Reboot();
  const auto own = shards_[1]->OwnDigests(a_, 0);
  ASSERT_EQ(CodeOf(own), "unavailable");
  EXPECT_THAT(own.error().message(), HasSubstr("the first is 3"));
  EXPECT_EQ(*shards_[1]->Missing(a_, layout_.all_slots(), 0), (Ranges{{3, 4}}));
  TRIBUTARY_ASSERT_OK(PutOne(*shards_[1], a_, 3, Pattern(4096, 3)));
  TRIBUTARY_ASSERT_OK(SealShards(shards_, a_, 0, true));
}

TEST_F(DiskShards, ADamagedRecordOfAnotherShardsSlotIsPutAnew) {
  Fill();
  TRIBUTARY_ASSERT_OK(TellDigests(shards_, a_));
  FlipByte(FileOf(0, "slots"), 3 * 128 + 30);
  EXPECT_EQ(CodeOf(shards_[0]->Seal(a_, 0, false)), "unavailable");
  TRIBUTARY_ASSERT_OK(SealShards(shards_, a_, 0, false));
  // Of a sealed object its manifest has them.
  FlipByte(FileOf(0, "slots"), 3 * 128 + 30);
  TRIBUTARY_ASSERT_OK(shards_[0]->Seal(a_, 0, true));
  Reopen(shards_);
  EXPECT_TRUE(shards_[0]->Stat(a_)->sealed);
}

// Both rewrite the same part of the table.
TEST_F(DiskShards, PutsAndDigestsAtTheSameTimeLoseNothing) {
  Fill();
  const auto digests = CollectDigests(shards_, a_, 0).value();
  for (std::uint64_t round = 1; round <= 50; ++round) {
    {
      std::jthread putting([&] {
        for (const std::uint64_t slot : {0, 2, 4, 6}) EXPECT_TRUE(PutOne(*shards_[0], a_, slot, Pattern(layout_.SlotBytes(slot), slot, round)).ok());
      });
      for (int i = 0; i < 8; ++i) EXPECT_THAT(CodeOf(shards_[0]->PutDigests(a_, 0, 0, digests)), AnyOf("ok", "unavailable"));
    }
    ASSERT_EQ(shards_[0]->Stat(a_)->slots_present, 4u);
    for (const std::uint64_t slot : {0, 2, 4, 6}) ASSERT_EQ(*GetOne(*shards_[0], a_, slot), Pattern(layout_.SlotBytes(slot), slot, round));
  }
  TRIBUTARY_ASSERT_OK(SealShards(shards_, a_));
}

TEST_F(DiskShards, RecordsOfOwnSlotsAreOfTheOneStoresFormat) {
  Fill();
  TRIBUTARY_ASSERT_OK(TellDigests(shards_, a_));
  std::ifstream file(FileOf(0, "slots"), std::ios::binary);
  const std::string table{std::istreambuf_iterator<char>(file), {}};
  ASSERT_EQ(table.size(), 7u * 128);
  for (std::uint64_t slot = 0; slot < 7; ++slot) {
    EXPECT_EQ(table.substr(slot * 128, 4), "SLOT");
    EXPECT_EQ(table[slot * 128 + 88], slot % 2 == 0 ? 0 : 1);
    EXPECT_EQ(table.substr(slot * 128 + 89, 23), std::string(23, '\0'));
  }
  EXPECT_EQ(table[2 * 128 + 73], 0x10) << "slot 2 lies at 4096";
}

TEST_F(DiskShards, ScrubReadsOwnSlotsAndKnowsTheShardOfADirectory) {
  Fill();
  TRIBUTARY_ASSERT_OK(SealShards(shards_, a_));
  const auto bytes = shards_[1]->Stat(a_)->bytes_present;
  const auto online = disks_[1]->Scrub({});
  TRIBUTARY_ASSERT_OK(online);
  EXPECT_EQ(online->slots, 3u);
  EXPECT_EQ(online->bytes, bytes);
  EXPECT_EQ(online->damaged, 0u);
  disks_.clear();
  FlipByte(FileOf(1, "data"), 4096 + 17);
  FlipByte(FileOf(1, "slots"), 2 * 128 + 30);  // no slot of this shard
  std::vector<std::string> lines;
  ScrubOptions options;
  options.found = [&](const Damage& damage) { lines.push_back(damage.Text()); };
  const auto offline = ScrubDirectory(RootOf({1, 2}), options);
  TRIBUTARY_ASSERT_OK(offline);
  EXPECT_EQ(offline->slots, 3u);
  EXPECT_THAT(lines, ::testing::ElementsAre(AllOf(HasSubstr("slot 3"), HasSubstr("byte 4096"))));
}

TEST_F(DiskShards, ADirectoryBelongsToItsShard) {
  disks_.clear();
  const auto open = [&](const fs::path& directory, const Shard& shard) { return OpenDiskStore({.directory = directory, .shard = shard}, pool_); };
  std::ifstream file(RootOf({1, 2}) / "format");
  EXPECT_EQ((std::string{std::istreambuf_iterator<char>(file), {}}), "tributary blob-store 2\nshard 1 of 2\n");
  for (const Shard& other : {Shard{}, Shard{0, 2}, Shard{1, 3}}) {
    const auto store = open(RootOf({1, 2}), other);
    ASSERT_EQ(CodeOf(store), "invalid argument");
    EXPECT_THAT(store.error().message(), AllOf(HasSubstr("of shard 1 of 2"), HasSubstr("--shards"), HasSubstr("--data-dir")));
    EXPECT_THAT(store.error().message(), HasSubstr(other.count == 1 ? "is a store of one shard" : "is shard " + std::to_string(other.number)));
  }
  EXPECT_TRUE(open(RootOf({1, 2}), {1, 2}).ok());
  const fs::path alone = temp_.path() / "alone";
  EXPECT_TRUE(open(alone, {}).ok());
  EXPECT_EQ(fs::file_size(alone / "format"), 23u);
  EXPECT_THAT(open(alone, {0, 2}).error().message(), AllOf(HasSubstr("of a store of one shard"), HasSubstr("is shard 0 of 2")));
  for (const Shard& none : {Shard{2, 2}, Shard{0, 0}}) EXPECT_EQ(CodeOf(open(temp_.path() / "none", none)), "invalid argument");
}

TEST_F(DiskShards, ABucketHasAPrefixForEachAndServesOwnSlots) {
  FakeBucket buckets[2];
  const auto open = [&](std::uint32_t number, const std::string& directory, const Shard& shard) {
    return OpenDiskStore({.directory = temp_.path() / directory, .bucket = &buckets[number], .bucket_part_bytes = 5000, .shard = shard}, pool_);
  };
  auto first = open(0, "s0", {0, 2}).value();
  auto second = open(1, "s1", {1, 2}).value();
  const Shards shards{first.get(), second.get()};
  Create(shards, a_, spec_);
  const ObjectName small = Object("small");  // one slot: shard 1 has nothing of it
  const auto small_spec = OneTensorSpec(100, 4096);
  Create(shards, small, small_spec);
  TRIBUTARY_ASSERT_OK(PutSlots(shards, a_, layout_));
  TRIBUTARY_ASSERT_OK(PutSlots(shards, small, LayoutOf(small_spec)));
  const auto sealed = SealShards(shards, a_, 0, true);
  TRIBUTARY_ASSERT_OK(sealed);
  TRIBUTARY_ASSERT_OK(SealShards(shards, small, 0, true));
  EXPECT_EQ(buckets[1].Values().at("format"), "tributary bucket 1\nshard 1 of 2\n");
  second.reset();
  for (const Shard& other : {Shard{}, Shard{0, 2}, Shard{1, 20}}) {
    const auto refused = open(1, "other", other);
    ASSERT_EQ(CodeOf(refused), "invalid argument");
    EXPECT_THAT(refused.error().message(), AllOf(HasSubstr("belongs to shard 1 of 2"), HasSubstr("--s3-prefix")));
    fs::remove_all(temp_.path() / "other");
  }
  // An empty directory serves what its bucket holds.
  second = open(1, "elsewhere", {1, 2}).value();
  EXPECT_EQ(second->Stat(a_)->digest, (*sealed)[1]);
  EXPECT_EQ(second->Stat(a_)->slots_present, 3u);
  EXPECT_EQ(second->Stat(small)->slots_present, 0u);
  for (const std::uint64_t slot : {1, 3, 5}) EXPECT_EQ(*GetOne(*second, a_, slot), Pattern(layout_.SlotBytes(slot), slot));
  EXPECT_EQ((*second->OwnDigests(a_, 0))[3].sha256, digest::ComputeSha256(Pattern(4096, 3)));
  EXPECT_EQ(CodeOf(second->StatSlot(a_, 2, 0)), "not found");
  FakeBucket whole;
  ASSERT_TRUE(OpenDiskStore({.directory = temp_.path() / "w", .bucket = &whole}, pool_).ok());
  EXPECT_EQ(whole.Values().at("format"), "tributary bucket 1\n");
  EXPECT_EQ(CodeOf(OpenDiskStore({.directory = temp_.path() / "w2", .bucket = &whole, .shard = {0, 2}}, pool_)), "invalid argument");
}

}  // namespace
}  // namespace tributary::blob::testing
