#include "tributary/objects/values.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "libs/blob/testing/store_testing.h"
#include "tributary/blob/local_store.h"
#include "tributary/digest/digest.h"

namespace tributary::objects {
namespace {

using blob::testing::Object;
using blob::testing::Pattern;

class ValuesTest : public ::testing::Test {
 protected:
  using Bytes = std::vector<std::byte>;
  struct Got {
    Container container = Container::kDict;
    std::vector<std::pair<std::string, Bytes>> entries;
  };
  Result<Got> RoundTrip(Result<std::unique_ptr<Source>> source, std::uint64_t max_entry = 1_MiB) {
    if (!source.ok()) return source.error();
    TRIBUTARY_TRY(store_->Remove(name_));
    TRIBUTARY_ASSIGN(const Outcome put, Put(*store_, name_, **source, {.chunk_bytes = 4096, .progress = {}, .stop = {}}));
    digest_ = put.digest;
    Got got;
    const auto sink = EntrySink(max_entry, [&](Container container, const std::string& key, Bytes value) {
      got.container = container;
      got.entries.emplace_back(key, std::move(value));
      return Ok();
    });
    TRIBUTARY_TRY(Get(*store_, name_, *sink).status());
    return got;
  }

  memory::Pool pool_{1u << 20};
  std::unique_ptr<blob::SlotStore> store_ = blob::MakeMemoryStore(pool_);
  const ObjectName name_ = Object("shared/values");
  std::string digest_;
  const Bytes large_ = Pattern(20'000, 1);
  const Bytes small_ = Pattern(3, 2);
  const Bytes none_;
};

TEST_F(ValuesTest, ADictionaryComesEntryByEntryWithItsKeys) {
  const auto got = RoundTrip(DictSource({{"weights", large_}, {"note", small_}, {"empty", none_}}));
  ASSERT_TRUE(got.ok()) << got.error().message();
  EXPECT_EQ(got->container, Container::kDict);
  ASSERT_EQ(got->entries.size(), 3u);
  EXPECT_EQ(got->entries[0], (std::pair<std::string, Bytes>("weights", large_)));
  EXPECT_EQ(got->entries[1], (std::pair<std::string, Bytes>("note", small_)));
  EXPECT_EQ(got->entries[2], (std::pair<std::string, Bytes>("empty", none_)));
}

TEST_F(ValuesTest, AListKeepsItsOrderAndItsRepetitions) {
  const auto got = RoundTrip(ListSource({small_, large_, small_}));
  ASSERT_TRUE(got.ok()) << got.error().message();
  EXPECT_EQ(got->container, Container::kList);
  ASSERT_EQ(got->entries.size(), 3u);
  EXPECT_EQ(got->entries[0].second, small_);
  EXPECT_EQ(got->entries[1].second, large_);
  EXPECT_EQ(got->entries[2], (std::pair<std::string, Bytes>("2", small_)));
}

TEST_F(ValuesTest, EqualSetsHaveEqualDigests) {
  const auto got = RoundTrip(SetSource({small_, large_}));
  ASSERT_TRUE(got.ok()) << got.error().message();
  const std::string digest = digest_;
  EXPECT_EQ(got->container, Container::kSet);
  EXPECT_EQ(got->entries.size(), 2u);
  EXPECT_EQ(got->entries[0].first, digest::Hex(digest::ComputeSha256(got->entries[0].second)));
  ASSERT_TRUE(RoundTrip(SetSource({large_, small_})).ok());
  EXPECT_EQ(digest_, digest);
}

TEST_F(ValuesTest, WhatCannotBeSentIsRefused) {
  EXPECT_EQ(ListSource({}).error().code(), Code::kInvalidArgument);
  EXPECT_EQ(SetSource({small_, small_}).error().code(), Code::kInvalidArgument);
  EXPECT_EQ(DictSource({{"a", small_}, {"a", large_}}).error().code(), Code::kInvalidArgument);
  EXPECT_EQ(DictSource({{"", small_}}).error().code(), Code::kInvalidArgument);
  EXPECT_EQ(DictSource({{std::string(256, 'k'), small_}}).error().code(), Code::kInvalidArgument);
}

TEST_F(ValuesTest, AnEntryLargerThanTheReceiverTakesIsRefusedBeforeItComes) {
  const auto got = RoundTrip(DictSource({{"weights", large_}}), 19'999);
  ASSERT_FALSE(got.ok());
  EXPECT_EQ(got.error().code(), Code::kResourceExhausted);
  EXPECT_THAT(got.error().message(), ::testing::HasSubstr("'weights'"));
}

TEST_F(ValuesTest, AReceiversErrorEndsTheTransfer) {
  TRIBUTARY_ASSERT_OK(RoundTrip(ListSource({small_, small_})));
  int calls = 0;
  const auto sink = EntrySink(1_MiB, [&](Container, const std::string&, std::vector<std::byte>) -> Status {
    ++calls;
    return MakeError(Code::kCancelled, "enough");
  });
  EXPECT_EQ(Get(*store_, name_, *sink).error().message(), "enough");
  EXPECT_EQ(calls, 1);
}

}  // namespace
}  // namespace tributary::objects
