// Private: whether a warning about a peer is logged. Each peer is complained of once a minute; the rest is counted and told
// with the next line.
//
// Peers cost nothing to make, so at most kMaxPeers are remembered: those beyond share one entry. The log gets at most
// kMaxPeers + 1 lines a minute, whatever peers do. Not thread-safe.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>

namespace tributary::transport {

class Complaints {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;
  static constexpr std::chrono::seconds kEvery{60};
  static constexpr std::size_t kMaxPeers = 64;

  // Nothing: say nothing now. Else how many warnings of this entry were not logged since its last line.
  std::optional<std::uint64_t> Admit(const std::string& peer, TimePoint now);

 private:
  struct Entry {
    TimePoint logged;
    std::uint64_t hidden = 0;
  };
  static std::optional<std::uint64_t> Count(Entry& entry, TimePoint now);
  // Entries that a new line would be due for need not be remembered, but for their count.
  void Forget(TimePoint now);

  std::map<std::string, Entry> peers_;
  std::optional<Entry> others_;
};

}  // namespace tributary::transport
