// Who in this process holds the bytes that are not code and small change: the pool's buffers, frames that libzmq received, libtorch.
//
// Counted where the bytes come and go, not guessed from the outside: pages that pools have mapped (those kept for the next buffer, too), frames
// from the moment libzmq hands them over until they are let go, and how far resident memory rose while libtorch was loaded. What is sent
// leaves from the pool's own buffers. One count for the whole process; lock-free, any thread. Bytes.
#pragma once

#include <cstdint>
#include <string_view>

namespace tributary::memory {

enum class Owner : std::uint8_t { kPool = 0, kZeroMq = 1, kTorch = 2 };
constexpr Owner kOwners[] = {Owner::kPool, Owner::kZeroMq, Owner::kTorch};
std::string_view OwnerName(Owner owner);  // "pool", "zeromq", "torch"

void Gained(Owner owner, std::uint64_t bytes);
void Lost(Owner owner, std::uint64_t bytes);

struct OwnerUse {
  std::uint64_t now = 0;
  std::uint64_t peak = 0;
};
OwnerUse UseOf(Owner owner);

}  // namespace tributary::memory
