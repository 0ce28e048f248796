// What every blob::BlobStore must do, as a value-parameterised GoogleTest suite.
//
// A test program includes this header in one source and instantiates it:
//
//   INSTANTIATE_TEST_SUITE_P(Memory, BlobStoreConformance, testing::Values(Implementation{"memory", MakeMemoryHarness}), NameOf);
//
// The harness owns the store and its pool. Another() is the same store for use by a second thread.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "libs/blob/testing/store_testing.h"
#include "tributary/blob/local_store.h"
#include "tributary/encoding/encoding.h"

namespace tributary::blob::testing {

class Harness {
 public:
  virtual ~Harness() = default;
  virtual BlobStore& store() = 0;
  virtual BlobStore& Another() = 0;
};

struct Implementation {
  std::string name;
  std::function<std::unique_ptr<Harness>()> make;
  bool repetitive = false;  // of the objects
};

inline std::string NameOf(const ::testing::TestParamInfo<Implementation>& info) { return info.param.name; }

class BlobStoreConformance : public ::testing::TestWithParam<Implementation> {
 protected:
  void SetUp() override {
    harness_ = GetParam().make();
    ASSERT_NE(harness_, nullptr);
  }
  BlobStore& store() { return harness_->store(); }

  const ObjectName name_ = Object("jobs/j1/rounds/1/updates/site/0");
  const wire::ObjectSpec spec_ = SpecFor(GetParam());
  const tensor::Layout layout_ = LayoutOf(spec_);
  std::unique_ptr<Harness> harness_;

