// Message authentication between two who know each other's Curve25519 public keys: HMAC-SHA256 under a key that both derive alone.
//
// Nothing is exchanged for it and the raw shared secret never leaves AgreeOnKey. OpenSSL does the arithmetic. Pure functions, any thread.
#pragma once

#include <array>
#include <cstddef>
#include <span>

#include "tributary/base/result.h"
#include "tributary/digest/digest.h"

namespace tributary::digest {

using Curve25519Key = std::array<std::byte, 32>;

Sha256 ComputeHmac(std::span<const std::byte> key, std::span<const std::byte> text);

// Takes the same time wherever they differ: how much of a forgery is right is nobody's to measure.
bool SameInConstantTime(const Sha256& a, const Sha256& b);

// HMAC of `purpose` under X25519(own secret, other's public): both ends get the same one, each purpose another. kInvalidArgument for a public key of
// small order, with which the secret would be known to everybody.
Result<Sha256> AgreeOnKey(const Curve25519Key& own_secret, const Curve25519Key& other_public, std::span<const std::byte> purpose);

}  // namespace tributary::digest
