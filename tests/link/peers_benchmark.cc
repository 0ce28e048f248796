// What other peers cost a blob-store and a peer that works: peers_benchmark BLOB_STORE_BINARY [BYTES [CONNECTIONS]], JSON on stdout.
//
// The store is a process of its own with the default budget. First so many connections that have said hello and are idle: its resident memory before and
// after. Then a get of BYTES, alone and beside peers that read through a line of 64 KiB/s, in turn; the best of the repeats counts.
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <thread>
#include <vector>

#include "services/blob-store/tests/harness.h"
#include "tests/link/slow_link.h"
#include "tributary/memory/malloc.h"
#include "tributary/memory/process_memory.h"
#include "tributary/transport/frame_client.h"
#include "tributary/wire/data.h"

namespace {

using namespace tributary;
using Clock = std::chrono::steady_clock;

constexpr int kRepeats = 5;
constexpr std::size_t kSlowPeers = 4;
const std::string kEndpoint = "tcp://127.0.0.1:7719";

[[noreturn]] void Fail(const Error& error) {
  std::fprintf(stderr, "%s\n", error.message().c_str());
  std::exit(1);
}
template <class T>
T Take(Result<T> result) {
  if (!result.ok()) Fail(result.error());
  return *std::move(result);
}
void Check(const Status& status) {
  if (!status.ok()) Fail(status.error());
}

class Store {
 public:
  Store(const char* binary, const std::string& directory) : pid_(fork()) {
    if (pid_ != 0) return;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    execl(binary, binary, "--listen", kEndpoint.c_str(), "--data-dir", directory.c_str(), "--metrics-address", "off", "--log-level", "error",
          static_cast<char*>(nullptr));
    _exit(127);
  }
  ~Store() {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  memory::ProcessMemory Memory() const { return Take(memory::ReadProcessMemory(pid_)); }

 private:
  const pid_t pid_;
};

struct Peer {
  explicit Peer(const std::string& endpoint) {
    blob_client::RemoteOptions options;
    options.endpoints = {endpoint};
    options.instance = "bench";
    options.read_timeout = std::chrono::hours(1);
    store = Take(blob_client::ConnectStore(std::make_shared<transport::Context>(), pool, options));
  }
  memory::Pool pool{64_MiB};
  std::unique_ptr<blob_client::RemoteStore> store;
};

void Put(blob::BlobStore& store, const ObjectName& name, std::uint64_t slots) {
  Check(store.Create(name, blob::testing::OneTensorSpec(slots * 1_MiB, 1_MiB), false).status());
  const auto writer = Take(store.Write({}));
  for (std::uint64_t slot = 0; slot < slots; ++slot) {
    auto chunk = Take(writer->Allocate(1_MiB));
    std::ranges::fill(chunk->payload(), static_cast<std::byte>(slot));
    Check(writer->Put(name, slot, std::move(chunk)));
  }
  Check(writer->Flush());
}

double GetSeconds(blob::BlobStore& store, const ObjectName& name, std::uint64_t slots) {
  const auto begin = Clock::now();
  const auto reader = Take(store.Read(blob::SlotsOf(name, {0, slots}), {}));
  while (Take(reader->Next())) {
  }
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

// Reads one chunk after the other through a line of 64 KiB/s, until told to stop.
class SlowPeer {
 public:
  SlowPeer(const ObjectName& name, std::uint64_t slots)
      : link_(Take(tributary::testing::SlowLink::Start(kEndpoint, {Duration(0), 64_KiB}))),
        thread_([this, name, slots](std::stop_token stop) {
          Peer peer(link_->endpoint());
          blob::ReadOptions options;
          options.stop = stop;
          const auto reader = Take(peer.store->Read(blob::SlotsOf(name, {0, slots}), options));
          while (!stop.stop_requested() && reader->Next().ok()) {
          }
        }) {}
  std::uint64_t bytes() const { return link_->down(); }

 private:
  std::unique_ptr<tributary::testing::SlowLink> link_;
  std::jthread thread_;
};

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) return std::fprintf(stderr, "peers_benchmark BLOB_STORE_BINARY [BYTES [CONNECTIONS]]\n"), 2;
  const std::uint64_t slots = (argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 1_GiB) / 1_MiB;
  const std::size_t connections = argc > 3 ? std::strtoull(argv[3], nullptr, 10) : 1000;
  memory::TuneMalloc(64_MiB);
  rlimit files{};
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
  const TempDirectory scratch;
  const Store store(argv[1], scratch.File("store"));
  const auto name = blob::testing::Object("o");
  Peer good(kEndpoint);
  Put(*good.store, name, 2);  // the store is up, and has done each thing once
  GetSeconds(*good.store, name, 2);
  Check(good.store->Remove(name));

  const std::uint64_t before = store.Memory().rss;
  {
    // A context takes a thousand sockets, and a client has two.
    std::shared_ptr<transport::Context> context;
    std::vector<std::unique_ptr<transport::FrameClient>> idle;
    for (std::size_t i = 0; i < connections; ++i) {
      if (i % 200 == 0) context = std::make_shared<transport::Context>();
      transport::ClientOptions options;
      options.endpoint = kEndpoint;
      idle.push_back(Take(transport::FrameClient::Connect(context, options)));
      Check(idle.back()->Send(transport::MakeFrame(1, wire::StoreHello{"idle", 0})));
    }
    for (auto& client : idle) {
      if (Take(client->Receive(std::chrono::seconds(20))).event != transport::Event::kFrame) Fail(Error(Code::kDeadline, "a hello was not answered"));
    }
    const std::uint64_t after = store.Memory().rss;
    std::printf("{\"idle_connections\": %zu, \"rss_before_bytes\": %llu, \"rss_after_bytes\": %llu, \"bytes_a_connection\": %llu, ", connections,
                static_cast<unsigned long long>(before), static_cast<unsigned long long>(after),
                static_cast<unsigned long long>((after - before) / connections));
  }

  Put(*good.store, name, slots);
  double alone = 1e9;
  double beside = 1e9;
  std::uint64_t slow_bytes = 0;
  for (int repeat = 0; repeat < kRepeats; ++repeat) {
    alone = std::min(alone, GetSeconds(*good.store, name, slots));
    std::vector<std::unique_ptr<SlowPeer>> slow;
    for (std::size_t i = 0; i < kSlowPeers; ++i) slow.push_back(std::make_unique<SlowPeer>(name, slots));
    // They have their windows by now.
    std::this_thread::sleep_for(std::chrono::seconds(2));
    beside = std::min(beside, GetSeconds(*good.store, name, slots));
    for (const auto& peer : slow) slow_bytes += peer->bytes();
  }
  std::printf("\"bytes\": %llu, \"slow_peers\": %zu, \"alone_seconds\": %.3f, \"beside_slow_seconds\": %.3f, \"slower\": %.3f, \"slow_bytes\": %llu, "
              "\"peak_rss_bytes\": %llu}\n",
              static_cast<unsigned long long>(slots * 1_MiB), kSlowPeers, alone, beside, beside / alone - 1,
              static_cast<unsigned long long>(slow_bytes), static_cast<unsigned long long>(store.Memory().rss_peak));
  return 0;
}
