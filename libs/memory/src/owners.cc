#include "tributary/memory/owners.h"

#include <array>
#include <atomic>

namespace tributary::memory {
namespace {

struct Count {
  std::atomic<std::uint64_t> now{0};
  std::atomic<std::uint64_t> peak{0};
};
std::array<Count, std::size(kOwners)> g_counts;

Count& CountOf(Owner owner) { return g_counts[static_cast<std::size_t>(owner)]; }

}  // namespace

std::string_view OwnerName(Owner owner) {
  switch (owner) {
    case Owner::kPool: return "pool";
    case Owner::kZeroMq: return "zeromq";
    case Owner::kTorch: return "torch";
  }
  return "unknown";
}

void Gained(Owner owner, std::uint64_t bytes) {
  Count& count = CountOf(owner);
  const std::uint64_t now = count.now.fetch_add(bytes, std::memory_order_relaxed) + bytes;
  std::uint64_t peak = count.peak.load(std::memory_order_relaxed);
  while (now > peak && !count.peak.compare_exchange_weak(peak, now, std::memory_order_relaxed)) {
  }
}

void Lost(Owner owner, std::uint64_t bytes) { CountOf(owner).now.fetch_sub(bytes, std::memory_order_relaxed); }

OwnerUse UseOf(Owner owner) {
  const Count& count = CountOf(owner);
  return {count.now.load(std::memory_order_relaxed), count.peak.load(std::memory_order_relaxed)};
}

}  // namespace tributary::memory
