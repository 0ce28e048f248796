#include "tributary/digest/mac.h"

#include <gtest/gtest.h>

#include <string_view>

namespace tributary::digest {
namespace {

std::span<const std::byte> BytesOf(std::string_view text) { return std::as_bytes(std::span(text)); }

Curve25519Key KeyOf(std::string_view hex) { return ParseSha256(hex).value(); }

// RFC 4231, test cases 2 and 3.
TEST(Hmac, IsTheStandards) {
  EXPECT_EQ(Hex(ComputeHmac(BytesOf("Jefe"), BytesOf("what do ya want for nothing?"))), "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
  EXPECT_EQ(Hex(ComputeHmac(BytesOf(std::string(20, '\xaa')), BytesOf(std::string(50, '\xdd')))),
            "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe");
}

// Against another implementation: Python's cryptography and hmac.
TEST(AgreeOnKey, BothEndsDeriveTheSameOneForEachPurpose) {
  const auto a = KeyOf("0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20");
  const auto a_public = KeyOf("07a37cbc142093c8b755dc1b10e86cb426374ad16aa853ed0bdfc0b2b86d1c7c");
  const auto b = KeyOf("65666768696a6b6c6d6e6f707172737475767778797a7b7c7d7e7f8081828384");
  const auto b_public = KeyOf("5714769d116bf76436ae74bc793d2c30ad1903c59ac5273805c7e2698b410c36");
  const auto key = AgreeOnKey(a, b_public, BytesOf("purpose"));
  ASSERT_TRUE(key.ok()) << key.error().message();
  EXPECT_EQ(Hex(*key), "21b4edc20d62172e3aacdab1f98b678cd298acc83b95f903ea89deabed3220b1");
  EXPECT_EQ(AgreeOnKey(b, a_public, BytesOf("purpose")).value(), *key);
  EXPECT_NE(AgreeOnKey(a, b_public, BytesOf("another")).value(), *key);
  EXPECT_NE(AgreeOnKey(a, a_public, BytesOf("purpose")).value(), *key);
}

TEST(AgreeOnKey, AKeyOfSmallOrderIsRefused) {
  const auto a = KeyOf("0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20");
  for (const char* small : {"0000000000000000000000000000000000000000000000000000000000000000", "0100000000000000000000000000000000000000000000000000000000000000"}) {
    const auto key = AgreeOnKey(a, KeyOf(small), BytesOf("purpose"));
    ASSERT_FALSE(key.ok());
    EXPECT_EQ(key.error().code(), Code::kInvalidArgument);
  }
}

TEST(SameInConstantTime, TellsEqualFromDifferent) {
  Sha256 a{};
  Sha256 b{};
  EXPECT_TRUE(SameInConstantTime(a, b));
  b.back() = std::byte{1};
  EXPECT_FALSE(SameInConstantTime(a, b));
}

}  // namespace
}  // namespace tributary::digest
