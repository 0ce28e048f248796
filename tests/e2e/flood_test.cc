// Server processes with keys and a small budget, flooded by another process: their peak memory stays where docs/security.md says, and honest peers are served meanwhile.
#include <gmock/gmock.h>
#include <sys/resource.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <map>
#include <thread>

#include "libs/base/testing/sanitized.h"
#include "libs/transport/tests/ask.h"
#include "libs/transport/tests/proxy.h"
#include "libs/transport/tests/raw_connection.h"
#include "libs/transport/tests/raw_dealer.h"
#include "tests/e2e/keyed_federation.h"
#include "tributary/base/units.h"
#include "tributary/memory/process_memory.h"
#include "tributary/transport/frame.h"
#include "tributary/wire/codec.h"
#include "tributary/wire/control.h"
#include "tributary/wire/data.h"

namespace tributary::e2e {
namespace {

using transport::Event;
using transport::PeerRole;
using transport::RawConnection;
using transport::RawDealer;

constexpr Duration kPatience{20'000};
constexpr std::uint64_t kBudget = 16_MiB;
constexpr std::uint64_t kBound = kBudget + 64_MiB;

class Flood : public KeyedFederation {
 protected:
  Flood() {
    budget_ = "16MiB";
    rlimit files{};
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
  }
  void SetUp() override {
    ASSERT_NO_FATAL_FAILURE(KeyedFederation::SetUp());
    site_ = transport::ReadCurveKeys(dir_.File("keys/sites/a/key")).value();
    for (const auto& [server, role, endpoint, most] : {std::tuple("coordinator", PeerRole::kCoordinator, coordinator_at_, wire::kMaxControlFrame),
                                                       std::tuple("blob-store", PeerRole::kBlobStore, store_at_, wire::kMaxDataFrame)}) {
      targets_.push_back({endpoint, role, transport::ReadCurveKeys(dir_.File(fmt::format("keys/{}/key", server))).value().public_key, most});
    }
    WriteFile(dir_.File("list"), "what an operator puts");
    Serve();
  }
  // What an operator asks of both servers.
  void Serve() {
    const Outcome put = Operate({"put", "shared/list", dir_.File("list"), "--blob-store", store_at_});
    EXPECT_EQ(put.exit_code, 0) << put.err;
    const Outcome list = Operate({"list", "--coordinator", coordinator_at_});
    EXPECT_EQ(list.exit_code, 0) << list.err;
  }
  struct Target {
    std::string endpoint;
    PeerRole role;
    std::string key;
    std::size_t frame = 0;
  };
  // `attack` of each of the servers, one after the other.
  template <class Attack>
  void ExpectEachWithstands(Attack attack) {
    ExpectWithstood([&] {
      for (const Target& target : targets_) attack(target);
    });
  }
  // By a thread of this process, while an operator goes on.
  template <class Attack>
  void ExpectWithstood(Attack attack) {
    const std::map<std::string, Program*> servers = {{"coordinator", coordinator_.get()}, {"blob-store", store_.get()}, {"aggregator", workers_.front().get()}};
    std::map<std::string, std::uint64_t> before;
    for (const auto& [name, program] : servers) before[name] = memory::ReadProcessMemory(program->pid())->rss_peak;
    std::atomic<bool> over{false};
    std::thread attacker([&] {
      attack();
      over = true;
    });
    int served = 0;
    do {
      Serve();
      ++served;
    } while (!over);
    attacker.join();
    Serve();
    for (const auto& [name, program] : servers) {
      const auto memory = memory::ReadProcessMemory(program->pid());
      ASSERT_TRUE(memory.ok()) << name << " has ended: " << program->ErrorSoFar();
      std::printf("%s: %s before, at most %s; an operator was served %d times meanwhile\n", name.c_str(), FormatBytes(before[name]).c_str(), FormatBytes(memory->rss_peak).c_str(), served);
      if (!kSanitized) {
        EXPECT_LE(memory->rss_peak, before[name] + kBound) << name;
      }
    }
  }

  // What strangers do a thousand times is said once a minute, and in a short line.
  void ExpectSaidSeldom(const std::string& what) {
    for (const auto* server : {coordinator_.get(), store_.get()}) {
      const std::string log = server->ErrorSoFar();
      int lines = 0;
      for (auto at = log.find(what); at != std::string::npos; at = log.find(what, at + 1)) ++lines;
      EXPECT_GE(lines, 1) << what;
      EXPECT_LE(lines, 5) << what;
      EXPECT_LE(log.size(), 64_KiB);
    }
  }

  static std::unique_ptr<transport::FrameClient> DialAs(const transport::CurveKeys& keys, const Target& target, const std::string& endpoint = "") {
    return transport::testing::Dial(endpoint.empty() ? target.endpoint : endpoint, keys, target.role, target.key);
  }
  // A ping with `bytes` that mean nothing: a reader skips keys that it does not know.
  static std::string Ping(std::uint64_t id, std::size_t bytes) {
    const std::string body = std::string("\x81\xa1x\xda") + static_cast<char>(bytes >> 8) + static_cast<char>(bytes) + std::string(bytes, 'x');
    return wire::MakeHeader(wire::Type::kPing, id, body, false);
  }
  // Whoever has these keys is refused, and comes back at once, so many times in all, eight at a time.
  static void ComeBack(const Target& target, const transport::CurveKeys& keys, int times) {
    std::vector<std::unique_ptr<transport::FrameClient>> clients;
    for (int i = 0; i < 8; ++i) clients.push_back(DialAs(keys, target));
    for (int done = 0; done < times; done += 8) {
      // One that was refused before it could say anything takes nothing more.
      for (const auto& client : clients) static_cast<void>(client->Send({Ping(1, 32_KiB), nullptr}));
      for (const auto& client : clients) {
        const auto received = client->Receive(kPatience);
        ASSERT_TRUE(received.ok()) << received.error().message();
        ASSERT_EQ(received->event, Event::kLost) << "and no answer";
        ASSERT_TRUE(client->Refused());
        ASSERT_TRUE(client->Reset().ok());
      }
    }
  }
  // Sends pings, 32 of them ahead of their answers, until the connection ends. Returns how many were answered.
  static int PingUntilLost(transport::FrameClient& client, std::atomic<int>* answered_of_all) {
    int answered = 0;
    for (int sent = 0; sent < 10'000'000;) {
      if (sent < answered + 32 && client.Send({Ping(static_cast<std::uint64_t>(sent) + 1, 32_KiB), nullptr}).ok()) ++sent;
      const auto received = client.Receive(Duration(sent < answered + 32 ? 0 : 100));
      if (!received.ok() || received->event == Event::kLost) return answered;
      if (received->event == Event::kFrame && received->frame.view().type == wire::Type::kPong) ++answered, ++*answered_of_all;
    }
    ADD_FAILURE() << "it goes on and on";
    return answered;
  }

  transport::CurveKeys site_;
  std::vector<Target> targets_;
};

TEST_F(Flood, AThousandHalfOpenHandshakesThatKeepOnSending) {
  ExpectEachWithstands([](const Target& target) {
    std::string greeting = std::string("\xFF\0\0\0\0\0\0\0\1\x7F\3\0CURVE", 17) + std::string(47, '\0') + "\6";
    for (int shift = 56; shift >= 0; shift -= 8) greeting += static_cast<char>(static_cast<std::uint64_t>(target.frame) >> shift);
    const std::string piece(32_KiB, 'x');
    std::vector<std::unique_ptr<RawConnection>> half_open(1'000);
    for (int turn = 0; turn < 4; ++turn) {
      for (auto& one : half_open) {
        // Who was thrown out comes back.
        if (one && one->Write(piece)) continue;
        one = std::make_unique<RawConnection>(target.endpoint, false);
        one->Write(greeting + piece);
      }
    }
  });
}

TEST_F(Flood, MessagesOfKnownPeersThatDoNotEnd) {
  ExpectEachWithstands([this](const Target& target) {
    const std::string part(target.frame / 2, 'x');
    for (int turn = 0; turn < 4; ++turn) {
      std::vector<std::unique_ptr<RawDealer>> dealers;
      for (int i = 0; i < 4; ++i) {
        dealers.push_back(std::make_unique<RawDealer>(target.endpoint, site_, target.key));
        for (std::size_t bytes = 0; bytes < 48_MiB; bytes += part.size()) dealers.back()->Send(part, bytes + part.size() < 48_MiB);
      }
      // Until they are cut off, or it has come as a whole and is dropped.
      std::this_thread::sleep_for(std::chrono::milliseconds(500));
    }
  });
}

TEST_F(Flood, RequestsThatAreRefusedAndAnswersThatNobodyReads) {
  ExpectEachWithstands([this](const Target& target) {
    const bool store = target.endpoint == store_at_;
    // In all 256 MiB, by 32 peers one after the other, of whom each begins anew and reads nothing.
    const std::string hello = store ? wire::EncodeFrame(1, wire::StoreHello{"flood", 1}) : wire::EncodeFrame(1, wire::Hello{});
    std::string request = wire::EncodeFrame(2, wire::Submit{"job", std::string(32_KiB, 'x'), false});
    if (store) request = wire::MakeHeader(wire::Type::kPutChunk, 2, wire::EncodeBody(wire::PutChunk{"jobs/j/models/0", 0, 0, 0, {}}), true) + std::string(1_MiB, 'x');
    const std::string read = store ? wire::EncodeFrame(3, wire::GetChunk{"jobs/j/models/0", 0, 0, 60'000}) : wire::EncodeFrame(3, wire::GetLog{"job", 0});
    for (int peer = 0; peer < 32; ++peer) {
      RawDealer dealer(target.endpoint, site_, target.key);
      std::size_t sent = 0;
      int refused = 0;
      dealer.Send(hello);
      while (sent < 8_MiB && refused < 400) {
        const bool taken = dealer.Send(read) && dealer.Send(request);
        if (taken) sent += request.size();
        else ++refused, std::this_thread::sleep_for(std::chrono::milliseconds(5));
      }
      for (int i = 0; i < 900 && dealer.Send(read); ++i) {
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
  });
}

TEST_F(Flood, AnUnknownKeyThatComesBackAgainAndAgain) {
  const transport::CurveKeys unknown = transport::GenerateCurveKeys().value();
  ExpectEachWithstands([&](const Target& target) { ComeBack(target, unknown, 240); });
  ExpectSaidSeldom("it is not on the list of --peers");
}

TEST_F(Flood, ARevokedKeyThatKeepsOnSendingIsCutOffAndThenRefused) {
  const transport::CurveKeys revoked = transport::ReadCurveKeys(dir_.File("keys/sites/b/key")).value();
  using Clock = std::chrono::steady_clock;
  ExpectWithstood([&] {
    std::atomic<Clock::time_point> revoked_at{Clock::time_point::max()};
    std::vector<std::atomic<int>> answered(targets_.size());
    std::vector<std::thread> senders;
    for (std::size_t i = 0; i < 2 * targets_.size(); ++i) {
      senders.emplace_back([&, i] {
        const Target& target = targets_[i / 2];
        const auto client = DialAs(revoked, target);
        EXPECT_GT(PingUntilLost(*client, &answered[i / 2]), 0);
        const auto lost = Clock::now();
        // Not before it was revoked, and then within what docs/security.md promises.
        Until([&] { return revoked_at.load() != Clock::time_point::max(); });
        EXPECT_LT(lost - revoked_at.load(), std::chrono::seconds(5));
        ComeBack(target, revoked, 80);
      });
    }
    EXPECT_TRUE(Until([&] { return std::ranges::all_of(answered, [](const auto& count) { return count >= 500; }); }));
    EXPECT_EQ(Tributary({"keygen", dir_.File("keys"), "--revoke", "trainer/b"}).exit_code, 0);
    revoked_at = Clock::now();
    for (auto& sender : senders) sender.join();
  });
  ExpectSaidSeldom("it is not on the list of --peers");
}

// Of a connection whose routing id another one has libzmq (4.3) keeps the messages that came before it was cut off, two at most, until its socket is closed: 14 turns took a
// blob-store from 17 to 284 MiB before it was closed for that.
TEST_F(Flood, FramesWithForgedRoutingIds) {
  ExpectEachWithstands([this](const Target& target) {
    const std::string ping = wire::EncodeFrame(1, wire::Ping{});
    for (int turn = 0; turn < 14; ++turn) {
      std::vector<std::unique_ptr<RawDealer>> dealers;
      for (int i = 0; i < 8; ++i) {
        dealers.push_back(std::make_unique<RawDealer>(target.endpoint, site_, target.key, "trainer b"));
        const int frames = target.frame > 1_MiB ? 3 : 100;
        for (int n = 0; n < frames; ++n) dealers.back()->Send(fmt::format("{}/{}/{}", turn, i, n) + std::string(target.frame - 64, 'x'));
        dealers.back()->Send(ping);
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(500));
    }
  });
  for (const auto* server : {coordinator_.get(), store_.get()}) EXPECT_LE(server->ErrorSoFar().size(), 256_KiB) << "nobody writes its log";
  // The coordinator's messages are too small for that.
  if (!kSanitized) {
    EXPECT_THAT(store_->ErrorSoFar(), testing::HasSubstr("that were let in and are not heard"));
  }
}

TEST_F(Flood, FramesThatAreReplayed) {
  ExpectEachWithstands([this](const Target& target) {
    for (int turn = 0; turn < (kSanitized ? 3 : 20); ++turn) {
      transport::Proxy proxy(target.endpoint);
      const auto client = DialAs(site_, target, proxy.endpoint());
      // No longer than what libzmq sends at once: what the proxy sends again is this frame.
      ASSERT_TRUE(client->Send({Ping(1, 6_KiB), nullptr}).ok());
      int answers = 0;
      // The connection may end, or be heard no more: its next frame is not answered.
      for (bool over = false; !over;) {
        const auto received = client->Receive(answers == 0 ? kPatience : Duration(100));
        ASSERT_TRUE(received.ok()) << received.error().message();
        over = received->event == Event::kLost || (received->event == Event::kTimeout && (answers == 0 || proxy.replayed()));
        if (received->event == Event::kFrame && received->frame.view().type == wire::Type::kPong && ++answers == 1) proxy.Replay(1'000);
      }
      ASSERT_EQ(answers, 1) << "turn " << turn;
      ASSERT_TRUE(proxy.replayed());
    }
  });
}

}  // namespace
}  // namespace tributary::e2e
