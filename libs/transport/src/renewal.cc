#include "renewal.h"

#include <algorithm>

#include "tributary/memory/malloc.h"
#include "tributary/memory/process_memory.h"

namespace tributary::transport {
namespace {

// A look may trim the heap, which stops everything else for some milliseconds.
constexpr std::chrono::milliseconds kLookEvery{50};

std::uint64_t Resident() {
  const auto process = memory::ReadProcessMemory();
  return process.ok() ? process->rss : 0;
}

}  // namespace

void Renewal::Done(TimePoint settled) {
  unheard_ = 0;
  look_ = false;
  settled_ = settled;
}

std::optional<Renewal::Reason> Renewal::Due(TimePoint now, const std::function<std::uint64_t()>& admitted) {
  if (most_memory_ == 0) return std::nullopt;
  if (settled_ && now > *settled_) {
    // What is left has another reason, which closing a socket does not mend, nor what a few pages more have.
    settled_.reset();
    if (const std::uint64_t left = Resident(); left > most_memory_) most_memory_ = left + each_;
  }
  if (!look_ || now < next_look_) return std::nullopt;
  next_look_ = now + kLookEvery;
  look_ = false;
  std::uint64_t held = Resident();
  if (held > most_memory_) {
    memory::TrimHeap();
    held = Resident();
  }
  if (held <= most_memory_) {
    unheard_ = 0;  // whatever they left, what comes on top of it comes from others
    return std::nullopt;
  }
  const std::uint64_t unheard = std::min(unheard_, admitted());
  if (unheard == 0 || (held - most_memory_) / each_ >= unheard) return std::nullopt;
  return Reason{held, unheard};
}

}  // namespace tributary::transport
