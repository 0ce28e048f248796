// SIGKILL in the middle of puts, again and again: what was acknowledged is there, whoever shared a place with whom.
#include <signal.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <new>

#include "libs/base/testing/temp_directory.h"
#include "libs/blob/testing/store_testing.h"
#include "tributary/base/random.h"
#include "tributary/blob/local_store.h"

namespace tributary::blob::testing {
namespace {

constexpr std::uint64_t kChunk = 4096;
constexpr std::uint64_t kSlots = 48;
constexpr std::uint64_t kTiles = 5;
constexpr std::uint64_t kNone = ~0ull;

// Shared with the process that is killed.
struct Ledger {
  std::atomic<std::uint64_t> puts{0};
  std::atomic<std::uint64_t> slot{kNone};  // of the put under way
  std::atomic<std::uint64_t> tile{0};
  std::array<std::atomic<std::uint64_t>, kSlots> tiles;  // acknowledged
};

std::vector<std::byte> Tile(std::uint64_t tile) { return Pattern(kChunk, tile, 99); }

// Puts tiles into random slots until it is killed.
[[noreturn]] void PutForEver(const std::filesystem::path& root, Ledger& ledger, std::uint64_t seed) {
  memory::Pool pool(1_MiB);
  auto store = OpenDiskStore({root}, pool);
  SplitMix64 random(seed);
  while (store.ok()) {
    const std::uint64_t slot = random.Next() % kSlots;
    const std::uint64_t tile = random.Next() % kTiles;
    ledger.tile = tile;
    ledger.slot = slot;
    if (!PutOne(**store, Object("a"), slot, Tile(tile)).ok()) break;
    ledger.tiles[slot] = tile;
    ledger.slot = kNone;
    ++ledger.puts;
  }
  _exit(1);
}

class SigkillTest : public ::testing::TestWithParam<bool> {};

TEST_P(SigkillTest, EverySlotHoldsWhatWasAcknowledgedOrWasUnderWay) {
  const TempDirectory temp;
  const auto root = temp.path() / "store";
  void* const shared = mmap(nullptr, sizeof(Ledger), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(shared, MAP_FAILED);
  Ledger& ledger = *new (shared) Ledger();
  for (auto& tile : ledger.tiles) tile = kNone;
  wire::ObjectSpec spec = OneTensorSpec(kSlots * kChunk, kChunk);
  spec.repetitive = GetParam();
  memory::Pool pool(1_MiB);
  ASSERT_TRUE((*OpenDiskStore({root}, pool))->Create(Object("a"), spec, false).ok());
  SplitMix64 random(7);
  for (int kill_number = 0; kill_number < 12; ++kill_number) {
    const std::uint64_t until = ledger.puts + 20 + random.Next() % 100;
    const pid_t child = fork();
    if (child == 0) PutForEver(root, ledger, random.Next());
    while (ledger.puts < until && waitpid(child, nullptr, WNOHANG) == 0) sched_yield();
    ASSERT_GE(ledger.puts, until) << "the writer ended by itself";
    kill(child, SIGKILL);
    waitpid(child, nullptr, 0);
    auto store = OpenDiskStore({root}, pool);
    TRIBUTARY_ASSERT_OK(store);
    for (std::uint64_t slot = 0; slot < kSlots; ++slot) {
      const auto got = GetOne(**store, Object("a"), slot);
      const std::uint64_t acknowledged = ledger.tiles[slot];
      const bool under_way = ledger.slot == slot;
      if (!got.ok()) {
        // An ordinary object's slot is absent while other bytes are written over it.
        EXPECT_EQ(CodeOf(got), "unavailable");
        EXPECT_TRUE(acknowledged == kNone || (under_way && !spec.repetitive)) << slot;
      } else {
        const bool old = acknowledged != kNone && *got == Tile(acknowledged);
        EXPECT_TRUE(old || (under_way && *got == Tile(ledger.tile))) << slot;
        if (under_way && !old) ledger.tiles[slot] = ledger.tile.load();
      }
      if (!got.ok() && under_way) ledger.tiles[slot] = kNone;
    }
    ledger.slot = kNone;
    if (spec.repetitive) {
      // Nobody remembers over a restart which chunks were there, so each run may store its tiles again, and no more.
      EXPECT_LE(std::filesystem::file_size(root / "objects" / "a" / "data"), (kill_number + 1) * kTiles * kChunk);
    }
  }
  munmap(shared, sizeof(Ledger));
}

INSTANTIATE_TEST_SUITE_P(Kinds, SigkillTest, ::testing::Bool(), [](const auto& info) { return info.param ? "repetitive" : "ordinary"; });

}  // namespace
}  // namespace tributary::blob::testing
