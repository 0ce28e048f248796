// The retriever between real processes: constant memory, and SIGKILL of everyone in the middle.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

#include "libs/base/testing/sanitized.h"
#include "tests/e2e/support.h"

namespace tributary::e2e {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

constexpr std::uint64_t kMiB = 1u << 20;

std::uint64_t PeakBytes(pid_t pid) {
  std::ifstream status(fmt::format("/proc/{}/status", pid));
  for (std::string word; status >> word;) {
    if (word != "VmHWM:") continue;
    std::uint64_t kib = 0;
    status >> kib;
    return kib << 10;
  }
  return 0;
}

class Retriever : public ::testing::Test {
 protected:
  void SetUp() override {
    store_ = "ipc://" + dir_.File("store.sock");
    coordinator_ = "ipc://" + dir_.File("coordinator.sock");
    scans_ = dir_.File("scans");
    programs_["store"] = Start({Binary("tributary-blob-store"), "--listen", store_, "--data-dir", dir_.File("blobs"), "--memory-budget", "8MiB"});
    StartCoordinator();
    StartTrainer();
  }
  std::unique_ptr<Program> Start(std::vector<std::string> words) {
    words.insert(words.end(), {"--metrics-address", "off"});
    return std::make_unique<Program>(std::move(words), dir_);
  }
  void StartCoordinator() {
    programs_["coordinator"] = Start({Binary("tributary-coordinator"), "--listen", coordinator_, "--state-dir", dir_.File("state"), "--blob-store",
                                      store_, "--heartbeat", "100ms"});
  }
  void StartTrainer() {
    programs_["trainer"] = Start({Binary("tributary-trainer"), "--coordinator", coordinator_, "--site", "hospital", "--instance", "t0", "--offer",
                                  "scans=" + scans_, "--memory-budget", "8MiB"});
  }
  std::unique_ptr<Program> Get(const std::string& to) {
    return std::make_unique<Program>(std::vector<std::string>{Binary("tributary"), "get", "--from", "hospital", "scans", to, "--coordinator",
                                                              coordinator_, "--memory-budget", "8MiB", "--timeout", "2m"},
                                     dir_);
  }
  void MakeScans(std::uint64_t bytes) {
    std::ofstream file(scans_, std::ios::binary);
    std::vector<char> block(kMiB);
    for (std::uint64_t at = 0; at < bytes; at += kMiB) {
      for (std::size_t i = 0; i < block.size(); i += 8) {
        const std::uint64_t word = (at + i) * 0x9E3779B97F4A7C15u;
        std::memcpy(block.data() + i, &word, sizeof word);
      }
      file.write(block.data(), static_cast<std::streamsize>(block.size()));
    }
  }
  template <class Condition>
  bool Until(Condition condition) {
    for (int i = 0; i < 12'000; ++i) {
      if (condition()) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    return false;
  }
  bool Offered() {
    return Until([&] {
      return RunProgram({Binary("tributary"), "offers", "--coordinator", coordinator_}, dir_).out.find("scans") != std::string::npos;
    });
  }
  // Objects under offers/ that lie in the store.
  std::size_t Staged() const {
    std::size_t count = 0;
    std::error_code error;
    for (fs::directory_iterator it(dir_.File("blobs") + "/objects", error), end; !error && it != end; it.increment(error)) {
      count += it->path().filename().string().starts_with("offers+") ? 1 : 0;
    }
    return count;
  }

  const TempDirectory dir_;
  std::string store_, coordinator_, scans_;
  std::map<std::string, std::unique_ptr<Program>> programs_;
};

TEST_F(Retriever, TheSizeOfAnObjectIsNobodysMemory) {
  MakeScans(256 * kMiB);
  ASSERT_TRUE(Offered());
  const auto get = Get(dir_.File("copy"));
  std::uint64_t peak = 0;
  while (get->Running()) peak = std::max(peak, PeakBytes(get->pid()));
  const Outcome outcome = get->Wait();
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_EQ(FileSha256(dir_.File("copy")), FileSha256(scans_));
  if (!kSanitized) {  // whose own memory would be measured
    EXPECT_LT(peak, 48 * kMiB);
    for (const auto& [name, program] : programs_) EXPECT_LT(PeakBytes(program->pid()), 48 * kMiB) << name;
  }
  EXPECT_TRUE(Until([&] { return Staged() == 0; }));
}

TEST_F(Retriever, GoesOnWhenTrainerStoreAndCoordinatorAreKilledInTheMiddle) {
  MakeScans(192 * kMiB);
  ASSERT_TRUE(Offered());
  const auto get = Get(dir_.File("copy"));
  for (const std::string name : {"trainer", "store", "coordinator"}) {
    ASSERT_TRUE(Until([&] { return Staged() > 0 || !get->Running(); }));
    programs_[name].reset();  // SIGKILL
    if (name == "trainer") {
      StartTrainer();
      // The coordinator that knew of it has given it its task again.
      ASSERT_TRUE(Until([&] { return programs_["trainer"]->ErrorSoFar().find(": offer") != std::string::npos; }));
    }
    if (name == "coordinator") StartCoordinator();
    if (name == "store") {
      programs_["store"] = Start({Binary("tributary-blob-store"), "--listen", store_, "--data-dir", dir_.File("blobs"), "--memory-budget", "8MiB"});
    }
  }
  const Outcome outcome = get->Wait();
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_EQ(FileSha256(dir_.File("copy")), FileSha256(scans_));
  EXPECT_TRUE(Until([&] { return Staged() == 0; }));  // what the first coordinator had asked for, too
}

}  // namespace
}  // namespace tributary::e2e