 private:
  static wire::ObjectSpec SpecFor(const Implementation& implementation) {
    wire::ObjectSpec spec = SmallSpec();
    spec.repetitive = implementation.repetitive;
    return spec;
  }
};
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(BlobStoreConformance);

TEST_P(BlobStoreConformance, CreateGivesAnOpenObjectWithItsSpec) {
  const auto created = store().Create(name_, spec_, false);
  TRIBUTARY_ASSERT_OK(created);
  EXPECT_FALSE(created->existed);
  EXPECT_FALSE(created->sealed);
  const auto info = store().Stat(name_);
  TRIBUTARY_ASSERT_OK(info);
  EXPECT_EQ(info->name, name_);
  EXPECT_FALSE(info->sealed);
  EXPECT_EQ(info->slots, layout_.slot_count());
  EXPECT_EQ(info->slots_present, 0u);
  EXPECT_EQ(info->bytes, layout_.total_bytes());
  EXPECT_EQ(info->sample_count, 17u);
  EXPECT_EQ(info->digest, "");
  const auto spec = store().Spec(name_);
  TRIBUTARY_ASSERT_OK(spec);
  EXPECT_EQ(*spec, spec_);
}

TEST_P(BlobStoreConformance, CreateAgainWithTheSameSpecKeepsTheChunks) {
  TRIBUTARY_ASSERT_OK(store().Create(name_, spec_, false));
  TRIBUTARY_ASSERT_OK(PutOne(store(), name_, 0, Pattern(4096, 0)));
  for (const bool replace : {false, true}) {
    const auto again = store().Create(name_, spec_, replace);
    TRIBUTARY_ASSERT_OK(again);
    EXPECT_TRUE(again->existed);
  }
  EXPECT_EQ(store().Stat(name_)->slots_present, 1u);
}

TEST_P(BlobStoreConformance, CreateWithAnotherSpecIsRefusedUnlessReplaced) {
  TRIBUTARY_ASSERT_OK(store().Create(name_, spec_, false));
  TRIBUTARY_ASSERT_OK(PutOne(store(), name_, 0, Pattern(4096, 0)));
  wire::ObjectSpec other = spec_;
  other.sample_count = 18;
  EXPECT_EQ(CodeOf(store().Create(name_, other, false)), "already exists");
  EXPECT_EQ(store().Stat(name_)->slots_present, 1u);
  const auto replaced = store().Create(name_, other, true);
  TRIBUTARY_ASSERT_OK(replaced);
  EXPECT_FALSE(replaced->existed);
  EXPECT_EQ(store().Stat(name_)->slots_present, 0u);
  EXPECT_EQ(store().Stat(name_)->sample_count, 18u);
}

TEST_P(BlobStoreConformance, ASealedObjectIsNeverReplaced) {
  TRIBUTARY_ASSERT_OK(store().Create(name_, spec_, false));
  TRIBUTARY_ASSERT_OK(PutAll(store(), name_, layout_));
  TRIBUTARY_ASSERT_OK(store().Seal(name_, 0, false));
  wire::ObjectSpec other = spec_;
  other.sample_count = 18;
  EXPECT_EQ(CodeOf(store().Create(name_, other, true)), "already exists");
  const auto same = store().Create(name_, spec_, true);
  TRIBUTARY_ASSERT_OK(same);
  EXPECT_TRUE(same->existed);
  EXPECT_TRUE(same->sealed);
}

TEST_P(BlobStoreConformance, SpecsThatCannotBeStoredAreRefused) {
  wire::ObjectSpec empty = spec_;
  empty.tensors.clear();
  EXPECT_FALSE(store().Create(name_, empty, false).ok());
  EXPECT_EQ(CodeOf(store().Stat(name_)), "not found");
}

TEST_P(BlobStoreConformance, HostileNamesAreRefused) {
  for (const char* text : {"", "..", "a/../b", "/etc/passwd", "a//b", "a+b", ".tmp", "a/.b", "sp ace", "nul\n"}) {
    EXPECT_FALSE(store().Create(Object(text), spec_, false).ok()) << text;
    EXPECT_FALSE(store().Stat(Object(text)).ok()) << text;
    EXPECT_FALSE(GetOne(store(), Object(text), 0).ok()) << text;
  }
  EXPECT_FALSE(store().Create(Object(std::string(256, 'a')), spec_, false).ok());
  std::string longest;
  while (longest.size() < 250) longest += std::string(49, 'x') + "/";
  longest += "12345";
  ASSERT_EQ(longest.size(), 255u);
  TRIBUTARY_ASSERT_OK(store().Create(Object(longest), spec_, false));
  EXPECT_THAT(*store().List("", "", 10), ::testing::ElementsAre(Object(longest)));
}

TEST_P(BlobStoreConformance, AnUpdateOfNumbersThatAreNotFiniteIsRefused) {
  wire::ObjectSpec update = spec_;
  update.kind = wire::ObjectKind::kUpdate;
  TRIBUTARY_ASSERT_OK(store().Create(name_, update, false));
  std::vector<float> numbers(1024, 1.5f);
  const auto bytes = std::as_bytes(std::span(numbers));
  TRIBUTARY_ASSERT_OK(PutOne(store(), name_, 3, bytes));
  for (const float bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    numbers[1023] = bad;
    const Status put = PutOne(store(), name_, 2, bytes);
    ASSERT_EQ(CodeOf(put), "invalid argument");
    EXPECT_THAT(put.error().message(), ::testing::AllOf(::testing::HasSubstr("slot 2"), ::testing::HasSubstr(name_.str())));
  }
  EXPECT_EQ(store().Stat(name_)->slots_present, 1u);
  // Integers have no such values, and models may hold what they like.
  TRIBUTARY_ASSERT_OK(PutOne(store(), name_, 5, bytes));
  TRIBUTARY_ASSERT_OK(store().Create(Object("model"), spec_, false));
  TRIBUTARY_ASSERT_OK(PutOne(store(), Object("model"), 2, bytes));
}

TEST_P(BlobStoreConformance, ObjectsOfEveryEncodingAreStoredAtTheirSize) {
  for (const auto encoding : {tensor::Encoding::kF16, tensor::Encoding::kBF16, tensor::Encoding::kInt8, tensor::Encoding::kNf4}) {
    wire::ObjectSpec update = spec_;
    update.kind = wire::ObjectKind::kUpdate;
    update.encoding = encoding;
    const ObjectName name = Object("update/" + std::string(tensor::EncodingName(encoding)));
    TRIBUTARY_ASSERT_OK(store().Create(name, update, false));
    std::uint64_t total = 0;
    const auto chunk_of = [&](std::uint64_t slot) {
      const auto place = layout_.Place(slot);
      std::vector<std::byte> chunk(encoding::EncodedBytes(place.dtype, encoding, place.elements), std::byte{3});
      if (encoding::EffectiveEncoding(place.dtype, encoding) != tensor::Encoding::kNative) {
        const std::vector<float> values(place.elements, 1.0f + static_cast<float>(slot));
        EXPECT_TRUE(encoding::EncodePart(encoding, values, 0, place.elements, chunk).ok());
      }
      return chunk;
    };
    EXPECT_EQ(CodeOf(PutOne(store(), name, 0, Pattern(layout_.SlotBytes(0), 0))), "invalid argument") << "the native size";
    auto hostile = chunk_of(0);
    std::fill_n(hostile.begin(), 4, std::byte{0xFF});  // a scale, or two halves
    const Status put = PutOne(store(), name, 0, hostile);
    ASSERT_EQ(CodeOf(put), "invalid argument");
    EXPECT_THAT(put.error().message(), ::testing::HasSubstr("slot 0 of update"));
    for (std::uint64_t slot = 0; slot < layout_.slot_count(); ++slot) {
      TRIBUTARY_ASSERT_OK(PutOne(store(), name, slot, chunk_of(slot)));
      total += chunk_of(slot).size();
    }
    TRIBUTARY_ASSERT_OK(store().Seal(name, 0, false));
    EXPECT_EQ(store().Stat(name)->bytes, total);
    EXPECT_EQ(store().Root(name)->bytes, total);
    for (std::uint64_t slot = 0; slot < layout_.slot_count(); ++slot) {
      const auto chunk = GetOne(store(), name, slot);
      TRIBUTARY_ASSERT_OK(chunk);
      EXPECT_EQ(*chunk, chunk_of(slot)) << slot;
    }
  }
}

// Of differences alone: whole numbers, sections that travel native and open objects have none.
TEST_P(BlobStoreConformance, ASealedUpdateOfDifferencesTellsItsNorm) {
  for (const bool delta : {true, false}) {
    wire::ObjectSpec update = spec_;
    update.kind = wire::ObjectKind::kUpdate;
    update.encoding = tensor::Encoding::kInt8;
    update.delta = delta;
    const ObjectName name = Object(delta ? "differences" : "whole");
    TRIBUTARY_ASSERT_OK(store().Create(name, update, false));
    std::uint64_t floats = 0;
    for (std::uint64_t slot = 0; slot < layout_.slot_count(); ++slot) {
      const auto place = layout_.Place(slot);
      std::vector<std::byte> chunk(encoding::EncodedBytes(place.dtype, update.encoding, place.elements), std::byte{9});
      if (place.dtype == tensor::DType::kF32) {
        floats += place.elements;
        ASSERT_TRUE(encoding::EncodePart(update.encoding, std::vector<float>(place.elements, -0.5f), 0, place.elements, chunk).ok());
      }
      // Twice, as after a lost acknowledgement: counted once.
      for (int i = 0; i < 2; ++i) TRIBUTARY_ASSERT_OK(PutOne(store(), name, slot, chunk));
    }
    EXPECT_EQ(store().Stat(name)->norm, 0);
    TRIBUTARY_ASSERT_OK(store().Seal(name, 0, false));
    EXPECT_NEAR(store().Stat(name)->norm, delta ? 0.5 * std::sqrt(static_cast<double>(floats)) : 0, 1e-4);
  }
}

TEST_P(BlobStoreConformance, ChunksComeBackInAnyOrder) {
  TRIBUTARY_ASSERT_OK(store().Create(name_, spec_, false));
  auto writer = store().Write({});
  TRIBUTARY_ASSERT_OK(writer);
  for (const std::uint64_t slot : {6, 0, 4, 2, 5, 1, 3}) {
    TRIBUTARY_ASSERT_OK(PutBytes(**writer, name_, slot, Pattern(layout_.SlotBytes(slot), slot)));
  }
  TRIBUTARY_ASSERT_OK((*writer)->Flush());
  std::vector<std::uint64_t> order = {3, 1, 6, 0, 5, 2, 4, 3};
  auto reader = store().Read(
      [&, i = std::size_t{0}]() mutable -> std::optional<ChunkRef> {
        if (i == order.size()) return std::nullopt;
        return ChunkRef{name_, order[i++]};
      },
      {});
  TRIBUTARY_ASSERT_OK(reader);
  for (const std::uint64_t slot : order) {
    auto chunk = (*reader)->Next();
    TRIBUTARY_ASSERT_OK(chunk);
    ASSERT_TRUE(chunk->has_value());
    EXPECT_EQ((*chunk)->slot, slot);
    EXPECT_EQ((*chunk)->object, name_);
    EXPECT_TRUE(std::ranges::equal((*chunk)->bytes, Pattern(layout_.SlotBytes(slot), slot))) << slot;
  }
  auto end = (*reader)->Next();
  TRIBUTARY_ASSERT_OK(end);
  EXPECT_FALSE(end->has_value());
  EXPECT_EQ(store().Stat(name_)->slots_present, 7u);
  EXPECT_EQ(store().Stat(name_)->bytes_present, layout_.total_bytes());
}

TEST_P(BlobStoreConformance, WrongLengthsAndSlotsAreRefused) {
  TRIBUTARY_ASSERT_OK(store().Create(name_, spec_, false));
  EXPECT_EQ(CodeOf(PutOne(store(), name_, 0, Pattern(4095, 0))), "invalid argument");
  EXPECT_EQ(CodeOf(PutOne(store(), name_, 0, Pattern(4097, 0))), "invalid argument");
  EXPECT_EQ(CodeOf(PutOne(store(), name_, 4, Pattern(4096, 0))), "invalid argument");  // the short one
  EXPECT_EQ(CodeOf(PutOne(store(), name_, 7, Pattern(4096, 0))), "not found");
  EXPECT_EQ(CodeOf(GetOne(store(), name_, 7)), "not found");
  EXPECT_EQ(store().Stat(name_)->slots_present, 0u);
}

TEST_P(BlobStoreConformance, NothingIsDoneToAnObjectThatIsNotThere) {
  EXPECT_EQ(CodeOf(store().Stat(name_)), "not found");
  EXPECT_EQ(CodeOf(store().Spec(name_)), "not found");
  EXPECT_EQ(CodeOf(store().Missing(name_, {0, 0}, 0)), "not found");
  EXPECT_EQ(CodeOf(store().Seal(name_, 0, false)), "not found");
  EXPECT_EQ(CodeOf(store().Root(name_)), "not found");
  EXPECT_EQ(CodeOf(store().Page(name_, 0)), "not found");
  EXPECT_EQ(CodeOf(PutOne(store(), name_, 0, Pattern(4096, 0))), "not found");
  EXPECT_EQ(CodeOf(GetOne(store(), name_, 0)), "not found");
}

TEST_P(BlobStoreConformance, AnOlderGenerationIsRefusedAndANewerOneReplaces) {
  TRIBUTARY_ASSERT_OK(store().Create(name_, spec_, false));
  TRIBUTARY_ASSERT_OK(PutOne(store(), name_, 2, Pattern(4096, 2, 1), 5));
  EXPECT_EQ(CodeOf(PutOne(store(), name_, 2, Pattern(4096, 2, 2), 4)), "conflict");
  EXPECT_EQ(*GetOne(store(), name_, 2), Pattern(4096, 2, 1));
  TRIBUTARY_ASSERT_OK(PutOne(store(), name_, 2, Pattern(4096, 2, 3), 5));
  EXPECT_EQ(*GetOne(store(), name_, 2), Pattern(4096, 2, 3));
  TRIBUTARY_ASSERT_OK(PutOne(store(), name_, 2, Pattern(4096, 2, 3), 6));
  EXPECT_EQ(store().Stat(name_)->generation, 6u);
  EXPECT_EQ(store().Stat(name_)->slots_present, 1u);
  ReadOptions newer;
  newer.min_generation = 7;
  EXPECT_EQ(CodeOf(GetOne(store(), name_, 2, newer)), "unavailable");
  newer.min_generation = 6;
  EXPECT_EQ(*GetOne(store(), name_, 2, newer), Pattern(4096, 2, 3));
}

TEST_P(BlobStoreConformance, ASlotOfAnUpdateKeepsItsFirstBytes) {
  wire::ObjectSpec update = spec_;
  update.kind = wire::ObjectKind::kUpdate;
  TRIBUTARY_ASSERT_OK(store().Create(name_, update, false));
  wire::ObjectSpec other = update;
  other.sample_count = update.sample_count + 1;
  TRIBUTARY_ASSERT_OK(store().Create(name_, other, true));  // it holds nothing yet
  TRIBUTARY_ASSERT_OK(PutOne(store(), name_, 5, Pattern(4096, 5, 1)));
  TRIBUTARY_ASSERT_OK(PutOne(store(), name_, 5, Pattern(4096, 5, 1)));
  const auto refused = PutOne(store(), name_, 5, Pattern(4096, 5, 2));
  EXPECT_EQ(CodeOf(refused), "conflict");
  EXPECT_THAT(refused.error().message(), ::testing::HasSubstr("slot 5 of update"));
  EXPECT_EQ(*GetOne(store(), name_, 5), Pattern(4096, 5, 1));
  const auto replaced = store().Create(name_, update, true);
  EXPECT_EQ(CodeOf(replaced), "already exists");
  EXPECT_THAT(replaced.error().message(), ::testing::HasSubstr("holds chunks"));
  EXPECT_EQ(*GetOne(store(), name_, 5), Pattern(4096, 5, 1));
}

TEST_P(BlobStoreConformance, MissingTellsTheRanges) {
  TRIBUTARY_ASSERT_OK(store().Create(name_, spec_, false));
  for (const std::uint64_t slot : {1, 2, 5}) {
    TRIBUTARY_ASSERT_OK(PutOne(store(), name_, slot, Pattern(layout_.SlotBytes(slot), slot), slot));
  }
  using Ranges = std::vector<tensor::SlotRange>;
  EXPECT_EQ(*store().Missing(name_, layout_.all_slots(), 0), (Ranges{{0, 1}, {3, 5}, {6, 7}}));
  EXPECT_EQ(*store().Missing(name_, {1, 4}, 0), (Ranges{{3, 4}}));
  EXPECT_EQ(*store().Missing(name_, {1, 3}, 2), (Ranges{{1, 2}}));
  EXPECT_EQ(*store().Missing(name_, {1, 3}, 0), Ranges{});
  EXPECT_EQ(CodeOf(store().Missing(name_, {0, 8}, 0)), "invalid argument");
  EXPECT_EQ(CodeOf(store().Missing(name_, {3, 2}, 0)), "invalid argument");
}

TEST_P(BlobStoreConformance, SealNeedsEverySlot) {
  TRIBUTARY_ASSERT_OK(store().Create(name_, spec_, false));
  TRIBUTARY_ASSERT_OK(PutOne(store(), name_, 0, Pattern(4096, 0)));
  const auto sealed = store().Seal(name_, 0, false);
  ASSERT_EQ(CodeOf(sealed), "unavailable");
  EXPECT_THAT(sealed.error().message(), ::testing::HasSubstr("6 of 7"));
  EXPECT_FALSE(store().Stat(name_)->sealed);
  EXPECT_EQ(CodeOf(store().Root(name_)), "unavailable");
  EXPECT_EQ(CodeOf(store().Page(name_, 0)), "unavailable");
}

TEST_P(BlobStoreConformance, SealNeedsTheGenerationThatIsAskedFor) {
  TRIBUTARY_ASSERT_OK(store().Create(name_, spec_, false));
  TRIBUTARY_ASSERT_OK(PutAll(store(), name_, layout_, 0, 3));
  TRIBUTARY_ASSERT_OK(PutOne(store(), name_, 3, Pattern(4096, 3), 4));
  EXPECT_EQ(CodeOf(store().Seal(name_, 3, false)), "conflict");
  TRIBUTARY_ASSERT_OK(PutAll(store(), name_, layout_, 0, 4));
  TRIBUTARY_ASSERT_OK(store().Seal(name_, 4, false));
  EXPECT_EQ(CodeOf(store().Seal(name_, 3, false)), "conflict");
}

TEST_P(BlobStoreConformance, SealingAgainGivesTheSameDigest) {
  TRIBUTARY_ASSERT_OK(store().Create(name_, spec_, false));
  TRIBUTARY_ASSERT_OK(PutAll(store(), name_, layout_));
  const auto first = store().Seal(name_, 0, false);
  TRIBUTARY_ASSERT_OK(first);
  EXPECT_EQ(first->size(), 64u);
  EXPECT_EQ(*store().Seal(name_, 0, true), *first);
  EXPECT_EQ(*store().Seal(name_, 0, false), *first);
  EXPECT_EQ(store().Stat(name_)->digest, *first);
  EXPECT_TRUE(store().Stat(name_)->sealed);
}

TEST_P(BlobStoreConformance, ASealedObjectTakesNoChunks) {
  TRIBUTARY_ASSERT_OK(store().Create(name_, spec_, false));
  TRIBUTARY_ASSERT_OK(PutAll(store(), name_, layout_));
  TRIBUTARY_ASSERT_OK(store().Seal(name_, 0, true));
  EXPECT_EQ(CodeOf(PutOne(store(), name_, 0, Pattern(4096, 0, 9), 9)), "conflict");
  EXPECT_EQ(*GetOne(store(), name_, 0), Pattern(4096, 0));
}

TEST_P(BlobStoreConformance, TheDigestDependsOnContentAloneAndEqualsThatOfTheMemoryStore) {
  memory::Pool pool(1_MiB);
  const auto reference = MakeMemoryStore(pool);
  std::vector<std::string> digests;
  for (BlobStore* each : {static_cast<BlobStore*>(reference.get()), &store()}) {
    for (const char* text : {"a", "other/name"}) {
      TRIBUTARY_ASSERT_OK(each->Create(Object(text), spec_, false));
      TRIBUTARY_ASSERT_OK(PutAll(*each, Object(text), layout_));
      digests.push_back(*each->Seal(Object(text), 0, false));
    }
  }
  EXPECT_THAT(digests, ::testing::Each(digests.front()));
  TRIBUTARY_ASSERT_OK(store().Create(name_, spec_, false));
  TRIBUTARY_ASSERT_OK(PutAll(store(), name_, layout_, 1));
  EXPECT_NE(*store().Seal(name_, 0, false), digests.front());
}

TEST_P(BlobStoreConformance, TheManifestHoldsTheDigestsOfTheChunks) {
  TRIBUTARY_ASSERT_OK(store().Create(name_, spec_, false));
  TRIBUTARY_ASSERT_OK(PutAll(store(), name_, layout_));
  const auto digest = store().Seal(name_, 0, false);
  TRIBUTARY_ASSERT_OK(digest);
  const auto root = store().Root(name_);
  TRIBUTARY_ASSERT_OK(root);
  wire::ObjectSpec content = spec_;
  content.repetitive = false;  // how it is kept is no part of it
  EXPECT_EQ(root->spec, content);
  EXPECT_EQ(root->slots, 7u);
  EXPECT_EQ(root->bytes, layout_.total_bytes());
  ASSERT_EQ(root->pages.size(), 1u);
  const std::string encoded = wire::EncodeManifestRoot(*root);
  EXPECT_EQ(digest::Hex(digest::ComputeSha256(std::as_bytes(std::span(encoded)))), *digest);
  const auto page = store().Page(name_, 0);
  TRIBUTARY_ASSERT_OK(page);
  const std::string page_bytes = wire::EncodePage(*page);
  EXPECT_EQ(digest::ComputeSha256(std::as_bytes(std::span(page_bytes))), root->pages[0]);
  ASSERT_EQ(page->size(), 7u);
  for (std::uint64_t slot = 0; slot < 7; ++slot) {
    const auto bytes = Pattern(layout_.SlotBytes(slot), slot);
    EXPECT_EQ((*page)[slot].sha256, digest::ComputeSha256(bytes));
    EXPECT_EQ((*page)[slot].xxh128, digest::ComputeXxh128(bytes));
  }
  EXPECT_EQ(CodeOf(store().Page(name_, 1)), "not found");
}

TEST_P(BlobStoreConformance, RemoveIsFinalAndMayBeRepeated) {
  TRIBUTARY_ASSERT_OK(store().Create(name_, spec_, false));
  TRIBUTARY_ASSERT_OK(PutAll(store(), name_, layout_));
  TRIBUTARY_ASSERT_OK(store().Seal(name_, 0, false));
  TRIBUTARY_ASSERT_OK(store().Remove(name_));
  EXPECT_EQ(CodeOf(store().Stat(name_)), "not found");
  EXPECT_EQ(CodeOf(GetOne(store(), name_, 0)), "not found");
  TRIBUTARY_ASSERT_OK(store().Remove(name_));
  TRIBUTARY_ASSERT_OK(store().Create(name_, spec_, false));
  EXPECT_EQ(store().Stat(name_)->slots_present, 0u);
}

TEST_P(BlobStoreConformance, ListGivesNamesInOrderAPageAtATime) {
  const std::vector<std::string> names = {"a", "a-b", "a.b", "a/b", "a/b/c", "a/c", "a0", "b/a", "c"};
  for (auto it = names.rbegin(); it != names.rend(); ++it) TRIBUTARY_ASSERT_OK(store().Create(Object(*it), spec_, false));
  const auto list = [&](const std::string& prefix, std::uint32_t limit) {
    std::vector<std::string> all;
    for (std::string after;;) {
      const auto page = store().List(prefix, after, limit);
      if (!page.ok()) return std::vector<std::string>{page.error().message()};
      EXPECT_LE(page->size(), limit);
      if (page->empty()) return all;
      for (const ObjectName& name : *page) all.push_back(name.str());
      after = all.back();
    }
  };
  EXPECT_EQ(list("", 2), names);
  EXPECT_EQ(list("", 100), names);
  EXPECT_EQ(list("a/", 1), (std::vector<std::string>{"a/b", "a/b/c", "a/c"}));
  EXPECT_EQ(list("zz", 10), std::vector<std::string>{});
}

TEST_P(BlobStoreConformance, AnAbsentSlotIsUnavailableAtOnceWithoutWait) {
  TRIBUTARY_ASSERT_OK(store().Create(name_, spec_, false));
  EXPECT_EQ(CodeOf(GetOne(store(), name_, 0)), "unavailable");
}

TEST_P(BlobStoreConformance, AWaitThatEndsWithoutTheSlotIsADeadlineThatNamesIt) {
  TRIBUTARY_ASSERT_OK(store().Create(name_, spec_, false));
  ReadOptions options;
  options.wait = Duration(50);
  const auto got = GetOne(store(), name_, 3, options);
  ASSERT_EQ(CodeOf(got), "deadline");
  EXPECT_THAT(got.error().message(), ::testing::AllOf(::testing::HasSubstr("slot 3"), ::testing::HasSubstr(name_.str())));
}

TEST_P(BlobStoreConformance, AReaderWaitsForAWriterInAnotherThread) {
  TRIBUTARY_ASSERT_OK(store().Create(name_, spec_, false));
  std::thread writer([&] {
    for (std::uint64_t slot = layout_.slot_count(); slot-- > 0;) {
      EXPECT_TRUE(PutOne(harness_->Another(), name_, slot, Pattern(layout_.SlotBytes(slot), slot)).ok());
    }
  });
  ReadOptions options;
  options.wait = Duration(60'000);
  auto reader = store().Read(SlotsOf(name_, layout_.all_slots()), options);
  std::uint64_t slots = 0;
  while (reader.ok()) {
    auto chunk = (*reader)->Next();
    if (!chunk.ok()) ADD_FAILURE() << chunk.error().message();
    if (!chunk.ok() || !*chunk) break;
    EXPECT_TRUE(std::ranges::equal((*chunk)->bytes, Pattern(layout_.SlotBytes(slots), slots)));
    ++slots;
  }
  writer.join();
  EXPECT_EQ(slots, layout_.slot_count());
}

TEST_P(BlobStoreConformance, AReaderStopsWhenAsked) {
  TRIBUTARY_ASSERT_OK(store().Create(name_, spec_, false));
  std::stop_source stop;
  ReadOptions options;
  options.wait = Duration(60'000);
  options.stop = stop.get_token();
  auto reader = store().Read(SlotsOf(name_, layout_.all_slots()), options);
  TRIBUTARY_ASSERT_OK(reader);
  std::thread stopper([&] { stop.request_stop(); });
  EXPECT_EQ(CodeOf((*reader)->Next()), "cancelled");
  stopper.join();
}

TEST_P(BlobStoreConformance, AWaitingReaderHearsThatItsObjectIsRemoved) {
  TRIBUTARY_ASSERT_OK(store().Create(name_, spec_, false));
  ReadOptions options;
  options.wait = Duration(60'000);
  auto reader = store().Read(SlotsOf(name_, layout_.all_slots()), options);
  TRIBUTARY_ASSERT_OK(reader);
  std::thread remover([&] { EXPECT_TRUE(harness_->Another().Remove(name_).ok()); });
  EXPECT_EQ(CodeOf((*reader)->Next()), "not found");
  remover.join();
}

TEST_P(BlobStoreConformance, ReadsSeveralObjectsInSlotMajorOrderWhileItWrites) {
  // What the aggregator does: a chunk of each input is held while the next is read, then one is written.
  const std::vector<ObjectName> inputs = {Object("u/0"), Object("u/1"), Object("u/2")};
  const ObjectName output = Object("out");
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    TRIBUTARY_ASSERT_OK(store().Create(inputs[i], spec_, false));
    TRIBUTARY_ASSERT_OK(PutAll(store(), inputs[i], layout_, i));
  }
  TRIBUTARY_ASSERT_OK(store().Create(output, spec_, false));
  auto reader = store().Read(
      [&, i = std::uint64_t{0}]() mutable -> std::optional<ChunkRef> {
        if (i == layout_.slot_count() * inputs.size()) return std::nullopt;
        ChunkRef ref{inputs[i % inputs.size()], i / inputs.size()};
        ++i;
        return ref;
      },
      {});
  auto writer = store().Write({});
  TRIBUTARY_ASSERT_OK(reader);
  TRIBUTARY_ASSERT_OK(writer);
  for (std::uint64_t slot = 0; slot < layout_.slot_count(); ++slot) {
    std::vector<std::byte> sum(layout_.SlotBytes(slot));
    std::vector<Chunk> held;
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      auto chunk = (*reader)->Next();
      TRIBUTARY_ASSERT_OK(chunk);
      ASSERT_TRUE(chunk->has_value());
      EXPECT_EQ((*chunk)->object, inputs[i]);
      EXPECT_TRUE(std::ranges::equal((*chunk)->bytes, Pattern(sum.size(), slot, i)));
      for (std::size_t k = 0; k < sum.size(); ++k) sum[k] ^= (*chunk)->bytes[k];
      held.push_back(**std::move(chunk));
    }
    held.clear();
    TRIBUTARY_ASSERT_OK(PutBytes(**writer, output, slot, sum));
  }
  TRIBUTARY_ASSERT_OK((*writer)->Flush());
  TRIBUTARY_ASSERT_OK(store().Seal(output, 0, false));
}

}  // namespace tributary::blob::testing
