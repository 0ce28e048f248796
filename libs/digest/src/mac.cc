#include "tributary/digest/mac.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <memory>

namespace tributary::digest {
namespace {

struct Free {
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
  void operator()(EVP_PKEY_CTX* context) const { EVP_PKEY_CTX_free(context); }
};

const unsigned char* Raw(std::span<const std::byte> bytes) { return reinterpret_cast<const unsigned char*>(bytes.data()); }

}  // namespace

Sha256 ComputeHmac(std::span<const std::byte> key, std::span<const std::byte> text) {
  Sha256 out{};
  unsigned int length = 0;
  // Cannot fail on valid pointers; the provider is built in.
  HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()), Raw(text), text.size(), reinterpret_cast<unsigned char*>(out.data()), &length);
  return out;
}

bool SameInConstantTime(const Sha256& a, const Sha256& b) { return CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0; }

Result<Sha256> AgreeOnKey(const Curve25519Key& own_secret, const Curve25519Key& other_public, std::span<const std::byte> purpose) {
  const std::unique_ptr<EVP_PKEY, Free> own(EVP_PKEY_new_raw_private_key(EVP_PKEY_X25519, nullptr, Raw(own_secret), own_secret.size()));
  const std::unique_ptr<EVP_PKEY, Free> other(EVP_PKEY_new_raw_public_key(EVP_PKEY_X25519, nullptr, Raw(other_public), other_public.size()));
  const std::unique_ptr<EVP_PKEY_CTX, Free> context(own ? EVP_PKEY_CTX_new(own.get(), nullptr) : nullptr);
  Curve25519Key shared{};
  std::size_t length = shared.size();
  if (!other || !context || EVP_PKEY_derive_init(context.get()) != 1 || EVP_PKEY_derive_set_peer(context.get(), other.get()) != 1 ||
      EVP_PKEY_derive(context.get(), reinterpret_cast<unsigned char*>(shared.data()), &length) != 1) {
    return MakeError(Code::kInvalidArgument, "no secret can be shared with this public key: it is no key of Curve25519");
  }
  const Sha256 key = ComputeHmac(shared, purpose);
  OPENSSL_cleanse(shared.data(), shared.size());
  return key;
}

}  // namespace tributary::digest
