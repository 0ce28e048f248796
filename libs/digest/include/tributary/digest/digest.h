// The two digests of a chunk: SHA-256 names content for good, XXH3-128 checks every hop.
//
// SHA-256 (OpenSSL; our own for two texts at once) is computed once, by the blob-store, where bytes enter; XXH3-128 (xxHash) costs tens of GB/s and is checked by
// everyone who receives bytes. XXH3 is no defence against an adversary. Values and pure functions, any thread.
#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "tributary/base/result.h"

namespace tributary::digest {

using Sha256 = std::array<std::byte, 32>;
using Xxh128 = std::array<std::byte, 16>;  // canonical (big-endian) form

Sha256 ComputeSha256(std::span<const std::byte> bytes);
// Of two texts: with the processor's SHA instructions in 0.6 of the time that one after the other takes.
std::array<Sha256, 2> ComputeSha256Pair(std::span<const std::byte> first, std::span<const std::byte> second);
Xxh128 ComputeXxh128(std::span<const std::byte> bytes);

std::string Hex(std::span<const std::byte> bytes);
Result<Sha256> ParseSha256(std::string_view hex);

// SHA-256 of a text that comes in pieces.
class Sha256Stream {
 public:
  Sha256Stream();
  ~Sha256Stream();
  void Update(std::span<const std::byte> bytes);
  Sha256 Finish();  // once

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace tributary::digest
