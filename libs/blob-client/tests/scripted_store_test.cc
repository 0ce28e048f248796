// A remote store against a server that answers as the test says: wrong, or late.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <functional>
#include <mutex>
#include <utility>

#include "tributary/blob_client/remote_store.h"
#include "tributary/transport/frame_server.h"
#include "tributary/wire/control.h"
#include "tributary/wire/data.h"
#include "tributary/wire/object.h"

namespace tributary::blob_client {
namespace {

using testing::HasSubstr;
using tensor::SlotRange;

class ScriptedStore final : public transport::Handler {
 public:
  void OnFrame(const transport::PeerId& peer, transport::InFrame frame) override {
    const auto& view = frame.view();
    if (view.type == wire::Type::kStoreHello) {
      return Send(peer, {wire::MakeHeader(wire::Type::kStoreWelcome, stray ? 0 : view.id, wire::EncodeBody(wire::StoreWelcome{1, 0, 1}), false, protocol), nullptr});
    }
    if (view.type == wire::Type::kGetMissing) {
      const auto asked = wire::Expect<wire::GetMissing>(view);
      const std::lock_guard lock(mutex_);
      return Send(peer, transport::MakeFrame(view.id, missing_(*asked)));
    }
    // Credit for what is asked, but for puts no acknowledgement ever.
    if (view.type == wire::Type::kCreditRequest) {
      const std::uint64_t bytes = std::min<std::uint64_t>(wire::Expect<wire::CreditRequest>(view)->bytes, credit);
      if (bytes > 0) Send(peer, transport::MakeFrame(view.id, wire::CreditGrant{bytes}));
    }
    // A store of an earlier release: it has manifests but takes no links.
    if (view.type == wire::Type::kGetPage) {
      auto page = pool_.Allocate(memory::Side::kWrite, digest_page.size(), Duration(1000)).value();
      std::copy_n(reinterpret_cast<const std::byte*>(digest_page.data()), digest_page.size(), page->payload().begin());
      return Send(peer, transport::MakeFrame(view.id, wire::PageBody{0}, std::move(page)));
    }
    if (view.type == wire::Type::kLinkChunk) {
      ++links;
      return Send(peer, {wire::EncodeError(view.id, MakeError(Code::kProtocol, "a blob-store does not take type 127")), nullptr});
    }
    if (view.type == wire::Type::kPutChunk && !digest_page.empty()) {
      ++puts;
      return Send(peer, transport::MakeFrame(view.id, wire::PutAck{wire::Expect<wire::PutChunk>(view)->slot}));
    }
    if (view.type == wire::Type::kList) late_ = {peer, view.id};
  }
  // A list whose answer takes `pongs_before_list` signs of life.
  void OnTick() override {
    if (late_.second == 0) return;
    if (++pongs_ <= pongs_before_list) return Send(late_.first, transport::MakeFrame(0, wire::Pong{"blob-store", "1"}));
    Send(late_.first, transport::MakeFrame(std::exchange(late_.second, 0), wire::ObjectList{{"a", "b"}}));
  }

  using MissingFn = std::function<wire::Missing(const wire::GetMissing&)>;
  void AnswerMissing(MissingFn missing) {
    const std::lock_guard lock(mutex_);
    missing_ = std::move(missing);
  }
  std::atomic<std::uint32_t> protocol = wire::kProtocol;  // of its welcome; all else is of ours
  std::atomic<bool> stray = false;  // its welcome answers nothing
  std::atomic<int> pongs_before_list = 0;
  std::string digest_page;  // set before anybody connects
  std::atomic<int> links = 0, puts = 0;
  std::atomic<std::uint64_t> credit = 0;
  std::atomic<transport::FrameServer*> server = nullptr;

 private:
  void Send(const transport::PeerId& peer, transport::OutFrame frame) { server.load()->Send(peer, std::move(frame)); }
  std::pair<transport::PeerId, std::uint64_t> late_;
  int pongs_ = 0;
  memory::Pool pool_{1_MiB};
  std::mutex mutex_;
  MissingFn missing_;  // protected by mutex_
};

class RemoteStoreTest : public testing::Test {
 protected:
  RemoteStoreTest() {
    transport::ServerOptions serving;
    serving.endpoint = "tcp://127.0.0.1:0";
    serving.max_frame_bytes = wire::kMaxDataFrame;
    serving.tick = Duration(20);
    auto started = transport::FrameServer::Start(context_, serving, script_);
    EXPECT_TRUE(started.ok());
    server_ = std::move(*started);
    script_.server = server_.get();
  }
  ~RemoteStoreTest() override { server_->Stop(); }

  // Why a put of one chunk is given up.
  Error PutError(const RemoteOptions& timeouts) {
    RemoteOptions options = timeouts;
    options.endpoints = {server_->endpoint()};
    options.instance = "test";
    const auto store = ConnectStore(context_, pool_, options);
    auto writer = (*store)->Write({});
    auto chunk = (*writer)->Allocate(4096);
    static_cast<void>((*writer)->Put(ObjectName::Trusted("o"), 0, *std::move(chunk)));
    const Status flushed = (*writer)->Flush();
    return flushed.ok() ? Error(Code::kUnknown, "it was not") : flushed.error();
  }

