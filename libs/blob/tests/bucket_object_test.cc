#include "libs/blob/src/bucket_object.h"

#include <gtest/gtest.h>

namespace tributary::blob {
namespace {

BucketObject Sample() {
  BucketObject object;
  object.id = "0123456789abcdef";
  object.digest = std::string(64, 'a');
  object.part_bytes = 32u << 20;
  object.data = (1ull << 37) + 5;
  object.slots = 128;
  object.pages = 48;
  object.spec = 77;
  object.root = 99;
  return object;
}

TEST(BucketObject, HeadersComeBack) {
  const std::string text = EncodeHeader(Sample());
  EXPECT_EQ(text.size(), kCommitHeaderBytes);
  const auto back = DecodeHeader(text);
  ASSERT_TRUE(back.ok()) << back.error().message();
  EXPECT_EQ(EncodeHeader(*back), text);
  EXPECT_EQ(back->parts(), 4097u);
  BucketObject largest = Sample();
  largest.data = largest.slots = largest.pages = largest.spec = largest.root = 1ull << 60;
  EXPECT_TRUE(DecodeHeader(EncodeHeader(largest)).ok());
}

TEST(BucketObject, DamagedHeadersAreRefused) {
  const std::string good = EncodeHeader(Sample());
  const auto changed = [&](const std::string& from, const std::string& to) {
    std::string text = good;
    text.replace(text.find(from), from.size(), to);
    text.resize(kCommitHeaderBytes, ' ');
    return DecodeHeader(text).ok();
  };
  EXPECT_FALSE(DecodeHeader("").ok());
  EXPECT_FALSE(DecodeHeader(good.substr(1)).ok());
  EXPECT_FALSE(DecodeHeader(std::string(kCommitHeaderBytes, '\0')).ok());
  EXPECT_FALSE(changed("object 1", "object 2"));
  EXPECT_FALSE(changed("0123456789abcdef", "../../../../etc/"));
  EXPECT_FALSE(changed("part_bytes 33554432", "part_bytes 0"));
  EXPECT_FALSE(changed("part_bytes 33554432", "part_bytes 99999999999999"));
  EXPECT_FALSE(changed("slots 128", "slots -1"));
  EXPECT_FALSE(changed("slots 128", "slots 99999999999999999999999"));
  EXPECT_FALSE(changed("slots 128", "slots 1x"));
  EXPECT_FALSE(changed("slots", "stols"));
  for (std::size_t cut = 0; cut < good.find("root 99"); cut += 7) {
    std::string text = good.substr(0, cut);
    text.resize(kCommitHeaderBytes, ' ');
    EXPECT_FALSE(DecodeHeader(text).ok()) << cut;
  }
}

TEST(BucketObject, KeysTellTheirUpload) {
  const UploadRef upload{ObjectName::Trusted("jobs/j-1/rounds/0.5"), Sample().id};
  EXPECT_EQ(CommitKey(upload), "sealed/jobs/j-1/rounds/0.5/-0123456789abcdef");
  EXPECT_EQ(CommitsPrefix(upload.name), "sealed/jobs/j-1/rounds/0.5/-");
  EXPECT_EQ(UploadOfCommit(CommitKey(upload)), upload);
  const std::string part = PartKey(upload, 12);
  EXPECT_EQ(part, "parts/jobs/j-1/rounds/0.5/-0123456789abcdef/data-000012");
  EXPECT_EQ(UploadOfPart(part), upload);
}

TEST(BucketObject, ForeignKeysAreNobodys) {
  for (const char* key : {"", "sealed/", "sealed//-0123456789abcdef", "sealed/a", "sealed/a/-root", "sealed/a/-0123456789ABCDEF",
                          "sealed/a/-0123456789abcdef0", "sealed/../-0123456789abcdef", "sealed/a/../b/-0123456789abcdef",
                          "other/a/-0123456789abcdef", "sealed/a/-0123456789abcdef/x"}) {
    EXPECT_FALSE(UploadOfCommit(key).has_value()) << key;
  }
  for (const char* key : {"", "parts", "parts/", "parts/a/-0123456789abcdef", "parts/a/-0123456789abcdeg/x", "parts/../-0123456789abcdef/x",
                          "parts/a/x", "sealed/a/-0123456789abcdef/x", "parts/a/-0123456789abcdef/x/y"}) {
    EXPECT_FALSE(UploadOfPart(key).has_value()) << key;
  }
}

}  // namespace
}  // namespace tributary::blob
