#include "tributary/transport/curve.h"

#include <gmock/gmock.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "libs/base/testing/temp_directory.h"

namespace tributary::transport {
namespace {

using testing::HasSubstr;

CurveKeys Keys() {
  auto keys = GenerateCurveKeys();
  EXPECT_TRUE(keys.ok());
  return *std::move(keys);
}

class CurveFile : public testing::Test {
 protected:
  TempDirectory directory_;
  const std::filesystem::path path_ = directory_.path() / "key";
};

TEST_F(CurveFile, IsReadAsItWasWrittenAndNeverOverwritten) {
  const CurveKeys keys = Keys();
  ASSERT_TRUE(WriteCurveKeys(path_, keys).ok());
  struct stat about{};
  ASSERT_EQ(stat(path_.c_str(), &about), 0);
  EXPECT_EQ(about.st_mode & 0777, 0600u);
  const auto read = ReadCurveKeys(path_);
  ASSERT_TRUE(read.ok()) << read.error().message();
  EXPECT_EQ(read->public_key, keys.public_key);
  EXPECT_EQ(read->secret_key, keys.secret_key);
  EXPECT_EQ(WriteCurveKeys(path_, Keys()).error().code(), Code::kAlreadyExists);
}

TEST_F(CurveFile, ThatOthersMayReadIsRefused) {
  ASSERT_TRUE(WriteCurveKeys(path_, Keys()).ok());
  std::filesystem::permissions(path_, std::filesystem::perms::group_read, std::filesystem::perm_options::add);
  const auto read = ReadCurveKeys(path_);
  ASSERT_FALSE(read.ok());
  EXPECT_EQ(read.error().code(), Code::kPermission);
  EXPECT_THAT(read.error().message(), HasSubstr("chmod 600"));
}

TEST_F(CurveFile, OfAnythingElseIsRefused) {
  const CurveKeys keys = Keys();
  for (const std::string& text : {std::string(), std::string("public = x\nsecret = y\n"), "secret = " + keys.secret_key + "\n",
                                  "public = " + Keys().public_key + "\nsecret = " + keys.secret_key + "\n", std::string(10'000, 'x')}) {
    std::filesystem::remove(path_);
    std::ofstream(path_) << text;
    std::filesystem::permissions(path_, std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
    const auto read = ReadCurveKeys(path_);
    ASSERT_FALSE(read.ok()) << text;
    EXPECT_EQ(read.error().code(), Code::kInvalidArgument);
  }
  EXPECT_EQ(ReadCurveKeys(directory_.path() / "none").error().code(), Code::kNotFound);
}

}  // namespace
}  // namespace tributary::transport
