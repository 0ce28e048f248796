#include "tributary/tensor/safetensors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <fstream>
#include <vector>

#include "libs/base/testing/temp_directory.h"

namespace tributary::tensor {
namespace {

using testing::HasSubstr;

Result<SafetensorsHeader> Parse(const std::string& json, std::uint64_t data_bytes) {
  return ParseSafetensorsHeader(json, kSafetensorsPrefix + json.size() + data_bytes, "m.safetensors");
}
std::string ErrorOf(const std::string& json, std::uint64_t data_bytes) {
  const auto header = Parse(json, data_bytes);
  EXPECT_FALSE(header.ok()) << json;
  if (header.ok()) return "";
  EXPECT_THAT(header.error().message(), HasSubstr("m.safetensors"));
  return header.error().message();
}
std::string Tensor(const std::string& name, const std::string& dtype, const std::string& shape,
                   const std::string& offsets) {
  return "\"" + name + "\":{\"dtype\":\"" + dtype + "\",\"shape\":" + shape + ",\"data_offsets\":" + offsets + "}";
}

std::array<std::byte, 8> Prefix(std::uint64_t length) {
  std::array<std::byte, 8> bytes{};
  for (std::size_t i = 0; i < 8; ++i) bytes[i] = static_cast<std::byte>(length >> (8 * i));
  return bytes;
}

TEST(SafetensorsHeaderLength, IsHeldAgainstTheFile) {
  EXPECT_EQ(SafetensorsHeaderLength(Prefix(100), 108, "m").value(), 100u);
  EXPECT_EQ(SafetensorsHeaderLength(Prefix(101), 108, "m").error().code(), Code::kDataLoss);
  // Sums of these with the prefix would wrap around.
  const std::vector<std::uint64_t> liars = {~0ULL, ~0ULL - 7, ~0ULL - 8, 1ULL << 63, kMaxSafetensorsHeader + 1};
  for (const std::uint64_t liar : liars) {
    EXPECT_FALSE(SafetensorsHeaderLength(Prefix(liar), ~0ULL, "m").ok()) << liar;
  }
  EXPECT_THAT(SafetensorsHeaderLength(Prefix(5000), 108, "/srv/m").error().message(),
              AllOf(HasSubstr("/srv/m"), HasSubstr("5000"), HasSubstr("108"), HasSubstr("truncated")));
}

TEST(ParseSafetensors, TensorsInOrderOfTheirBytes) {
  const auto header = Parse("{\"__metadata__\":{\"format\":\"pt\"}," + Tensor("b", "F16", "[2]", "[8,12]") + "," +
                                Tensor("a", "F32", "[1,2]", "[0,8]") + "," + Tensor("c", "U8", "[]", "[12,13]") + "}",
                            13);
  ASSERT_TRUE(header.ok()) << header.error().message();
  ASSERT_EQ(header->tensors.size(), 3u);
  EXPECT_EQ(header->tensors[0].spec, (TensorSpec{"a", DType::kF32, {1, 2}}));
  EXPECT_EQ(header->tensors[1].spec.name, "b");
  EXPECT_EQ(header->tensors[1].bytes, 4u);
  EXPECT_EQ(header->tensors[1].file_offset, header->tensors[0].file_offset + 8);
  EXPECT_TRUE(header->tensors[2].spec.shape.empty());
  EXPECT_EQ(header->metadata.at("format"), "pt");
}

TEST(ParseSafetensors, TruncatedOrLyingFilesAreNamed) {
  const std::string one = "{" + Tensor("a", "F32", "[2]", "[0,8]") + "}";
  EXPECT_THAT(ErrorOf(one, 7), HasSubstr("truncated"));
  EXPECT_THAT(ErrorOf(one, 0), HasSubstr("truncated"));
  EXPECT_THAT(ErrorOf(one, 9), HasSubstr("1 bytes after the last tensor"));
  EXPECT_THAT(ErrorOf("{" + Tensor("a", "F32", "[2]", "[0,12]") + "}", 12), HasSubstr("span 12 bytes"));
  EXPECT_THAT(ErrorOf("{" + Tensor("a", "F32", "[2]", "[8,0]") + "}", 8), HasSubstr("need 8"));
  EXPECT_THAT(ErrorOf("{" + Tensor("a", "F32", "[2]", "[18446744073709551608,18446744073709551615]") + "}", 8),
              HasSubstr("tensor 'a'"));
  EXPECT_THAT(ErrorOf("{" + Tensor("a", "F32", "[4611686018427387904,4]", "[0,0]") + "}", 0), HasSubstr("too many"));
  EXPECT_THAT(ErrorOf("{" + Tensor("a", "F32", "[0]", "[0,0]") + "}", 0), HasSubstr("zero"));
}

TEST(ParseSafetensors, HeaderLongerThanTheFileIsRefused) {
  const std::string json = "{" + Tensor("a", "F32", "[2]", "[0,8]") + "}";
  EXPECT_THAT(ParseSafetensorsHeader(json, 10, "m.safetensors").error().message(), HasSubstr("longer than the file"));
}

TEST(ParseSafetensors, OverlapsAndGapsAreRefused) {
  EXPECT_THAT(ErrorOf("{" + Tensor("a", "F32", "[2]", "[0,8]") + "," + Tensor("b", "F32", "[2]", "[4,12]") + "}", 12),
              HasSubstr("'b' overlaps"));
  EXPECT_THAT(ErrorOf("{" + Tensor("a", "F32", "[2]", "[0,8]") + "," + Tensor("b", "F32", "[2]", "[0,8]") + "}", 8),
              HasSubstr("overlaps"));
  EXPECT_THAT(ErrorOf("{" + Tensor("a", "F32", "[2]", "[0,8]") + "," + Tensor("b", "F32", "[2]", "[12,20]") + "}", 20),
              HasSubstr("gap"));
  EXPECT_THAT(ErrorOf("{" + Tensor("a", "F32", "[2]", "[4,12]") + "}", 12), HasSubstr("gap"));
}

TEST(ParseSafetensors, MalformedEntriesAreRefused) {
  EXPECT_THAT(ErrorOf("[]", 0), HasSubstr("not an object"));
  EXPECT_THAT(ErrorOf("{", 0), HasSubstr("not valid JSON"));
  EXPECT_THAT(ErrorOf("{\"a\":3}", 0), HasSubstr("tensor 'a'"));
  EXPECT_THAT(ErrorOf("{\"a\":{}}", 0), HasSubstr("'dtype' is missing"));
  EXPECT_THAT(ErrorOf("{" + Tensor("a", "F8_E4M3", "[1]", "[0,1]") + "}", 1), HasSubstr("F8_E4M3"));
  EXPECT_THAT(ErrorOf("{" + Tensor("a", "F32", "[-2]", "[0,8]") + "}", 8), HasSubstr("bad shape"));
  EXPECT_THAT(ErrorOf("{" + Tensor("a", "F32", "[2.5]", "[0,8]") + "}", 8), HasSubstr("bad shape"));
  EXPECT_THAT(ErrorOf("{" + Tensor("a", "F32", "2", "[0,8]") + "}", 8), HasSubstr("malformed"));
  EXPECT_THAT(ErrorOf("{" + Tensor("a", "F32", "[2]", "[0]") + "}", 8), HasSubstr("malformed"));
  EXPECT_THAT(ErrorOf("{" + Tensor("a", "F32", "[2]", "[-8,0]") + "}", 8), HasSubstr("malformed"));
  EXPECT_THAT(ErrorOf("{\"__metadata__\":3}", 0), HasSubstr("__metadata__"));
}

class SafetensorsFileTest : public testing::Test {
 protected:
  std::string Write(const std::string& bytes) { return folder_.Write("m.safetensors", bytes); }
  const TempDirectory folder_;
};

TEST_F(SafetensorsFileTest, WhatIsWrittenReadsBackAndDataIsAligned) {
  const std::vector<TensorSpec> tensors = {
      {"wte.weight", DType::kF32, {3, 5}}, {"\"quoted\" \xC3\xA9", DType::kBF16, {7}}, {"scalar", DType::kI64, {}}};
  const std::string header = MakeSafetensorsHeader(tensors, {{"format", "pt"}});
  EXPECT_EQ(header.size() % 64, 0u);
  const auto read = ReadSafetensorsHeader(Write(header + std::string(60 + 14 + 8, 'x')));
  ASSERT_TRUE(read.ok()) << read.error().message();
  ASSERT_EQ(read->tensors.size(), 3u);
  for (std::size_t i = 0; i < 3; ++i) EXPECT_EQ(read->tensors[i].spec, tensors[i]);
  EXPECT_EQ(read->tensors[0].file_offset, header.size());
  EXPECT_EQ(read->metadata.at("format"), "pt");
}

TEST_F(SafetensorsFileTest, EveryTruncationIsAnError) {
  const std::string whole = MakeSafetensorsHeader({{"a", DType::kF32, {4}}}, {}) + std::string(16, 'x');
  ASSERT_TRUE(ReadSafetensorsHeader(Write(whole)).ok());
  for (std::size_t size = 0; size < whole.size(); ++size) {
    EXPECT_EQ(ReadSafetensorsHeader(Write(whole.substr(0, size))).error().code(), Code::kDataLoss) << size;
  }
  EXPECT_FALSE(ReadSafetensorsHeader(Write(whole + "x")).ok());
}

TEST_F(SafetensorsFileTest, MissingFileAndFolderAreNamed) {
  EXPECT_EQ(ReadSafetensorsHeader(folder_.File("gone")).error().code(), Code::kNotFound);
  EXPECT_FALSE(ReadSafetensorsHeader(folder_.path()).ok());
}

}  // namespace
}  // namespace tributary::tensor
