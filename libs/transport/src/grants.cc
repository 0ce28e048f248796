#include "tributary/transport/grants.h"

#include <algorithm>
#include <string>
#include <string_view>
#include <zmq.hpp>

#include "tributary/digest/mac.h"

namespace tributary::transport {
namespace {

// With the format's number: grants of another one are not signed right.
constexpr std::string_view kPurpose = "tributary grant 1";

Result<digest::Curve25519Key> BytesOf(const std::string& z85) {
  digest::Curve25519Key raw{};
  if (z85.size() != 40 || zmq_z85_decode(reinterpret_cast<std::uint8_t*>(raw.data()), z85.c_str()) == nullptr) {
    return Error(Code::kInvalidArgument, "a key is not 40 characters of Z85");
  }
  return raw;
}

Result<digest::Sha256> KeyBetween(const CurveKeys& own, const std::string& other, const std::string& coordinator, const std::string& blob_store) {
  TRIBUTARY_ASSIGN(const auto secret, BytesOf(own.secret_key));
  TRIBUTARY_ASSIGN(const auto peer, BytesOf(other));
  const std::string purpose = fmt::format("{}\n{}\n{}", kPurpose, coordinator, blob_store);
  return digest::AgreeOnKey(secret, peer, std::as_bytes(std::span(purpose)));
}

}  // namespace

Result<std::optional<GrantSigner>> GrantSigner::Make(const Keyring& coordinator) {
  const auto store = coordinator.peers.KeyOf(PeerRole::kBlobStore);
  if (!store) return std::optional<GrantSigner>();
  TRIBUTARY_ASSIGN(const auto key, KeyBetween(coordinator.own, *store, coordinator.own.public_key, *store));
  return std::optional(GrantSigner(key));
}

Result<std::vector<std::byte>> GrantSigner::Sign(const wire::Grant& grant) const {
  const std::string text = wire::EncodeGrant(grant);
  const auto bytes = std::as_bytes(std::span(text));
  const digest::Sha256 mac = digest::ComputeHmac(key_, bytes);
  if (mac.size() + bytes.size() > wire::kMaxGrantBytes) {
    return MakeError(Code::kInternal, "the grant of a task of job {} has {} bytes: at most {}", grant.job, mac.size() + bytes.size(), wire::kMaxGrantBytes);
  }
  std::vector<std::byte> sealed(mac.begin(), mac.end());
  sealed.insert(sealed.end(), bytes.begin(), bytes.end());
  return sealed;
}

Result<GrantVerifier> GrantVerifier::Make(const Keyring& blob_store) {
  GrantVerifier verifier;
  for (const PeerList::Entry& entry : blob_store.peers.entries()) {
    if (entry.who.role != PeerRole::kCoordinator) continue;
    TRIBUTARY_ASSIGN(const auto key, KeyBetween(blob_store.own, entry.key, entry.key, blob_store.own.public_key));
    verifier.keys_.push_back(key);
  }
  return verifier;
}

Result<wire::Grant> GrantVerifier::Verify(std::span<const std::byte> sealed, const Identity& presenter, std::int64_t now) const {
  digest::Sha256 mac{};
  const bool whole = sealed.size() > mac.size() && sealed.size() <= wire::kMaxGrantBytes;
  const auto bytes = sealed.subspan(whole ? mac.size() : sealed.size());
  if (whole) std::copy_n(sealed.begin(), mac.size(), mac.begin());
  const bool known = whole && std::ranges::any_of(keys_, [&](const digest::Sha256& key) { return digest::SameInConstantTime(digest::ComputeHmac(key, bytes), mac); });
  if (!known) {
    return MakeError(Code::kPermission, "the grant of {} was not signed for this blob-store by a coordinator of its --peers: both servers need one another's key there, "
                     "and are started anew when one of the two keys is another", presenter.str());
  }
  TRIBUTARY_ASSIGN(wire::Grant grant, wire::DecodeGrant(bytes));
  if (!IsFor(grant, presenter)) return MakeError(Code::kPermission, "{} shows a grant of {} {}", presenter.str(), grant.role, grant.name);
  if (now >= grant.until) {
    return MakeError(Code::kPermission, "the grant of {} for job '{}' has been over for {} s: a task begins with a new one; compare the clocks of coordinator and blob-store",
                     presenter.str(), grant.job, now - grant.until);
  }
  return grant;
}

bool IsFor(const wire::Grant& grant, const Identity& who) { return grant.role == RoleName(who.role) && grant.name == who.name; }

}  // namespace tributary::transport
