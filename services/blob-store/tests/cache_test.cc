// A blob-store that is a cache of another one: each slot crosses the link between them once.
#include <gmock/gmock.h>

#include <array>
#include <atomic>
#include <fstream>
#include <thread>

#include "services/blob-store/tests/harness.h"
#include "tributary/transport/frame_client.h"
#include "tributary/wire/control.h"
#include "tributary/wire/data.h"

namespace tributary::service::testing {
namespace {

using blob::testing::LayoutOf;
using blob::testing::Object;
using blob::testing::OneTensorSpec;
using blob::testing::Pattern;
using blob::testing::PutAll;
using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr std::uint64_t kChunk = 16_KiB;
constexpr std::uint64_t kSlots = 200;

class CacheTest : public ::testing::Test {
 protected:
  CacheTest() {
    cache_.Kill();
    cache_.spec().upstream = {upstream_.endpoint()};
    cache_.spec().upstream_answer = Duration(1'000);
    cache_.spec().cache_in_use = Duration(0);
    cache_.Start();
  }
  // Sealed upstream; gives its digest.
  std::string Put(const std::string& name, std::uint64_t slots = kSlots, bool seal = true) {
    Client writer(upstream_.endpoint());
    const auto spec = OneTensorSpec(slots * kChunk, kChunk);
    EXPECT_TRUE(writer->Create(Object(name), spec, false).ok());
    EXPECT_TRUE(PutAll(*writer, Object(name), LayoutOf(spec)).ok());
    return seal ? *writer->Seal(Object(name), 0, false) : "";
  }
  // Every byte of it, through the cache.
  Status Read(const std::string& name, std::uint64_t slots = kSlots, Duration wait = Duration(0)) {
    Client reader(cache_.endpoint());
    blob::ReadOptions options;
    options.wait = wait;
    TRIBUTARY_ASSIGN(const auto chunks, reader->Read(blob::SlotsOf(Object(name), {0, slots}), options));
    for (std::uint64_t slot = 0; slot < slots; ++slot) {
      TRIBUTARY_ASSIGN(const auto chunk, chunks->Next());
      const auto expected = Pattern(kChunk, slot);
      if (!chunk || !std::equal(expected.begin(), expected.end(), chunk->bytes.begin(), chunk->bytes.end())) {
        return MakeError(Code::kInternal, "slot {} has other bytes", slot);
      }
    }
    return Ok();
  }
  static void Until(const std::function<bool()>& condition) {
    for (int i = 0; i < 3000 && !condition(); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(10));
    EXPECT_TRUE(condition());
  }
  // Sealed in the cache, too: all of it is on its disk for good.
  bool Complete(const std::string& name) {
    std::string file = name;
    std::replace(file.begin(), file.end(), '/', '+');
    return std::filesystem::exists(cache_.spec().directory / "objects" / file / "root");
  }

  Server upstream_;
  Server cache_;
};

TEST_F(CacheTest, TwelveReadersAtOnceCostOneReadOfEachSlot) {
  const std::string digest = Put("models/1");
  std::vector<std::thread> readers;
  std::atomic<int> good{0};
  for (int i = 0; i < 12; ++i) {
    readers.emplace_back([&] {
      const Status read = Read("models/1");
      EXPECT_TRUE(read.ok()) << read.error().message();
      good += read.ok();
    });
  }
  for (std::thread& reader : readers) reader.join();
  EXPECT_EQ(good, 12);
  EXPECT_EQ(upstream_->stats().chunks_out, kSlots);
  EXPECT_EQ(cache_->stats().fetched_chunks, kSlots);
  Until([&] { return Complete("models/1"); });
  Client client(cache_.endpoint());
  const auto info = client->Stat(Object("models/1"));
  ASSERT_TRUE(info.ok()) << info.error().message();
  EXPECT_TRUE(info->sealed);
  EXPECT_EQ(info->digest, digest);
}

TEST_F(CacheTest, SpecManifestAndStatusAreThoseOfTheUpstream) {
  const std::string digest = Put("models/1");
  Client direct(upstream_.endpoint());
  Client client(cache_.endpoint());
  for (int i = 0; i < 2; ++i) {
    const auto info = client->Stat(Object("models/1"));
    ASSERT_TRUE(info.ok()) << info.error().message();
    EXPECT_EQ(info->digest, digest);
    EXPECT_EQ(*client->Spec(Object("models/1")), *direct->Spec(Object("models/1")));
    EXPECT_EQ(wire::EncodeManifestRoot(*client->Root(Object("models/1"))), wire::EncodeManifestRoot(*direct->Root(Object("models/1"))));
    EXPECT_EQ(*client->Page(Object("models/1"), 0), *direct->Page(Object("models/1"), 0));
    EXPECT_TRUE(client->Missing(Object("models/1"), {0, kSlots}, 0)->empty());
    EXPECT_EQ(client->Page(Object("models/1"), 1).error().code(), Code::kNotFound);
    // Once while it is fetched, once from the disk.
    Until([&] { return Complete("models/1"); });
  }
  EXPECT_EQ(client->Stat(Object("models/none")).error().code(), Code::kNotFound);
  EXPECT_EQ(Read("models/none", 1).error().code(), Code::kNotFound);
}

TEST_F(CacheTest, WritesAreRefusedAndSayWhereToGo) {
  Put("models/1");
  Client client(cache_.endpoint());
  const auto spec = OneTensorSpec(kChunk, kChunk);
  for (const Status& status : {client->Create(Object("x"), spec, false).status(), client->Seal(Object("models/1"), 0, false).status(),
                               client->Remove(Object("models/1")), client->List("", "", 10).status()}) {
    ASSERT_FALSE(status.ok());
    EXPECT_EQ(status.error().code(), Code::kPermission);
    EXPECT_THAT(status.error().message(), HasSubstr("dial " + upstream_.endpoint()));
  }
}

TEST_F(CacheTest, DigestsOfShardsAreForWhoeverWrites) {
  auto raw = transport::FrameClient::Connect(std::make_shared<transport::Context>(), {cache_.endpoint(), wire::kMaxDataFrame}).value();
  memory::Pool pool(1_MiB);
  const auto ask = [&](transport::OutFrame frame) {
    EXPECT_TRUE(raw->Send(std::move(frame)).ok());
    auto received = raw->Receive(Duration(20'000));
    if (!received.ok() || received->event != transport::Event::kFrame || received->frame.view().type != wire::Type::kError) return Error(Code::kUnknown, "none");
    return wire::ErrorOf(received->frame.view());
  };
  EXPECT_EQ(ask(transport::MakeFrame(1, wire::StoreHello{"test", 0})).code(), Code::kUnknown) << "welcome";
  EXPECT_EQ(ask(transport::MakeFrame(2, wire::GetDigests{"models/1", 0})).code(), Code::kPermission);
  auto page = pool.Allocate(memory::Side::kWrite, 48, Duration(1000)).value();
  std::ranges::fill(page->payload(), std::byte{1});
  EXPECT_EQ(ask(transport::MakeFrame(3, wire::PutDigests{"models/1", 0, 0}, std::move(page))).code(), Code::kPermission);
  EXPECT_EQ(cache_->stats().credit_violations, 1u) << "nobody asked for a payload";
}

TEST_F(CacheTest, WhatIsCompleteIsServedWhileUpstreamIsAwayAndOthersWait) {
  Put("models/1");
  Put("models/2");
  ASSERT_TRUE(Read("models/1").ok());
  Until([&] { return Complete("models/1"); });
  upstream_.Kill();
  cache_.Kill();
  cache_.Start();
  Client client(cache_.endpoint());
  EXPECT_TRUE(client->Stat(Object("models/1")).ok());
  const Status here = Read("models/1");
  EXPECT_TRUE(here.ok()) << here.error().message();
  Status waited;
  std::thread waiting([&] { waited = Read("models/2"); });
  Until([&] { return cache_->stats().upstream_away && cache_->stats().parked_reads > 0; });
  upstream_.Start();
  waiting.join();
  EXPECT_TRUE(waited.ok()) << waited.error().message();
  EXPECT_FALSE(cache_->stats().upstream_away);
  EXPECT_EQ(cache_->stats().fetched_chunks, kSlots);
}

TEST_F(CacheTest, GoesOnWhenUpstreamIsStartedAnewInTheMiddle) {
  constexpr std::uint64_t kMany = 3000;
  Put("models/1", kMany);
  Status read;
  std::thread reader([&] { read = Read("models/1", kMany); });
  Until([&] { return cache_->stats().fetched_chunks > 100; });
  const std::uint64_t before = upstream_->stats().chunks_out;
  upstream_.Kill();
  upstream_.Start();
  reader.join();
  EXPECT_TRUE(read.ok()) << read.error().message();
  // Only what was on its way comes again.
  EXPECT_LE(before + upstream_->stats().chunks_out, kMany + 64);
  EXPECT_EQ(cache_->stats().fetched_chunks, kMany);
}

TEST_F(CacheTest, AnObjectThatIsOpenUpstreamIsFollowedUntilItIsSealed) {
  Put("models/1", kSlots, /*seal=*/false);
  Client client(cache_.endpoint());
  const auto open = client->Stat(Object("models/1"));
  ASSERT_FALSE(open.ok());
  EXPECT_EQ(open.error().code(), Code::kUnavailable);
  EXPECT_THAT(open.error().message(), HasSubstr("is open at " + upstream_.endpoint()));
  Status read;
  std::thread reader([&] { read = Read("models/1", kSlots, Duration(60'000)); });
  Until([&] { return cache_->stats().parked_reads > 0; });
  EXPECT_EQ(cache_->stats().fetched_chunks, 0u);
  ASSERT_TRUE(Client(upstream_.endpoint())->Seal(Object("models/1"), 0, false).ok());
  reader.join();
  EXPECT_TRUE(read.ok()) << read.error().message();
}

TEST_F(CacheTest, TheLeastRecentlyUsedObjectMakesRoom) {
  cache_.Kill();
  cache_.spec().quota = 2 * kSlots * kChunk + 1_MiB;
  cache_.Start();
  for (const char* name : {"a", "b", "c"}) Put(name);
  for (const char* name : {"a", "b", "a"}) {
    ASSERT_TRUE(Read(name).ok()) << name;
    Until([&] { return Complete(name); });
  }
  EXPECT_EQ(cache_->stats().fetched_chunks, 2 * kSlots);
  const Status third = Read("c");
  ASSERT_TRUE(third.ok()) << third.error().message();
  EXPECT_EQ(cache_->stats().evicted, 1u);
  Until([&] { return Complete("c"); });
  ASSERT_TRUE(Read("a").ok());
  EXPECT_EQ(cache_->stats().fetched_chunks, 3 * kSlots);  // it was still here
  ASSERT_TRUE(Read("b").ok());
  EXPECT_EQ(cache_->stats().fetched_chunks, 4 * kSlots);
  Put("huge", 3 * kSlots);
  EXPECT_THAT(Read("huge", 3 * kSlots).error().message(), AllOf(HasSubstr("more than this cache's --quota"), HasSubstr("raise it")));
}

TEST_F(CacheTest, AnotherObjectOfTheNameTakesItsPlace) {
  cache_.Kill();
  cache_.spec().cache_revalidate = Duration(0);
  cache_.Start();
  Put("models/1");
  ASSERT_TRUE(Read("models/1").ok());
  Until([&] { return Complete("models/1"); });
  ASSERT_TRUE(Client(upstream_.endpoint())->Remove(Object("models/1")).ok());
  EXPECT_EQ(Client(cache_.endpoint())->Stat(Object("models/1")).error().code(), Code::kNotFound);
  const std::string digest = Put("models/1", 2 * kSlots);
  // What failed is not asked for again at once.
  Until([&] {
    const auto info = Client(cache_.endpoint())->Stat(Object("models/1"));
    return info.ok() && info->digest == digest;
  });
  EXPECT_TRUE(Read("models/1", 2 * kSlots).ok());
}

TEST_F(CacheTest, ADamagedChunkComesAnewAndADamagedManifestIsRefused) {
  Put("models/1");
  ASSERT_TRUE(Read("models/1").ok());
  Until([&] { return Complete("models/1"); });
  cache_.Kill();
  {
    std::fstream data(cache_.spec().directory / "objects/models+1/data", std::ios::in | std::ios::out | std::ios::binary);
    data.seekp(5 * kChunk + 3);
    data.write("\xff\0\xff", 3);
  }
  cache_.Start();
  const Status again = Read("models/1");
  EXPECT_TRUE(again.ok()) << again.error().message();
  EXPECT_GE(cache_->stats().fetched_chunks, kSlots);

  Put("models/2");
  upstream_.Kill();
  {
    std::fstream pages(upstream_.spec().directory / "objects/models+2/pages", std::ios::in | std::ios::out | std::ios::binary);
    pages.seekp(100);
    pages.write("\xff\0\xff", 3);
  }
  upstream_.Start();
  const Status damaged = Read("models/2");
  ASSERT_FALSE(damaged.ok());
  EXPECT_THAT(damaged.error().message(), HasSubstr("a page of the manifest of object 'models/2'"));
}

// Its disk holds other bytes, and records of them that are in order: only the manifest tells.
TEST_F(CacheTest, AnUpstreamThatGivesOtherBytesThanWereSealedIsFoundOut) {
  Put("models/1");
  upstream_.Kill();
  {
    const auto directory = upstream_.spec().directory / "objects/models+1";
    const auto forged = Pattern(kChunk, 5, /*salt=*/1);
    std::fstream data(directory / "data", std::ios::in | std::ios::out | std::ios::binary);
    data.seekp(5 * kChunk);
    data.write(reinterpret_cast<const char*>(forged.data()), static_cast<std::streamsize>(forged.size()));
    std::fstream slots(directory / "slots", std::ios::in | std::ios::out | std::ios::binary);
    std::array<std::byte, 128> record;
    slots.seekg(5 * record.size());
    slots.read(reinterpret_cast<char*>(record.data()), record.size());
    const auto put = [&](std::size_t at, const auto& bytes) { std::copy(bytes.begin(), bytes.end(), record.begin() + static_cast<std::ptrdiff_t>(at)); };
    put(24, digest::ComputeSha256(forged));
    put(56, digest::ComputeXxh128(forged));
    put(112, digest::ComputeXxh128(std::span(record).first(112)));
    slots.seekp(5 * record.size());
    slots.write(reinterpret_cast<const char*>(record.data()), record.size());
  }
  upstream_.Start();
  Client direct(upstream_.endpoint());
  ASSERT_EQ(*blob::testing::GetOne(*direct, Object("models/1"), 5), Pattern(kChunk, 5, 1));
  const Status read = Read("models/1");
  ASSERT_FALSE(read.ok());
  EXPECT_EQ(read.error().code(), Code::kDataLoss);
  EXPECT_THAT(read.error().message(), AllOf(HasSubstr("slot 5 of object 'models/1'"), HasSubstr("other bytes than were sealed")));
}

}  // namespace
}  // namespace tributary::service::testing
