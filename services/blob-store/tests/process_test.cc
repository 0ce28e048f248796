// The real binary: memory, clean stop, and its messages.
#include <gmock/gmock.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <thread>

#include "libs/base/testing/sanitized.h"
#include "services/blob-store/tests/harness.h"
#include "tributary/blob/local_store.h"
#include "tributary/memory/malloc.h"
#include "tributary/memory/process_memory.h"

namespace tributary::service::testing {
namespace {

using blob::testing::LayoutOf;
using blob::testing::Object;
using blob::testing::OneTensorSpec;
using blob::testing::PutBytes;

class Process {
 public:
  Process(std::vector<std::string> args, const std::filesystem::path& log) {
    args.insert(args.begin(), TRIBUTARY_BLOB_STORE_BINARY);
    pid_ = fork();
    if (pid_ != 0) return;
    if (freopen(log.c_str(), "w", stderr) == nullptr) _exit(127);
    std::vector<char*> argv;
    for (std::string& arg : args) argv.push_back(arg.data());
    argv.push_back(nullptr);
    execv(argv[0], argv.data());
    _exit(127);
  }
  ~Process() {
    if (pid_ > 0) {
      kill(pid_, SIGKILL);
      waitpid(pid_, nullptr, 0);
    }
  }
  pid_t pid() const { return pid_; }
  int Signal(int signal) {
    kill(pid_, signal);
    return Wait();
  }
  int Wait() {
    int status = 0;
    waitpid(std::exchange(pid_, -1), &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }

 private:
  pid_t pid_ = -1;
};

class BlobStoreProcess : public ::testing::Test {
 protected:
  std::vector<std::string> Args() const {
    return {"--listen", endpoint_, "--data-dir", (temp_.path() / "data").string(), "--memory-budget", "8MiB",
            "--metrics-address", "off"};
  }
  std::string Log() const {
    std::ifstream file(log_);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  TempDirectory temp_;
  const std::string endpoint_ = "ipc://" + (temp_.path() / "socket").string();
  const std::filesystem::path log_ = temp_.path() / "log";
};

TEST_F(BlobStoreProcess, ScrubTellsEachDamagedSlotAndExitsWithOne) {
  const std::filesystem::path data = temp_.path() / "data";
  {
    memory::Pool pool(1_MiB);
    auto store = blob::OpenDiskStore({data}, pool);
    ASSERT_TRUE(store.ok());
    const auto spec = OneTensorSpec(32_KiB, 4_KiB);
    ASSERT_TRUE((*store)->Create(Object("o/1"), spec, false).ok());
    ASSERT_TRUE(blob::testing::PutAll(**store, Object("o/1"), LayoutOf(spec)).ok());
    ASSERT_TRUE((*store)->Seal(Object("o/1"), 0, true).ok());
  }
  const auto scrub = [&] {
    const auto out = temp_.path() / "out";
    const std::string command = std::string(TRIBUTARY_BLOB_STORE_BINARY) + " --scrub --data-dir " + data.string() + " > " + out.string() + " 2>&1";
    const int status = std::system(command.c_str());
    std::ifstream file(out);
    return std::pair(WEXITSTATUS(status), std::string(std::istreambuf_iterator<char>(file), {}));
  };
  const auto good = scrub();
  EXPECT_EQ(good.first, 0) << good.second;
  EXPECT_THAT(good.second, ::testing::HasSubstr("8 slots"));
  std::fstream chunks(data / "objects" / "o+1" / "data", std::ios::in | std::ios::out | std::ios::binary);
  for (const int slot : {2, 6}) {
    chunks.seekp(slot * 4096 + 9);
    chunks.write("\xff\0\xff", 3);
  }
  chunks.close();
  const auto bad = scrub();
  EXPECT_EQ(bad.first, 1);
  EXPECT_THAT(bad.second, ::testing::AllOf(::testing::HasSubstr("object 'o/1', slot 2: damaged at byte 8192"),
                                           ::testing::HasSubstr("slot 6"), ::testing::HasSubstr("2 damaged")));
}

TEST_F(BlobStoreProcess, StaysSmallWhileThreeClientsMove256MiBEach) {
  Process process(Args(), log_);
  const auto spec = OneTensorSpec(256_MiB, 1_MiB);
  const auto layout = LayoutOf(spec);
  std::vector<std::thread> threads;
  std::atomic<std::uint64_t> chunks{0};
  for (int i = 0; i < 3; ++i) {
    threads.emplace_back([&, i] {
      Client client(endpoint_);
      const ObjectName name = Object("o/" + std::to_string(i));
      ASSERT_TRUE(client->Create(name, spec, false).ok());
      auto writer = client->Write({});
      for (std::uint64_t slot = 0; slot < layout.slot_count(); ++slot) {
        auto buffer = (*writer)->Allocate(1_MiB);
        ASSERT_TRUE(buffer.ok());
        std::ranges::fill((*buffer)->payload(), static_cast<std::byte>(slot));
        ASSERT_TRUE((*writer)->Put(name, slot, *std::move(buffer)).ok());
      }
      ASSERT_TRUE((*writer)->Flush().ok());
      auto reader = client->Read(blob::SlotsOf(name, layout.all_slots()), {});
      for (;;) {
        auto chunk = (*reader)->Next();
        ASSERT_TRUE(chunk.ok()) << chunk.error().message();
        if (!chunk->has_value()) break;
        ++chunks;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(chunks, 3 * 256u);
  const auto memory = memory::ReadProcessMemory(process.pid());
  ASSERT_TRUE(memory.ok());
  RecordProperty("rss_peak", std::to_string(memory->rss_peak));
  std::printf("peak RSS of tributary-blob-store: %s (budget 8 MiB)\n", FormatBytes(memory->rss_peak).c_str());
  if (!kSanitized) {
    EXPECT_LE(memory->rss_peak, 33_MiB);
  }
  EXPECT_EQ(process.Signal(SIGTERM), 0) << Log();
}

// Not asserted: figures for whoever changes the data path.
TEST_F(BlobStoreProcess, TellsTheSpeedOfOneClient) {
  using Clock = std::chrono::steady_clock;
  for (const std::string& endpoint : {endpoint_, std::string("tcp://127.0.0.1:0")}) {
    std::unique_ptr<Server> server;
    std::unique_ptr<Process> process;
    std::string where = endpoint;
    if (endpoint.starts_with("tcp")) {
      // A port that is free now: the binary gets it from a server that has just let it go.
      server = std::make_unique<Server>();
      where = server->endpoint();
      server->Kill();
    }
    auto args = Args();
    args[1] = where;
    args[5] = "64MiB";
    process = std::make_unique<Process>(args, log_);
    Client client(where, 64_MiB);
    const auto spec = OneTensorSpec(512_MiB, 1_MiB);
    const auto layout = LayoutOf(spec);
    ASSERT_TRUE(client->Create(Object("a"), spec, false).ok());
    const auto t0 = Clock::now();
    auto writer = client->Write({});
    for (std::uint64_t slot = 0; slot < layout.slot_count(); ++slot) {
      auto buffer = (*writer)->Allocate(1_MiB);
      ASSERT_TRUE(buffer.ok());
      ASSERT_TRUE((*writer)->Put(Object("a"), slot, *std::move(buffer)).ok());
    }
    ASSERT_TRUE((*writer)->Flush().ok());
    const auto t1 = Clock::now();
    const std::uint64_t put_peak = memory::ReadProcessMemory(process->pid())->rss_peak;
    auto reader = client->Read(blob::SlotsOf(Object("a"), layout.all_slots()), {});
    for (;;) {
      auto chunk = (*reader)->Next();
      ASSERT_TRUE(chunk.ok()) << chunk.error().message();
      if (!chunk->has_value()) break;
    }
    const auto t2 = Clock::now();
    const auto speed = [](auto duration) { return 512.0 / std::chrono::duration<double>(duration).count(); };
    std::printf("%s: put %.0f MiB/s, get %.0f MiB/s, peak RSS %s and %s\n", where.substr(0, 3).c_str(), speed(t1 - t0),
                speed(t2 - t1), FormatBytes(put_peak).c_str(), FormatBytes(memory::ReadProcessMemory(process->pid())->rss_peak).c_str());
    ASSERT_TRUE(client->Remove(Object("a")).ok());
    EXPECT_EQ(process->Signal(SIGTERM), 0);
  }
}

TEST_F(BlobStoreProcess, SurvivesSigkillWithWhatItAcknowledged) {
  const auto spec = OneTensorSpec(32_MiB, 1_MiB);
  Client client(endpoint_);
  auto process = std::make_unique<Process>(Args(), log_);
  ASSERT_TRUE(client->Create(Object("a"), spec, false).ok());
  auto writer = client->Write({});
  for (std::uint64_t slot = 0; slot < 32; ++slot) {
    if (slot == 11 || slot == 23) {
      process.reset();
      process = std::make_unique<Process>(Args(), log_);
    }
    const Status put = PutBytes(**writer, Object("a"), slot, blob::testing::Pattern(1_MiB, slot));
    ASSERT_TRUE(put.ok()) << put.error().message();
  }
  ASSERT_TRUE((*writer)->Flush().ok());
  const auto digest = client->Seal(Object("a"), 0, true);
  ASSERT_TRUE(digest.ok()) << digest.error().message();
  process = nullptr;
  process = std::make_unique<Process>(Args(), log_);
  EXPECT_EQ(client->Stat(Object("a"))->digest, *digest);
  EXPECT_LE(client->counters().bytes_resent, 3 * 4_MiB);
}

TEST_F(BlobStoreProcess, UsageErrorsAreTwoAndFailuresOne) {
  EXPECT_EQ(Process({"--no-such-flag"}, log_).Wait(), 2);
  EXPECT_EQ(Process({"--listen", endpoint_}, log_).Wait(), 2);
  EXPECT_THAT(Log(), ::testing::HasSubstr("data-dir"));
  EXPECT_EQ(Process({"--data-dir", "/proc/no/such", "--listen", endpoint_, "--metrics-address", "off"}, log_).Wait(), 1);
  EXPECT_THAT(Log(), ::testing::HasSubstr("/proc/no"));
}

TEST_F(BlobStoreProcess, ACacheThatWasKilledGoesOnWithoutFetchingAgainWhatItHas) {
  constexpr std::uint64_t kSlots = 1500;
  Server upstream;
  const auto spec = OneTensorSpec(kSlots * 16_KiB, 16_KiB);
  const auto layout = LayoutOf(spec);
  {
    Client writer(upstream.endpoint());
    ASSERT_TRUE(writer->Create(Object("models/1"), spec, false).ok());
    ASSERT_TRUE(blob::testing::PutAll(*writer, Object("models/1"), layout).ok());
    ASSERT_TRUE(writer->Seal(Object("models/1"), 0, false).ok());
  }
  auto args = Args();
  args.insert(args.end(), {"--upstream", upstream.endpoint()});
  std::optional<Process> cache(std::in_place, args, log_);
  Status read;
  std::thread reader([&] {
    Client client(endpoint_);
    const auto chunks = client->Read(blob::SlotsOf(Object("models/1"), layout.all_slots()), {});
    for (std::uint64_t slot = 0; slot < kSlots && read.ok(); ++slot) {
      const auto chunk = (*chunks)->Next();
      read = chunk.status();
      const auto expected = blob::testing::Pattern(16_KiB, slot);
      if (read.ok() && !std::equal(expected.begin(), expected.end(), (*chunk)->bytes.begin(), (*chunk)->bytes.end())) {
        read = MakeError(Code::kInternal, "slot {} has other bytes", slot);
      }
    }
  });
  // Twice in the middle.
  for (const std::uint64_t at : {kSlots / 4, kSlots / 2}) {
    while (upstream->stats().chunks_out < at) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    cache.reset();
    cache.emplace(args, log_);
  }
  reader.join();
  EXPECT_TRUE(read.ok()) << read.error().message() << Log();
  // What was on its way at a kill comes again: a window of 48 chunks at most, each time.
  EXPECT_GE(upstream->stats().chunks_out, kSlots);
  EXPECT_LE(upstream->stats().chunks_out, kSlots + 2 * 48);
}

TEST_F(BlobStoreProcess, WhatIsWrongWithTheBucketIsSaidAtStart) {
  setenv("AWS_ACCESS_KEY_ID", "key", 1);
  unsetenv("AWS_SECRET_ACCESS_KEY");
  const auto with = [&](std::vector<std::string> more) {
    auto args = Args();
    args.insert(args.end(), more.begin(), more.end());
    return Process(args, log_).Wait();
  };
  EXPECT_EQ(with({"--s3-endpoint", "http://127.0.0.1:1"}), 2);
  EXPECT_THAT(Log(), ::testing::HasSubstr("--s3-bucket"));
  EXPECT_EQ(with({"--s3-endpoint", "127.0.0.1:1", "--s3-bucket", "bucket"}), 2);
  EXPECT_EQ(with({"--s3-endpoint", "http://127.0.0.1:1", "--s3-bucket", "bucket"}), 2);
  EXPECT_THAT(Log(), ::testing::HasSubstr("AWS_SECRET_ACCESS_KEY"));
  const std::string file = temp_.Write("credentials", "aws_access_key_id = a\naws_secret_access_key = topsecret\n");
  std::filesystem::permissions(file, std::filesystem::perms(0644));
  EXPECT_EQ(with({"--s3-endpoint", "http://127.0.0.1:1", "--s3-bucket", "bucket", "--s3-credentials-file", file}), 2);
  EXPECT_THAT(Log(), ::testing::AllOf(::testing::HasSubstr("chmod 600"), ::testing::Not(::testing::HasSubstr("topsecret"))));
}

}  // namespace
}  // namespace tributary::service::testing
