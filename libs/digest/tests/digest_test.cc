#include "tributary/digest/digest.h"

#include <gtest/gtest.h>

#include <string>

namespace tributary::digest {
namespace {

std::span<const std::byte> Bytes(const std::string& text) { return std::as_bytes(std::span(text)); }

TEST(Sha256, EqualsThePublishedVectors) {
  EXPECT_EQ(Hex(ComputeSha256({})), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(Hex(ComputeSha256(Bytes("abc"))), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(Hex(ComputeSha256(Bytes(std::string(1'000'000, 'a')))),
            "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST(Sha256, OfAPairEqualsOpenSsls) {
  std::string text(5'000, ' ');
  for (std::size_t i = 0; i < text.size(); ++i) text[i] = static_cast<char>(i * 2654435761u >> 11);
  const std::span<const std::byte> all = Bytes(text);
  // Every length around the ends of blocks, where the padding takes one block or two, beside every other kind.
  for (std::size_t first = 0; first <= 200; ++first) {
    for (const std::size_t second : {std::size_t{0}, std::size_t{1}, std::size_t{55}, std::size_t{56}, std::size_t{63}, std::size_t{64},
                                     std::size_t{65}, first, std::size_t{4'096}}) {
      // Not aligned.
      const auto a = all.subspan(1, first);
      const auto b = all.subspan(3, second);
      const auto pair = ComputeSha256Pair(a, b);
      ASSERT_EQ(Hex(pair[0]), Hex(ComputeSha256(a))) << first << ", " << second;
      ASSERT_EQ(Hex(pair[1]), Hex(ComputeSha256(b))) << first << ", " << second;
    }
  }
  const std::string million(1'000'000, 'a');
  EXPECT_EQ(Hex(ComputeSha256Pair(Bytes(million), {})[0]), "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST(Sha256, StreamedEqualsWhole) {
  const std::string text(10'000, 'x');
  for (const std::size_t piece : {1, 63, 64, 65, 9'999}) {
    Sha256Stream stream;
    for (std::size_t at = 0; at < text.size(); at += piece) stream.Update(Bytes(text.substr(at, piece)));
    EXPECT_EQ(stream.Finish(), ComputeSha256(Bytes(text))) << piece;
  }
}

TEST(Xxh128, EqualsThePublishedVectorInCanonicalOrder) {
  EXPECT_EQ(Hex(ComputeXxh128({})), "99aa06d3014798d86001c324468d497f");
  EXPECT_NE(ComputeXxh128(Bytes("a")), ComputeXxh128(Bytes("b")));
}

TEST(ParseSha256, TakesWhatHexGives) {
  const Sha256 digest = ComputeSha256(Bytes("abc"));
  EXPECT_EQ(*ParseSha256(Hex(digest)), digest);
}

TEST(ParseSha256, RefusesOtherLengthsAndCharacters) {
  const std::string good = Hex(ComputeSha256({}));
  for (const std::string& text : {std::string(), good.substr(1), good + "0", "g" + good.substr(1), "E" + good.substr(1), std::string(64, ' ')}) {
    const auto parsed = ParseSha256(text);
    ASSERT_FALSE(parsed.ok()) << text;
    EXPECT_EQ(parsed.error().code(), Code::kInvalidArgument);
  }
}

}  // namespace
}  // namespace tributary::digest
