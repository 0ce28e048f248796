#include "renewal.h"

#include <algorithm>

#include "tributary/memory/malloc.h"
#include "tributary/memory/process_memory.h"

namespace tributary::transport {
namespace {

constexpr std::chrono::milliseconds kLookEvery{20};

}  // namespace

std::optional<std::uint64_t> Renewal::Due(TimePoint now, std::uint64_t admitted) {
  const std::uint64_t unheard = std::min(unheard_, admitted);
  if (most_memory_ == 0 || unheard == 0 || now < next_look_) return std::nullopt;
  next_look_ = now + kLookEvery;
  const auto above = [this]() -> std::uint64_t {
    const auto process = memory::ReadProcessMemory();
    return process.ok() && process->rss > most_memory_ ? process->rss - most_memory_ : 0;
  };
  if (above() == 0) return std::nullopt;
  memory::TrimHeap();
  const std::uint64_t excess = above();
  if (excess == 0 || excess / each_ >= unheard) return std::nullopt;
  return most_memory_ + excess;
}

}  // namespace tributary::transport
