// Grants: the coordinator tells the blob-store, by way of the trainer, what a task may do, and the two never speak to each other.
//
// A sealed grant is a number of signatures (a byte), those signatures (HMAC-SHA256, 32 bytes each), and then what they sign (wire/grant.h): one for the blob-store, one
// for each cache. The key of one is what the two servers' own CURVE keys agree on, hashed with a
// label and both public keys: there is no key to make, give or keep, and who has neither secret can neither make a grant nor check one. All shards
// of a blob-store have its key, and so check what was signed for it.
// Values, immutable after Make; any thread. Failures: kPermission (not signed for this store, of another identity, over), kInvalidArgument (a key
// of the list that is none).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "tributary/base/result.h"
#include "tributary/digest/digest.h"
#include "tributary/transport/keyring.h"
#include "tributary/transport/peers.h"
#include "tributary/wire/grant.h"

namespace tributary::transport {

constexpr std::size_t kMaxSignatures = 16;

// The coordinator's side.
class GrantSigner {
 public:
  // For the first blob-store of the list, since a client believes one key of it, and for its caches. Nothing if it names no blob-store; kInvalidArgument for more
  // caches than a grant has signatures.
  static Result<std::optional<GrantSigner>> Make(const Keyring& coordinator);
  // The same bytes for the same grant. kInternal for one that is longer than a grant may be.
  Result<std::vector<std::byte>> Sign(const wire::Grant& grant) const;

 private:
  explicit GrantSigner(std::vector<digest::Sha256> keys) : keys_(std::move(keys)) {}
  std::vector<digest::Sha256> keys_;
};

// The side of a blob-store or cache.
class GrantVerifier {
 public:
  // Believes every coordinator of the list.
  static Result<GrantVerifier> Make(const Keyring& blob_store);
  // `presenter`: whose key the connection has. `now`: seconds since 1970. Nothing of the bytes is read before their signature is found right.
  Result<wire::Grant> Verify(std::span<const std::byte> sealed, const Identity& presenter, std::int64_t now) const;
  bool believes_somebody() const { return !keys_.empty(); }

 private:
  std::vector<digest::Sha256> keys_;
};

// Whether this identity is the one that the grant names.
bool IsFor(const wire::Grant& grant, const Identity& who);

}  // namespace tributary::transport