  std::unique_ptr<RemoteStore> Connect(Duration request_timeout = Duration(60'000)) {
    RemoteOptions options;
    options.endpoints = {server_->endpoint()};
    options.instance = "test";
    options.request_timeout = request_timeout;
    auto store = ConnectStore(context_, pool_, options);
    EXPECT_TRUE(store.ok());
    return std::move(*store);
  }

  memory::Pool pool_{4_MiB};
  std::shared_ptr<transport::Context> context_ = std::make_shared<transport::Context>();
  ScriptedStore script_;
  std::unique_ptr<transport::FrameServer> server_;
};

TEST_F(RemoteStoreTest, AWelcomeOfAnotherProtocolIsRefusedWithWhatToChange) {
  script_.protocol = 7;
  for (const bool stray : {false, true}) {
    script_.stray = stray;
    const auto store = Connect();
    const auto listed = store->List("", "", 10);
    ASSERT_FALSE(listed.ok());
    EXPECT_EQ(listed.error().code(), Code::kProtocol);
    EXPECT_EQ(listed.error().message(), fmt::format("the blob-store at {} speaks protocol 7, this program {}; install the same release on both sides, or images of the same tag",
                                                    server_->endpoint(), wire::kProtocol));
    // And when it was replaced by one of ours, the next request is served.
    if (stray) continue;
    script_.protocol = wire::kProtocol;
    EXPECT_TRUE(store->List("", "", 10).ok());
    script_.protocol = 7;
  }
}

TEST_F(RemoteStoreTest, MissingSlotsComeFromPagesThatMeet) {
  script_.AnswerMissing([](const wire::GetMissing& asked) {
    return asked.begin == 2 ? wire::Missing{{2, 3, 4, 6}, 6} : wire::Missing{{6, 7, 9, 10}, 10};
  });
  const auto missing = Connect()->Missing(ObjectName::Trusted("o"), {2, 10}, 0);
  ASSERT_TRUE(missing.ok()) << missing.error().message();
  EXPECT_EQ(*missing, (std::vector<SlotRange>{{2, 3}, {4, 7}, {9, 10}}));
}

TEST_F(RemoteStoreTest, MissingSlotsThatWereNotAskedForAreRefused) {
  const std::vector<wire::Missing> wrong = {
      {{1, 3}, 10},                // before the range
      {{8, 11}, 10},               // after it
      {{8, 1u << 30}, 10},
      {{5, 5}, 10},                // empty
      {{6, 5}, 10},                // backwards
      {{2, 5, 4, 6}, 10},          // one over the other
      {{6, 8, 2, 4}, 10},          // falling
      {{2, 7}, 6},                 // beyond what was looked at
      {{2}, 10},                   // no pair
      {{}, 11},
      {{}, 2},                     // no step forward
  };
  const auto store = Connect();
  for (std::size_t i = 0; i < wrong.size(); ++i) {
    script_.AnswerMissing([&, i](const wire::GetMissing&) { return wrong[i]; });
    const auto missing = store->Missing(ObjectName::Trusted("o"), {2, 10}, 0);
    ASSERT_FALSE(missing.ok()) << "case " << i;
    EXPECT_EQ(missing.error().code(), Code::kProtocol) << missing.error().message();
  }
}

TEST_F(RemoteStoreTest, ASenderWaitsForCreditAndForAcknowledgementsEachForItsOwnTime) {
  RemoteOptions options;
  options.write_timeout = Duration(100);
  options.ack_timeout = Duration(600'000);
  const Error without_credit = PutError(options);
  EXPECT_EQ(without_credit.code(), Code::kDeadline);
  EXPECT_THAT(without_credit.message(), HasSubstr("acknowledged nothing for 100 ms, slot 0 of object 'o'"));
  script_.credit = 1_MiB;
  std::swap(options.write_timeout, options.ack_timeout);
  const Error without_answer = PutError(options);
  EXPECT_EQ(without_answer.code(), Code::kDeadline);
  EXPECT_THAT(without_answer.message(), HasSubstr("acknowledged nothing for 100 ms"));
}

TEST_F(RemoteStoreTest, AStoreThatTakesNoLinksGetsTheBytesAndIsAskedNoMore) {
  script_.credit = 64_MiB;
  const std::vector<std::byte> bytes(4096, std::byte{5});
  const std::vector<wire::SlotDigest> digests(8, {digest::ComputeSha256(bytes), digest::ComputeXxh128(bytes)});
  script_.digest_page = wire::EncodePage(digests);
  const auto store = Connect();
  blob::WriteOptions options;
  options.same_as = ObjectName::Trusted("base");
  auto writer = store->Write(options);
  for (std::uint64_t slot = 0; slot < 8; ++slot) {
    auto chunk = (*writer)->Allocate(4096);
    ASSERT_TRUE(chunk.ok());
    std::ranges::copy(bytes, (*chunk)->payload().begin());
    ASSERT_TRUE((*writer)->Put(ObjectName::Trusted("o"), slot, *std::move(chunk)).ok());
    if (slot == 0) {
      ASSERT_TRUE((*writer)->Flush().ok());
    }
  }
  ASSERT_TRUE((*writer)->Flush().ok());
  EXPECT_EQ(script_.links, 1);
  EXPECT_EQ(script_.puts, 8);
  EXPECT_EQ((*writer)->deduplicated(), 0u);
}

TEST_F(RemoteStoreTest, AListThatTakesLongIsWaitedForWhileTheStoreIsAlive) {
  script_.pongs_before_list = 100;  // two seconds at least
  const auto names = Connect(Duration(1'000))->List("", "", 10);
  ASSERT_TRUE(names.ok()) << names.error().message();
  EXPECT_EQ(names->size(), 2u);
}

}  // namespace
}  // namespace tributary::blob_client
