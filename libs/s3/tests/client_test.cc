#include "tributary/s3/client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "libs/s3/testing/fake_server.h"
#include "tributary/digest/digest.h"

namespace tributary::s3 {
namespace {

using testing::FakeReply;
using testing::FakeRequest;
using testing::FakeServer;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class S3Client : public ::testing::Test {
 protected:
  void SetUp() override { Make(); }
  void Make() {
    options_.endpoint = server_->endpoint();
    auto client = MakeClient(options_);
    ASSERT_TRUE(client.ok()) << client.error().message();
    client_ = *std::move(client);
  }
  Status Put(const std::string& key, const std::string& value) {
    return client_->Put(key, value.size(), [&](std::uint64_t offset, std::span<std::byte> out) {
      std::memcpy(out.data(), value.data() + offset, out.size());
      return Ok();
    });
  }
  Result<std::string> Get(const std::string& key, std::uint64_t offset, std::size_t bytes) {
    std::string value(bytes, '\0');
    TRIBUTARY_TRY(client_->Get(key, offset, std::as_writable_bytes(std::span(value))));
    return value;
  }
  // The first `count` requests get this reply.
  void Misbehave(int count, FakeReply reply) {
    server_->SetRule([left = std::make_shared<std::atomic<int>>(count), reply](const FakeRequest&) -> std::optional<FakeReply> {
      return left->fetch_sub(1) > 0 ? std::optional(reply) : std::nullopt;
    });
  }

  std::unique_ptr<FakeServer> server_ = std::make_unique<FakeServer>();
  ClientOptions options_{.endpoint = "", .bucket = "bucket", .prefix = "some/prefix", .region = "eu-test-1", .path_style = true,
                         .credentials = {"KEY:1", "secret", ""}, .first_pause = Duration(2)};
  std::unique_ptr<Client> client_;
};

TEST_F(S3Client, WhatIsPutComesBackByRange) {
  std::string value;
  for (int i = 0; i < 700'000; ++i) value.push_back(static_cast<char>(i * 31 >> 3));
  ASSERT_TRUE(Put("a/-root", value).ok());
  EXPECT_EQ(server_->Values().at("/bucket/some/prefix/a/-root"), value);
  EXPECT_EQ(*Get("a/-root", 0, value.size()), value);
  EXPECT_EQ(*Get("a/-root", 3, 400'000), value.substr(3, 400'000));
  EXPECT_EQ(*Get("a/-root", 9, 0), "");
  EXPECT_EQ(*client_->Size("a/-root"), value.size());
  EXPECT_EQ(client_->counters().bytes_out, value.size());
  EXPECT_EQ(client_->counters().bytes_in, value.size() + 400'000);
  ASSERT_TRUE(Put("empty", "").ok());
  EXPECT_EQ(*client_->Size("empty"), 0u);
}

TEST_F(S3Client, EveryRequestIsSignedWithTheDigestOfWhatItCarries) {
  options_.credentials.session_token = "token/with+signs=";
  Make();
  ASSERT_TRUE(Put("k", "value").ok());
  ASSERT_TRUE(Get("k", 0, 5).ok());
  const auto requests = server_->Requests();
  ASSERT_EQ(requests.size(), 2u);
  const std::string text = "value";
  EXPECT_EQ(requests[0].headers.at("x-amz-content-sha256"), digest::Hex(digest::ComputeSha256(std::as_bytes(std::span(text)))));
  for (const FakeRequest& request : requests) {
    EXPECT_THAT(request.headers.at("authorization"),
                AllOf(HasSubstr("AWS4-HMAC-SHA256 Credential=KEY:1/"), HasSubstr("/eu-test-1/s3/aws4_request"),
                      HasSubstr("x-amz-content-sha256"), HasSubstr("x-amz-security-token")));
    EXPECT_EQ(request.headers.at("x-amz-security-token"), "token/with+signs=");
  }
}

TEST_F(S3Client, AnAbsentKeyIsNotFoundAndMayBeDeleted) {
  const auto got = Get("none", 0, 5);
  ASSERT_FALSE(got.ok());
  EXPECT_EQ(got.error().code(), Code::kNotFound);
  EXPECT_THAT(got.error().message(), AllOf(HasSubstr("s3://bucket/some/prefix/none at http://127.0.0.1"), HasSubstr("404 NoSuchKey")));
  EXPECT_EQ(client_->Size("none").error().code(), Code::kNotFound);
  EXPECT_TRUE(client_->Delete("none").ok());
  EXPECT_EQ(client_->counters().Of(Operation::kGet, Outcome::kAbsent), 1u);
}

TEST_F(S3Client, DeletedKeysAreGone) {
  ASSERT_TRUE(Put("a", "1").ok());
  ASSERT_TRUE(client_->Delete("a").ok());
  EXPECT_EQ(client_->Size("a").error().code(), Code::kNotFound);
}

TEST_F(S3Client, ListsAThousandAtATimeInOrder) {
  std::vector<std::string> all;
  for (int i = 0; i < 1200; ++i) {
    all.push_back(fmt::format("sealed/{:04}/-root", i));
    server_->SetValue("/bucket/some/prefix/" + all.back(), "x");
  }
  server_->SetValue("/bucket/some/prefix/other", "x");
  server_->SetValue("/bucket/elsewhere/sealed/1", "x");
  std::vector<std::string> keys;
  for (std::string after;;) {
    const auto page = client_->List("sealed/", after);
    ASSERT_TRUE(page.ok()) << page.error().message();
    if (page->empty()) break;
    EXPECT_LE(page->size(), 1000u);
    keys.insert(keys.end(), page->begin(), page->end());
    after = keys.back();
  }
  EXPECT_EQ(keys, all);
}

TEST_F(S3Client, AListThatIsHostileIsReadInBoundedMemory) {
  const std::string open = "<ListBucketResult><Contents><Key>some/prefix/p/";
  const std::string close = "</Key></Contents>";
  std::string body = "<!DOCTYPE x [<!ENTITY a \"aaaaaaaaaa\">]>" + open + "good" + close;
  body += open + std::string(3u << 20, 'a') + close;          // endless
  body += open + "b&amp;lt;&lt;&#x41;" + close;               // entities, once
  body += "<Contents><Key>elsewhere/p/x</Key></Contents>";    // not below the prefix
  body += "<" + std::string(100'000, 'n') + "><Key>some/prefix/p/deep</Key></Contents>";
  body += "<Contents></Contents></Contents></Key>" + open + "last" + close;
  Misbehave(1, {.body = body});
  const auto keys = client_->List("p/", "");
  ASSERT_TRUE(keys.ok()) << keys.error().message();
  EXPECT_THAT(*keys, ElementsAre("p/b&lt;<&#x41;", "p/good", "p/last"));

  std::string many = "<ListBucketResult>";
  for (int i = 0; i < 5000; ++i) many += open + std::to_string(i) + close;
  Misbehave(1, {.body = many});
  EXPECT_EQ(client_->List("p/", "")->size(), 1000u);

  Misbehave(1, {.body = std::string(17u << 20, ' ')});
  EXPECT_EQ(client_->List("p/", "").error().code(), Code::kProtocol);
}

TEST_F(S3Client, WhatMayPassIsTriedAgain) {
  for (const FakeReply& reply : {FakeReply{.status = 503, .body = "<Error><Code>SlowDown</Code></Error>"}, FakeReply{.status = 500},
                                 FakeReply{.status = 429}, FakeReply{.hang_up = true},
                                 FakeReply{.status = 400, .body = "<Error><Code>RequestTimeout</Code></Error>"},
                                 FakeReply{.status = 206, .body = "val", .length = 5}}) {
    Misbehave(0, {});
    ASSERT_TRUE(Put("k", "value").ok());
    Misbehave(4, reply);
    EXPECT_EQ(*Get("k", 0, 5), "value") << reply.status;
  }
  // 24, but where libcurl itself goes on after a kept connection was closed.
  EXPECT_THAT(client_->counters().Of(Operation::kGet, Outcome::kAway), AllOf(::testing::Ge(20u), ::testing::Le(24u)));
}

TEST_F(S3Client, APutIsRepeatedFromItsBeginning) {
  const std::string value(300'000, 'v');
  Misbehave(3, {.status = 503});
  ASSERT_TRUE(Put("k", value).ok());
  EXPECT_EQ(server_->Values().at("/bucket/some/prefix/k"), value);
  EXPECT_EQ(client_->counters().bytes_out, value.size());
}

TEST_F(S3Client, AServiceThatStaysAwayIsAnErrorAfterSomeAttempts) {
  Misbehave(100, {.status = 503, .body = "<Error><Code>SlowDown</Code><Message>Please \x01 wait</Message></Error>"});
  const auto got = Get("k", 0, 5);
  ASSERT_FALSE(got.ok());
  EXPECT_EQ(got.error().code(), Code::kUnavailable);
  EXPECT_THAT(got.error().message(), AllOf(HasSubstr("5 times"), HasSubstr("HTTP 503 SlowDown"), HasSubstr("'Please ? wait'")));
  EXPECT_EQ(server_->Requests().size(), 5u);
  server_.reset();
  const auto away = Get("k", 0, 5);
  ASSERT_FALSE(away.ok());
  EXPECT_EQ(away.error().code(), Code::kUnavailable);
  EXPECT_THAT(away.error().message(), AllOf(HasSubstr("--s3-endpoint"), HasSubstr("connect")));
}

TEST_F(S3Client, WhatIsDeniedIsNotTriedAgain) {
  Misbehave(100, {.status = 403, .body = "<Error><Code>SignatureDoesNotMatch</Code><Message>no</Message></Error>"});
  for (const Status& status : {Put("k", "v"), Get("k", 0, 1).status(), client_->Size("k").status(), client_->Delete("k"),
                               client_->List("", "").status()}) {
    ASSERT_FALSE(status.ok());
    EXPECT_EQ(status.error().code(), Code::kPermission);
    EXPECT_THAT(status.error().message(), AllOf(HasSubstr("credentials"), HasSubstr("HTTP 403")));
  }
  EXPECT_EQ(server_->Requests().size(), 5u);
  EXPECT_EQ(client_->counters().Of(Operation::kPut, Outcome::kDenied), 1u);
}

TEST_F(S3Client, ABucketThatIsNotThereIsNoAbsentKey) {
  Misbehave(100, {.status = 404, .body = "<Error><Code>NoSuchBucket</Code></Error>"});
  const Status deleted = client_->Delete("k");
  ASSERT_FALSE(deleted.ok());
  EXPECT_THAT(deleted.error().message(), HasSubstr("--s3-bucket"));
}

TEST_F(S3Client, RepliesOfAnotherLengthAreRefused) {
  Misbehave(1, {.status = 206, .body = "valuevalue"});
  EXPECT_EQ(Get("k", 0, 5).error().code(), Code::kProtocol);
  Misbehave(1, {.status = 206, .body = "val"});
  EXPECT_EQ(Get("k", 7, 5).error().code(), Code::kDataLoss);
  Misbehave(1, {.status = 200, .body = "value"});
  EXPECT_EQ(Get("k", 7, 5).error().code(), Code::kProtocol);
  Misbehave(1, {.status = 301, .body = "<Error><Code>PermanentRedirect</Code></Error>"});
  EXPECT_THAT(Get("k", 0, 5).error().message(), AllOf(HasSubstr("--s3-region"), HasSubstr("PermanentRedirect")));
  Misbehave(0, {});
  ASSERT_TRUE(Put("k", "value").ok());
  EXPECT_EQ(Get("k", 5, 1).error().code(), Code::kDataLoss);
}

TEST_F(S3Client, AnEndlessExplanationIsCut) {
  Misbehave(1, {.status = 403, .body = "<Error><Code>AccessDenied</Code><Message>" + std::string(1u << 20, 'x')});
  const auto got = Get("k", 0, 5);
  ASSERT_FALSE(got.ok());
  EXPECT_EQ(got.error().code(), Code::kPermission);
  EXPECT_LT(got.error().message().size(), 1000u);
}

TEST_F(S3Client, ASourceThatFailsEndsThePut) {
  int calls = 0;
  const Status put = client_->Put("k", 100'000, [&](std::uint64_t, std::span<std::byte>) {
    return ++calls < 3 ? Ok() : Status(Error(Code::kIo, "the disk is gone"));
  });
  ASSERT_FALSE(put.ok());
  EXPECT_EQ(put.error().message(), "the disk is gone");
  EXPECT_TRUE(server_->Values().empty());
}

TEST_F(S3Client, CancelEndsWhatWaits) {
  options_.attempts = 1000;
  options_.first_pause = Duration(60'000);
  Make();
  Misbehave(1000, {.status = 503});
  std::thread canceller([&] {
    while (server_->Requests().empty()) std::this_thread::yield();
    client_->Cancel();
  });
  const auto got = Get("k", 0, 5);
  canceller.join();
  ASSERT_FALSE(got.ok());
  EXPECT_EQ(got.error().code(), Code::kCancelled);
  EXPECT_EQ(Put("k", "v").error().code(), Code::kCancelled);
}

TEST_F(S3Client, VirtualHostsCarryTheBucketInTheName) {
  options_.endpoint = "http://localhost:1";
  options_.path_style = false;
  options_.attempts = 1;
  auto client = MakeClient(options_);
  ASSERT_TRUE(client.ok());
  EXPECT_EQ((*client)->Place(), "s3://bucket/some/prefix at http://localhost:1");
  EXPECT_FALSE((*client)->Size("k").ok());
}

}  // namespace
}  // namespace tributary::s3
