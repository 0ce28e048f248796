// How much of each side of the pool the near peers use together.
//
// Near is who is on the store's machine or has a fast and short line to it, and does not ask for
// more than such a line takes. More than a few chunks of each under way make nothing faster then:
// what bounds it is processors, and bytes that wait for them are memory alone. Without a bound of
// their own the near peers would use what their number asks for, a little with two of them and the
// whole budget with 32; with it, as much in either case. Where lines are the bound, each peer's own
// is filled by what it has under way, and what one has takes nothing from another: far and slow
// peers are bounded by the rest of the side. Bytes.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>

#include "tributary/base/units.h"

namespace tributary::service {

// A peer's usual window, both ways, in chunks.
constexpr std::uint64_t kUsualChunks = 8;
// What is more than that is asked for by who measured that its line takes it: clients ask for 6 MiB
// where it takes less. Of chunks so small that 8 of them are less.
constexpr std::uint64_t kUsualBytes = 8_MiB;
// A machine's own sockets and those of its rack answer in microseconds, the next town in 5 ms; at 1
// GB/s that is a window of 5 MiB.
constexpr std::chrono::milliseconds kFarRoundTrip{5};
// What a chunk takes a near peer at most on a network, as it is measured: 1 MiB at 200 Mbit/s. A
// dozen such peers fill 2.5 Gbit/s with one chunk each under way. Of a peer on the store's machine
// it tells how busy the machine is, and nothing of a line.
constexpr std::chrono::milliseconds kNearPace{40};
// Of a side. 12 MiB of the default's 32: two clients' windows of 6 MiB, so that two peers fill it
// as well as 32 do.
constexpr std::uint64_t kNearEighths = 3;
// Where the budget is small, or messages are large: the same in chunks of 1 MiB. Less would let one
// peer wait for another's chunk.
constexpr std::uint64_t kNearChunks = 12;

// Where it is the whole side, the pool alone is the bound.
inline std::uint64_t NearPart(std::uint64_t side, std::uint64_t chunk) {
  return std::min(side, std::max(side / 8 * kNearEighths, kNearChunks * chunk));
}

// What one of `peers` near peers may have of it, in whole chunks: rounded up, as the part itself is
// what bounds their sum.
inline std::uint64_t NearShare(std::uint64_t part, std::uint64_t peers, std::uint64_t chunk) {
  const std::uint64_t share = part / std::max<std::uint64_t>(peers, 1);
  return (share + chunk - 1) / chunk * chunk;
}

}  // namespace tributary::service
