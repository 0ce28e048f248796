#include "tributary/transport/grants.h"

#include <algorithm>
#include <string>
#include <string_view>
#include <zmq.hpp>

#include "tributary/digest/mac.h"

namespace tributary::transport {
namespace {

// With the format's number: grants of another one are not signed right.
constexpr std::string_view kPurpose = "tributary grant 2";

Result<digest::Curve25519Key> BytesOf(const std::string& z85) {
  digest::Curve25519Key raw{};
  if (z85.size() != 40 || zmq_z85_decode(reinterpret_cast<std::uint8_t*>(raw.data()), z85.c_str()) == nullptr) {
    return Error(Code::kInvalidArgument, "a key is not 40 characters of Z85");
  }
  return raw;
}

Result<digest::Sha256> KeyBetween(const CurveKeys& own, const std::string& other, const std::string& coordinator, const std::string& store) {
  TRIBUTARY_ASSIGN(const auto secret, BytesOf(own.secret_key));
  TRIBUTARY_ASSIGN(const auto peer, BytesOf(other));
  const std::string purpose = fmt::format("{}\n{}\n{}", kPurpose, coordinator, store);
  return digest::AgreeOnKey(secret, peer, std::as_bytes(std::span(purpose)));
}

}  // namespace

Result<std::optional<GrantSigner>> GrantSigner::Make(const Keyring& coordinator) {
  const auto store = coordinator.peers.KeyOf(PeerRole::kBlobStore);
  if (!store) return std::optional<GrantSigner>();
  std::vector<std::string> readers = {*store};
  for (const PeerList::Entry& entry : coordinator.peers.entries()) {
    if (entry.who.role == PeerRole::kCache) readers.push_back(entry.key);
  }
  if (readers.size() > kMaxSignatures) {
    return MakeError(Code::kInvalidArgument, "the list of peers has {} keys of caches: grants are signed for {} at most", readers.size() - 1, kMaxSignatures - 1);
  }
  std::vector<digest::Sha256> keys;
  for (const std::string& reader : readers) {
    TRIBUTARY_ASSIGN(const auto key, KeyBetween(coordinator.own, reader, coordinator.own.public_key, reader));
    keys.push_back(key);
  }
  return std::optional(GrantSigner(std::move(keys)));
}

Result<std::vector<std::byte>> GrantSigner::Sign(const wire::Grant& grant) const {
  const std::string text = wire::EncodeGrant(grant);
  const auto bytes = std::as_bytes(std::span(text));
  std::vector<std::byte> sealed = {static_cast<std::byte>(keys_.size())};
  for (const digest::Sha256& key : keys_) {
    const digest::Sha256 mac = digest::ComputeHmac(key, bytes);
    sealed.insert(sealed.end(), mac.begin(), mac.end());
  }
  if (sealed.size() + bytes.size() > wire::kMaxGrantBytes) {
    return MakeError(Code::kInternal, "the grant of a task of job {} has {} bytes: at most {}", grant.job, sealed.size() + bytes.size(), wire::kMaxGrantBytes);
  }
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
  const std::size_t signatures = sealed.empty() ? 0 : static_cast<std::size_t>(sealed.front());
  const std::size_t before = 1 + signatures * digest::Sha256{}.size();
  const bool whole = signatures <= kMaxSignatures && sealed.size() > before && sealed.size() <= wire::kMaxGrantBytes;
  const auto bytes = sealed.subspan(whole ? before : sealed.size());
  bool known = false;
  for (std::size_t i = 0; whole && i < signatures; ++i) {
    digest::Sha256 mac{};
    std::copy_n(sealed.begin() + static_cast<std::ptrdiff_t>(1 + i * mac.size()), mac.size(), mac.begin());
    known = known || std::ranges::any_of(keys_, [&](const digest::Sha256& key) { return digest::SameInConstantTime(digest::ComputeHmac(key, bytes), mac); });
  }
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
