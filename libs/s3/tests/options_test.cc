#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "libs/base/testing/temp_directory.h"
#include "tributary/s3/client.h"

namespace tributary::s3 {
namespace {

using ::testing::HasSubstr;

TEST(S3Options, EndpointsAreUrlsOfSchemeAndHost) {
  for (const char* good : {"http://127.0.0.1:9000", "https://s3.eu-central-1.amazonaws.com", "http://[::1]:80"}) {
    EXPECT_TRUE(CheckEndpoint(good).ok()) << good;
  }
  for (const char* bad : {"", "127.0.0.1:9000", "http://", "ftp://host", "https://user:secret@host", "https://host/path", "file:///etc/passwd"}) {
    EXPECT_FALSE(CheckEndpoint(bad).ok()) << bad;
  }
}

TEST(S3Options, BucketsAndPrefixesHoldNothingThatUrlsEncode) {
  for (const char* good : {"abc", "my-bucket.1"}) EXPECT_TRUE(CheckBucket(good).ok()) << good;
  for (const char* bad : {"", "ab", "A-bucket", "a/b/c", "-abc", "a bucket", "..."}) EXPECT_FALSE(CheckBucket(bad).ok()) << bad;
  for (const char* good : {"", "a", "team/models", "A_1/b.c"}) EXPECT_TRUE(CheckPrefix(good).ok()) << good;
  for (const char* bad : {"/a", "a/", "a//b", "../a", "a/../b", "a b", "a+b", "%2e"}) EXPECT_FALSE(CheckPrefix(bad).ok()) << bad;
}

TEST(S3Options, ACredentialsFileIsReadAsTheAwsToolsWriteIt) {
  const TempDirectory temp;
  const std::string path = temp.Write("credentials",
                                      "# mine\n[other]\naws_access_key_id = no\n\n[default]\r\naws_access_key_id=AK\n"
                                      "aws_secret_access_key =  s/e+cret=\naws_session_token = tok\nregion = x\n[more]\naws_access_key_id = no\n");
  chmod(path.c_str(), 0600);
  const auto read = CredentialsFromFile(path);
  ASSERT_TRUE(read.ok()) << read.error().message();
  EXPECT_EQ(read->access_key, "AK");
  EXPECT_EQ(read->secret_key, "s/e+cret=");
  EXPECT_EQ(read->session_token, "tok");
}

TEST(S3Options, ACredentialsFileThatOthersMayReadIsRefused) {
  const TempDirectory temp;
  const std::string path = temp.Write("credentials", "aws_access_key_id = a\naws_secret_access_key = b\n");
  for (const mode_t mode : {0644, 0640, 0604, 0620}) {
    chmod(path.c_str(), mode);
    const auto read = CredentialsFromFile(path);
    ASSERT_FALSE(read.ok());
    EXPECT_EQ(read.error().code(), Code::kPermission);
    EXPECT_THAT(read.error().message(), HasSubstr("chmod 600"));
  }
  chmod(path.c_str(), 0400);
  EXPECT_TRUE(CredentialsFromFile(path).ok());
}

TEST(S3Options, ACredentialsFileOfAnotherOwnerMayBeReadByTheGroup) {
  const TempDirectory temp;
  const std::string path = temp.Write("credentials", "aws_access_key_id = a\naws_secret_access_key = b\n");
  if (chown(path.c_str(), 10001, static_cast<gid_t>(-1)) != 0) GTEST_SKIP() << "only root gives files away";
  chmod(path.c_str(), 0440);
  EXPECT_TRUE(CredentialsFromFile(path).ok()) << "as a cluster mounts a secret";
  for (const mode_t mode : {0460, 0444, 0442, 0450}) {
    chmod(path.c_str(), mode);
    const auto read = CredentialsFromFile(path);
    ASSERT_FALSE(read.ok()) << mode;
    EXPECT_EQ(read.error().code(), Code::kPermission);
  }
}

TEST(S3Options, CredentialsThatAreMissingOrNoneAreToldWithoutThem) {
  const TempDirectory temp;
  const auto of = [&](const std::string& text) {
    const std::string path = temp.Write("credentials", text);
    chmod(path.c_str(), 0600);
    return CredentialsFromFile(path);
  };
  EXPECT_THAT(of("aws_access_key_id = a\n").error().message(), HasSubstr("no secret key"));
  const auto odd = of("aws_access_key_id = a\naws_secret_access_key = top secret\n");
  ASSERT_FALSE(odd.ok());
  EXPECT_THAT(odd.error().message(), ::testing::Not(HasSubstr("top")));
  EXPECT_EQ(CredentialsFromFile(temp.File("none")).error().code(), Code::kNotFound);
  EXPECT_EQ(CredentialsFromFile(temp.path()).error().code(), Code::kInvalidArgument);
}

TEST(S3Options, TheEnvironmentGivesCredentials) {
  setenv("AWS_ACCESS_KEY_ID", "id", 1);
  unsetenv("AWS_SECRET_ACCESS_KEY");
  unsetenv("AWS_SESSION_TOKEN");
  EXPECT_THAT(CredentialsFromEnvironment().error().message(), HasSubstr("AWS_SECRET_ACCESS_KEY"));
  setenv("AWS_SECRET_ACCESS_KEY", "secret", 1);
  const auto read = CredentialsFromEnvironment();
  ASSERT_TRUE(read.ok());
  EXPECT_EQ(read->session_token, "");
}

TEST(S3Options, AClientIsMadeOfGoodOptionsAlone) {
  ClientOptions options{.endpoint = "http://h", .bucket = "bucket", .credentials = {"a", "b", ""}};
  EXPECT_TRUE(MakeClient(options).ok());
  options.bucket = "No";
  EXPECT_THAT(MakeClient(options).error().message(), HasSubstr("--s3-bucket"));
  options.bucket = "bucket";
  options.credentials.secret_key.clear();
  EXPECT_THAT(MakeClient(options).error().message(), HasSubstr("AWS_ACCESS_KEY_ID"));
}

}  // namespace
}  // namespace tributary::s3
