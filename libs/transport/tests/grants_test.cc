// Grants are believed by the store that they were signed for, in the session of whom they name, until they are over; by and from nobody else.
#include "tributary/transport/grants.h"

#include <gmock/gmock.h>

#include "tributary/transport/curve.h"

namespace tributary::transport {
namespace {

using testing::HasSubstr;

constexpr std::int64_t kNow = 1'800'000'000;
const Identity kSite{PeerRole::kTrainer, "hospital-a"};

struct Servers {
  Keyring coordinator;
  Keyring store;
};

Keyring NewKeyring() {
  Keyring keyring;
  keyring.own = GenerateCurveKeys().value();
  return keyring;
}
void Introduce(Servers& servers) {
  for (Keyring* keyring : {&servers.coordinator, &servers.store}) {
    ASSERT_TRUE(keyring->peers.Add({PeerRole::kCoordinator, "coordinator"}, servers.coordinator.own.public_key).ok());
    ASSERT_TRUE(keyring->peers.Add({PeerRole::kBlobStore, "blob-store"}, servers.store.own.public_key).ok());
  }
}
Servers NewServers() {
  Servers servers{NewKeyring(), NewKeyring()};
  Introduce(servers);
  return servers;
}
GrantSigner SignerOf(const Servers& servers) { return *GrantSigner::Make(servers.coordinator).value(); }
GrantVerifier VerifierOf(const Servers& servers) { return GrantVerifier::Make(servers.store).value(); }

wire::Grant Grant() {
  return {"trainer", "hospital-a", "j", 2, {"jobs/j/models/1", "models/base"}, {"jobs/j/rounds/2/updates/hospital-a/0"}, kNow + 3600};
}
std::string Refusal(const Result<wire::Grant>& verified) {
  EXPECT_FALSE(verified.ok());
  if (verified.ok()) return "";
  EXPECT_EQ(verified.error().code(), Code::kPermission);
  return verified.error().message();
}

TEST(Grants, SayToTheStoreWhatTheCoordinatorSigned) {
  const Servers servers = NewServers();
  const auto sealed = SignerOf(servers).Sign(Grant()).value();
  const auto verified = VerifierOf(servers).Verify(sealed, kSite, kNow);
  ASSERT_TRUE(verified.ok()) << verified.error().message();
  EXPECT_EQ(*verified, Grant());
  // A coordinator that was started anew, and another shard, have the same keys.
  EXPECT_EQ(SignerOf(servers).Sign(Grant()).value(), sealed);
  EXPECT_TRUE(VerifierOf(servers).Verify(sealed, kSite, kNow).ok());
  EXPECT_LE(sealed.size(), 256u);
}

TEST(Grants, AForgedBitAnywhereIsRefused) {
  const Servers servers = NewServers();
  const GrantVerifier verifier = VerifierOf(servers);
  const auto sealed = SignerOf(servers).Sign(Grant()).value();
  for (std::size_t at = 0; at < sealed.size(); ++at) {
    auto forged = sealed;
    forged[at] ^= std::byte{1};
    EXPECT_THAT(Refusal(verifier.Verify(forged, kSite, kNow)), HasSubstr("the grant of trainer hospital-a was not signed for this blob-store")) << at;
  }
}

TEST(Grants, ATruncatedOneIsRefusedAndSoIsALongerOne) {
  const Servers servers = NewServers();
  const GrantVerifier verifier = VerifierOf(servers);
  auto sealed = SignerOf(servers).Sign(Grant()).value();
  for (std::size_t size = 0; size < sealed.size(); ++size) {
    EXPECT_THAT(Refusal(verifier.Verify(std::span(sealed).first(size), kSite, kNow)), HasSubstr("not signed")) << size;
  }
  sealed.push_back(std::byte{0});
  EXPECT_THAT(Refusal(verifier.Verify(sealed, kSite, kNow)), HasSubstr("not signed"));
  sealed.resize(wire::kMaxGrantBytes + 1);
  EXPECT_THAT(Refusal(verifier.Verify(sealed, kSite, kNow)), HasSubstr("not signed"));
}

TEST(Grants, AnotherIdentityMayNotShowIt) {
  const Servers servers = NewServers();
  const GrantVerifier verifier = VerifierOf(servers);
  const auto sealed = SignerOf(servers).Sign(Grant()).value();
  EXPECT_THAT(Refusal(verifier.Verify(sealed, {PeerRole::kTrainer, "hospital-b"}, kNow)), HasSubstr("trainer hospital-b shows a grant of trainer hospital-a"));
  EXPECT_THAT(Refusal(verifier.Verify(sealed, {PeerRole::kAggregator, "hospital-a"}, kNow)), HasSubstr("aggregator hospital-a shows a grant of trainer hospital-a"));
}

TEST(Grants, OneThatIsOverIsRefused) {
  const Servers servers = NewServers();
  const auto sealed = SignerOf(servers).Sign(Grant()).value();
  EXPECT_TRUE(VerifierOf(servers).Verify(sealed, kSite, Grant().until - 1).ok());
  EXPECT_THAT(Refusal(VerifierOf(servers).Verify(sealed, kSite, Grant().until)), HasSubstr("over"));
  EXPECT_THAT(Refusal(VerifierOf(servers).Verify(sealed, kSite, Grant().until + 60)), HasSubstr("over for 60 s"));
}

TEST(Grants, TheKeysOfOtherServersSignNothingHere) {
  Servers servers = NewServers();
  const auto sealed = SignerOf(servers).Sign(Grant()).value();
  // Another store, whose list has the same coordinator.
  Servers elsewhere{servers.coordinator, NewKeyring()};
  ASSERT_TRUE(elsewhere.store.peers.Add({PeerRole::kCoordinator, "coordinator"}, servers.coordinator.own.public_key).ok());
  EXPECT_THAT(Refusal(VerifierOf(elsewhere).Verify(sealed, kSite, kNow)), HasSubstr("not signed"));
  // A coordinator that is not on the store's list, and a list that names none.
  Servers stranger{NewKeyring(), servers.store};
  ASSERT_TRUE(stranger.coordinator.peers.Add({PeerRole::kBlobStore, "blob-store"}, servers.store.own.public_key).ok());
  EXPECT_THAT(Refusal(VerifierOf(servers).Verify(SignerOf(stranger).Sign(Grant()).value(), kSite, kNow)), HasSubstr("not signed"));
  servers.store.peers = {};
  EXPECT_FALSE(VerifierOf(servers).believes_somebody());
  EXPECT_THAT(Refusal(VerifierOf(servers).Verify(sealed, kSite, kNow)), HasSubstr("not signed"));
}

TEST(Grants, ATrainerCannotSignWithWhatItKnows) {
  Servers servers = NewServers();
  // It has its own key, both servers' public ones, and says that it is the coordinator.
  Keyring trainer = NewKeyring();
  ASSERT_TRUE(trainer.peers.Add({PeerRole::kBlobStore, "blob-store"}, servers.store.own.public_key).ok());
  ASSERT_TRUE(servers.store.peers.Add(kSite, trainer.own.public_key).ok());
  trainer.own.public_key = servers.coordinator.own.public_key;
  const auto forged = (*GrantSigner::Make(trainer).value()).Sign(Grant()).value();
  EXPECT_THAT(Refusal(VerifierOf(servers).Verify(forged, kSite, kNow)), HasSubstr("not signed"));
}

TEST(Grants, OfSeveralKeysTheFirstStoreIsSignedForAndEachCoordinatorBelieved) {
  Servers servers = NewServers();
  const Keyring new_coordinator = NewKeyring();
  ASSERT_TRUE(servers.store.peers.Add({PeerRole::kCoordinator, "coordinator"}, new_coordinator.own.public_key).ok());
  ASSERT_TRUE(servers.coordinator.peers.Add({PeerRole::kBlobStore, "blob-store"}, GenerateCurveKeys().value().public_key).ok());
  EXPECT_TRUE(VerifierOf(servers).Verify(SignerOf(servers).Sign(Grant()).value(), kSite, kNow).ok());
  servers.coordinator = new_coordinator;
  ASSERT_TRUE(servers.coordinator.peers.Add({PeerRole::kBlobStore, "blob-store"}, servers.store.own.public_key).ok());
  EXPECT_TRUE(VerifierOf(servers).Verify(SignerOf(servers).Sign(Grant()).value(), kSite, kNow).ok());
}

TEST(Grants, EachCacheOfTheListIsSignedForWithAKeyOfItsOwn) {
  Servers servers = NewServers();
  std::vector<Keyring> caches;
  for (std::size_t i = 0; i + 1 < kMaxSignatures; ++i) {
    caches.push_back(NewKeyring());
    caches.back().peers = servers.store.peers;
    ASSERT_TRUE(servers.coordinator.peers.Add({PeerRole::kCache, fmt::format("c{}", i)}, caches.back().own.public_key).ok());
  }
  const auto sealed = SignerOf(servers).Sign(Grant()).value();
  EXPECT_TRUE(VerifierOf(servers).Verify(sealed, kSite, kNow).ok());
  for (const Keyring& cache : caches) EXPECT_TRUE(GrantVerifier::Make(cache).value().Verify(sealed, kSite, kNow).ok());
  // One that the coordinator does not know; and what is left when somebody takes a signature away.
  Keyring other = NewKeyring();
  other.peers = servers.store.peers;
  EXPECT_THAT(Refusal(GrantVerifier::Make(other).value().Verify(sealed, kSite, kNow)), HasSubstr("not signed"));
  auto fewer = sealed;
  fewer.erase(fewer.begin() + 1, fewer.begin() + 33);
  fewer.front() = static_cast<std::byte>(kMaxSignatures - 1);
  EXPECT_THAT(Refusal(VerifierOf(servers).Verify(fewer, kSite, kNow)), HasSubstr("not signed"));
  EXPECT_TRUE(GrantVerifier::Make(caches[0]).value().Verify(fewer, kSite, kNow).ok());
  // What a cache knows signs nothing for the store.
  Keyring forger = caches[0];
  forger.own.public_key = servers.coordinator.own.public_key;
  EXPECT_THAT(Refusal(VerifierOf(servers).Verify((*GrantSigner::Make(forger).value()).Sign(Grant()).value(), kSite, kNow)), HasSubstr("not signed"));
  ASSERT_TRUE(servers.coordinator.peers.Add({PeerRole::kCache, "more"}, other.own.public_key).ok());
  EXPECT_THAT(GrantSigner::Make(servers.coordinator).error().message(), HasSubstr("16 keys of caches"));
}

TEST(Grants, WithoutABlobStoreOnTheListNothingIsSigned) {
  const auto signer = GrantSigner::Make(NewKeyring());
  ASSERT_TRUE(signer.ok());
  EXPECT_FALSE(signer->has_value());
}

TEST(Grants, OneThatIsTooLongIsNotSigned) {
  wire::Grant grant = Grant();
  grant.reads.assign(wire::kMaxGrantObjects, std::string(255, 'x'));
  const auto sealed = SignerOf(NewServers()).Sign(grant);
  ASSERT_FALSE(sealed.ok());
  EXPECT_EQ(sealed.error().code(), Code::kInternal);
}

}  // namespace
}  // namespace tributary::transport
