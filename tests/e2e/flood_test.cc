// Server processes with keys and a small budget, flooded by another process: their peak memory stays where docs/security.md says, and honest peers are served meanwhile.
#include <gmock/gmock.h>
#include <sys/resource.h>

#include <atomic>

#include "libs/base/testing/sanitized.h"
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

using transport::RawConnection;
using transport::RawDealer;

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
    for (const auto& [server, endpoint, most] : {std::tuple("coordinator", coordinator_at_, wire::kMaxControlFrame), std::tuple("blob-store", store_at_, wire::kMaxDataFrame)}) {
      targets_.push_back({endpoint, transport::ReadCurveKeys(dir_.File(fmt::format("keys/{}/key", server))).value().public_key, most});
    }
    Serve();
  }
  // What an operator asks of both servers.
  void Serve() {
    const Outcome put = Operate({"put", "shared/list", dir_.File("keys/servers"), "--blob-store", store_at_});
    EXPECT_EQ(put.exit_code, 0) << put.err;
    const Outcome list = Operate({"list", "--coordinator", coordinator_at_});
    EXPECT_EQ(list.exit_code, 0) << list.err;
  }
  struct Target {
    std::string endpoint;
    std::string key;
    std::size_t frame = 0;
  };
  // `attack` of each of the servers, by a thread of this process, while an operator goes on.
  template <class Attack>
  void ExpectWithstood(Attack attack) {
    const std::map<std::string, Program*> servers = {{"coordinator", coordinator_.get()}, {"blob-store", store_.get()}, {"aggregator", workers_.front().get()}};
    std::map<std::string, std::uint64_t> before;
    for (const auto& [name, program] : servers) before[name] = memory::ReadProcessMemory(program->pid())->rss_peak;
    std::atomic<bool> over{false};
    std::thread attacker([&] {
      for (const Target& target : targets_) attack(target);
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

  transport::CurveKeys site_;
  std::vector<Target> targets_;
};

TEST_F(Flood, AThousandHalfOpenHandshakesThatKeepOnSending) {
  ExpectWithstood([](const Target& target) {
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
  ExpectWithstood([this](const Target& target) {
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
  ExpectWithstood([this](const Target& target) {
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

}  // namespace
}  // namespace tributary::e2e
