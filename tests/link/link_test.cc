// Lines that are slow, break for a while or lose their connections: nothing is lost, and little is sent twice.
#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <future>
#include <thread>

#include "libs/base/testing/temp_directory.h"
#include "services/blob-store/tests/harness.h"
#include "tests/link/slow_link.h"

namespace tributary::testing {
namespace {

using blob::testing::LayoutOf;
using blob::testing::Object;
using blob::testing::OneTensorSpec;
using blob::testing::Pattern;
using service::testing::Client;
using service::testing::Server;

constexpr std::uint64_t kChunk = 256 * 1024;
constexpr std::uint64_t kSlots = 64;
constexpr std::uint64_t kWindow = 4_MiB;  // half the client's budget

bool Eventually(const std::function<bool()>& condition) {
  for (int i = 0; i < 20'000 && !condition(); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  return condition();
}

class Link : public ::testing::Test {
 protected:
  Link() {
    server_.Kill();
    server_.spec().credit_idle = Duration(300);
    server_.spec().unread_limit = Duration(500);
    server_.Start();
    link_ = SlowLink::Start(server_.endpoint(), {Duration(5), 16_MiB}).value();
  }

  // Puts, seals and reads an object over the line. `when` is called from another thread once so many bytes went up or down.
  void PutAndGet(std::uint64_t up, std::uint64_t down, const std::function<void()>& when) {
    Client client(link_->endpoint());
    const auto spec = OneTensorSpec(kSlots * kChunk, kChunk);
    ASSERT_TRUE(client->Create(Object("o"), spec, false).ok());
    auto event = std::async(std::launch::async, [&] {
      EXPECT_TRUE(Eventually([&] { return link_->up() >= up && link_->down() >= down; }));
      when();
    });
    auto writer = client->Write({});
    ASSERT_TRUE(writer.ok());
    for (std::uint64_t slot = 0; slot < kSlots; ++slot) {
      const Status put = blob::testing::PutBytes(**writer, Object("o"), slot, Pattern(kChunk, slot));
      ASSERT_TRUE(put.ok()) << put.error().message();
    }
    ASSERT_TRUE((*writer)->Flush().ok());
    ASSERT_TRUE(client->Seal(Object("o"), 0, false).ok());
    auto reader = client->Read(blob::SlotsOf(Object("o"), {0, kSlots}), {});
    ASSERT_TRUE(reader.ok());
    for (std::uint64_t slot = 0; slot < kSlots; ++slot) {
      const auto chunk = (*reader)->Next();
      ASSERT_TRUE(chunk.ok()) << chunk.error().message();
      ASSERT_TRUE(chunk->has_value());
      const auto expected = Pattern(kChunk, slot);
      ASSERT_TRUE(std::ranges::equal((*chunk)->bytes, expected)) << slot;
    }
    event.get();
    counters_ = client->counters();
  }

  Server server_;
  std::unique_ptr<SlowLink> link_;
  blob_client::TransferCounters counters_;
};

TEST_F(Link, NothingIsSentTwiceOverALongLine) {
  PutAndGet(0, 0, [] {});
  EXPECT_EQ(counters_.sessions, 1u);
  EXPECT_EQ(counters_.bytes_resent, 0u);
  EXPECT_EQ(counters_.bytes_reasked, 0u);
  EXPECT_EQ(counters_.bytes_written, kSlots * kChunk);
}

TEST_F(Link, AfterABreakOfAPutAtMostAWindowIsSentAgain) {
  PutAndGet(5_MiB, 0, [this] {
    link_->Break();
    // Long enough for the store to take the credit back, which others may need.
    EXPECT_TRUE(Eventually([this] { return server_->stats().peers == 0; }));
    link_->Mend();
  });
  EXPECT_LE(counters_.bytes_resent, kWindow);
  EXPECT_EQ(server_->stats().protocol_errors, 0u);
}

TEST_F(Link, AfterABreakOfAGetAtMostAWindowIsAskedForAgain) {
  PutAndGet(0, 5_MiB, [this] {
    link_->Break();
    std::uint64_t down = 0;
    EXPECT_TRUE(Eventually([&] { return std::exchange(down, server_->stats().bytes_out) == server_->stats().bytes_out; }));
    link_->Mend();
  });
  EXPECT_LE(counters_.bytes_reasked, kWindow);
  EXPECT_EQ(counters_.bytes_resent, 0u);
}

TEST_F(Link, LostConnectionsAreMadeAnew) {
  PutAndGet(5_MiB, 5_MiB, [this] { link_->Cut(); });
  EXPECT_EQ(counters_.sessions, 2u);
  EXPECT_LE(counters_.bytes_reasked, kWindow);

  Server other;
  link_ = SlowLink::Start(other.endpoint(), {Duration(5), 16_MiB}).value();
  PutAndGet(5_MiB, 0, [this] { link_->Cut(); });
  EXPECT_EQ(counters_.sessions, 2u);
  EXPECT_GT(counters_.bytes_resent, 0u);
  EXPECT_LE(counters_.bytes_resent, kWindow);
}

TEST_F(Link, AnEndpointThatIsNoneIsRefused) {
  EXPECT_EQ(SlowLink::Start("ipc:///tmp/x", {}).error().code(), Code::kInvalidArgument);
}

// A chunk takes two seconds on this line: twice as long as any wait may last that nobody renews. What the kernel counts shows how slow it is.
class SlowLine : public ::testing::Test {
 protected:
  static constexpr std::uint64_t kBigChunk = 1_MiB;
  static constexpr std::uint64_t kFew = 3;

  SlowLine() {
    server_.Kill();
    server_.spec().unread_limit = Duration(1'500);
    server_.Start();
  }
  std::unique_ptr<blob_client::RemoteStore> Connect(bool derived) {
    link_ = SlowLink::Start(server_.endpoint(), {Duration(5), 512_KiB}).value();
    blob_client::RemoteOptions options;
    options.endpoints = {link_->endpoint()};
    options.instance = "slow";
    options.read_timeout = options.write_timeout = options.ack_timeout = Duration(1'000);
    options.derived = {derived, derived, derived, derived};
    return blob_client::ConnectStore(context_, pool_, options).value();
  }
  static Status Put(blob::BlobStore& store, const ObjectName& name) {
    TRIBUTARY_TRY(store.Create(name, OneTensorSpec(kFew * kBigChunk, kBigChunk), false).status());
    TRIBUTARY_ASSIGN(const auto writer, store.Write({}));
    for (std::uint64_t slot = 0; slot < kFew; ++slot) TRIBUTARY_TRY(blob::testing::PutBytes(*writer, name, slot, Pattern(kBigChunk, slot)));
    TRIBUTARY_TRY(writer->Flush());
    return store.Seal(name, 0, false).status();
  }
  static Status Get(blob::BlobStore& store, const ObjectName& name) {
    TRIBUTARY_ASSIGN(const auto reader, store.Read(blob::SlotsOf(name, {0, kFew}), {}));
    for (std::uint64_t slot = 0; slot < kFew; ++slot) {
      TRIBUTARY_ASSIGN(const auto chunk, reader->Next());
      if (!chunk || !std::ranges::equal(chunk->bytes, Pattern(kBigChunk, slot))) return MakeError(Code::kDataLoss, "slot {} is not as it was put", slot);
    }
    return Ok();
  }

  Server server_;
  memory::Pool pool_{8_MiB};
  std::shared_ptr<transport::Context> context_ = std::make_shared<transport::Context>();
  std::unique_ptr<SlowLink> link_;
};

TEST_F(SlowLine, TimeoutsThatNobodyChoseAreAsLongAsTheLineIsSlow) {
  const auto store = Connect(true);
  const Status put = Put(*store, Object("o"));
  ASSERT_TRUE(put.ok()) << put.error().message();
  const Status got = Get(*store, Object("o"));
  EXPECT_TRUE(got.ok()) << got.error().message();
}

TEST_F(SlowLine, TimeoutsThatAreChosenAreWhatTheySay) {
  EXPECT_EQ(blob::testing::CodeOf(Put(*Connect(false), Object("o"))), "deadline");
  Client near(server_.endpoint());
  ASSERT_TRUE(Put(*near, Object("p")).ok());
  EXPECT_EQ(blob::testing::CodeOf(Get(*Connect(false), Object("p"))), "deadline");
}

// A store that is dead, not slow, is given up after the timeout itself: what was measured before it stopped was fast.
TEST_F(SlowLine, ALineThatStandsStillIsGivenUp) {
  link_ = SlowLink::Start(server_.endpoint(), {Duration(0), 0}).value();
  blob_client::RemoteOptions options;
  options.endpoints = {link_->endpoint()};
  options.instance = "fast";
  options.request_timeout = Duration(5'000);
  options.read_timeout = options.write_timeout = options.ack_timeout = Duration(1'000);
  options.derived = {true, true, true, true};
  const auto store = blob_client::ConnectStore(context_, pool_, options).value();
  ASSERT_TRUE(Put(*store, Object("o")).ok());
  link_->Break();
  EXPECT_EQ(blob::testing::CodeOf(Get(*store, Object("o"))), "deadline");
  link_->Mend();
}

}  // namespace
}  // namespace tributary::testing
