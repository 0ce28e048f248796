#include "tributary/digest/digest.h"

#include <openssl/evp.h>
#include <xxhash.h>
#if defined(__x86_64__)
#include <xxh_x86dispatch.h>  // the widest vectors that the processor has: three times as fast as the least that all have
#endif

#include <cstring>

namespace tributary::digest {

Sha256 ComputeSha256(std::span<const std::byte> bytes) {
  Sha256 out{};
  unsigned int length = 0;
  // EVP_sha256 cannot fail on valid pointers; the provider is built in.
  EVP_Digest(bytes.data(), bytes.size(), reinterpret_cast<unsigned char*>(out.data()), &length, EVP_sha256(), nullptr);
  return out;
}

Xxh128 ComputeXxh128(std::span<const std::byte> bytes) {
  XXH128_canonical_t canonical;
  XXH128_canonicalFromHash(&canonical, XXH3_128bits(bytes.data(), bytes.size()));
  Xxh128 out;
  std::memcpy(out.data(), canonical.digest, out.size());
  return out;
}

std::string Hex(std::span<const std::byte> bytes) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  text.reserve(bytes.size() * 2);
  for (const std::byte b : bytes) {
    text += kDigits[static_cast<unsigned>(b) >> 4];
    text += kDigits[static_cast<unsigned>(b) & 15];
  }
  return text;
}

Result<Sha256> ParseSha256(std::string_view hex) {
  Sha256 out{};
  const auto nibble = [](char c) -> int {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return -1;
  };
  if (hex.size() != 64) return MakeError(Code::kInvalidArgument, "a SHA-256 has 64 hexadecimal digits, not {}", hex.size());
  for (std::size_t i = 0; i < out.size(); ++i) {
    const int high = nibble(hex[2 * i]);
    const int low = nibble(hex[2 * i + 1]);
    if (high < 0 || low < 0) return MakeError(Code::kInvalidArgument, "not a SHA-256: '{}'", hex);
    out[i] = static_cast<std::byte>(high * 16 + low);
  }
  return out;
}

struct Sha256Stream::Impl {
  EVP_MD_CTX* context = EVP_MD_CTX_new();
  ~Impl() { EVP_MD_CTX_free(context); }
};

Sha256Stream::Sha256Stream() : impl_(std::make_unique<Impl>()) {
  EVP_DigestInit_ex(impl_->context, EVP_sha256(), nullptr);
}
Sha256Stream::~Sha256Stream() = default;

void Sha256Stream::Update(std::span<const std::byte> bytes) {
  EVP_DigestUpdate(impl_->context, bytes.data(), bytes.size());
}

Sha256 Sha256Stream::Finish() {
  Sha256 out{};
  unsigned int length = 0;
  EVP_DigestFinal_ex(impl_->context, reinterpret_cast<unsigned char*>(out.data()), &length);
  return out;
}

}  // namespace tributary::digest
