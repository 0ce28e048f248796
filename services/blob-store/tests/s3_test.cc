// A service with a bucket, as its peers see it: against a bucket's service in this process, which misbehaves when told to.
#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <latch>
#include <thread>

#include "libs/s3/testing/fake_server.h"
#include "services/blob-store/tests/harness.h"

namespace tributary::service::testing {
namespace {

namespace fs = std::filesystem;
using blob::testing::CodeOf;
using blob::testing::GetOne;
using blob::testing::LayoutOf;
using blob::testing::Object;
using blob::testing::OneTensorSpec;
using blob::testing::Pattern;
using blob::testing::PutAll;
using s3::testing::FakeReply;
using s3::testing::FakeRequest;
using s3::testing::FakeServer;
using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr std::uint64_t kChunk = 64_KiB;
constexpr std::uint64_t kBytes = 1_MiB;

class StoreWithBucket : public ::testing::Test {
 protected:
  StoreWithBucket() {
    server_.Kill();
    s3::ClientOptions s3;
    s3.endpoint = bucket_.endpoint();
    s3.bucket = "bucket";
    s3.prefix = "p";
    s3.path_style = true;
    s3.credentials = {"key", "secret", ""};
    s3.attempts = 3;
    s3.first_pause = Duration(2);
    server_.spec().s3 = s3;
    server_.spec().s3_part_bytes = 300'000;
    server_.spec().s3_cache_bytes = 1;
    server_.spec().metrics_address = "127.0.0.1:0";
  }
  void Start() {
    server_.Start();
    client_.emplace(server_.endpoint());
  }
  // With another directory, at the same endpoint.
  void StartElsewhere() {
    server_.Kill();
    server_.spec().directory = server_.path() / ("store-" + std::to_string(++directories_));
    server_.Start();
  }
  Client& client() { return *client_; }
  std::string Sealed(const ObjectName& name) {
    EXPECT_TRUE(client()->Create(name, spec_, false).ok());
    const Status put = PutAll(*client(), name, LayoutOf(spec_));
    EXPECT_TRUE(put.ok()) << put.error().message();
    const auto digest = client()->Seal(name, 0, true);
    EXPECT_TRUE(digest.ok()) << digest.error().message();
    return digest.ok() ? *digest : "";
  }
  void ExpectChunks(const ObjectName& name) {
    auto reader = client()->Read(blob::SlotsOf(name, LayoutOf(spec_).all_slots()), {});
    ASSERT_TRUE(reader.ok());
    std::uint64_t slots = 0;
    for (;; ++slots) {
      auto chunk = (*reader)->Next();
      ASSERT_TRUE(chunk.ok()) << chunk.error().message();
      if (!*chunk) break;
      ASSERT_TRUE(std::ranges::equal((*chunk)->bytes, Pattern(kChunk, slots))) << slots;
    }
    EXPECT_EQ(slots, kBytes / kChunk);
  }
  std::string Metrics() {
    const int fd = socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(server_->metrics_port());
    EXPECT_EQ(connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    const std::string request = "GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    EXPECT_EQ(write(fd, request.data(), request.size()), static_cast<ssize_t>(request.size()));
    std::string answer;
    char block[4096];
    for (ssize_t got; (got = read(fd, block, sizeof block)) > 0;) answer.append(block, static_cast<std::size_t>(got));
    close(fd);
    return answer;
  }

  FakeServer bucket_;
  Server server_;
  std::optional<Client> client_;
  int directories_ = 0;
  const wire::ObjectSpec spec_ = OneTensorSpec(kBytes, kChunk);
};

TEST_F(StoreWithBucket, SealedObjectsAreServedFromTheBucketAndByAnEmptyDirectory) {
  Start();
  const std::string digest = Sealed(Object("m/a"));
  EXPECT_EQ(server_->stats().evictions, 1u);
  EXPECT_FALSE(fs::exists(server_.path() / "store/objects/m+a/data"));
  ExpectChunks(Object("m/a"));
  StartElsewhere();
  EXPECT_EQ(client()->Stat(Object("m/a"))->digest, digest);
  EXPECT_EQ(client()->Root(Object("m/a"))->bytes, kBytes);
  EXPECT_EQ(client()->Page(Object("m/a"), 0)->size(), kBytes / kChunk);
  ExpectChunks(Object("m/a"));
  const std::string metrics = Metrics();
  EXPECT_THAT(metrics, AllOf(HasSubstr("tributary_blob_store_s3_requests_total{operation=\"get\",outcome=\"ok\"}"),
                             HasSubstr("tributary_blob_store_s3_requests_total{operation=\"put\",outcome=\"denied\"} 0"),
                             HasSubstr("tributary_blob_store_s3_bytes_total{direction=\"in\"}"),
                             HasSubstr("tributary_blob_store_s3_evictions_total")));
  TRIBUTARY_ASSERT_OK(client()->Remove(Object("m/a")));
  EXPECT_EQ(bucket_.Values().size(), 1u) << "the format";
}

TEST_F(StoreWithBucket, ABucketThatHangsDoesNotHoldUpTheDisk) {
  Start();
  const auto large = OneTensorSpec(16 * 450_KiB, 450_KiB);
  TRIBUTARY_ASSERT_OK(client()->Create(Object("far"), large, false));
  TRIBUTARY_ASSERT_OK(PutAll(*client(), Object("far"), LayoutOf(large)));
  TRIBUTARY_ASSERT_OK(client()->Seal(Object("far"), 0, true));
  server_.Kill();
  server_.spec().s3_cache_bytes = 0;
  Start();
  Sealed(Object("near-2"));
  // From here on the service knows how large its chunks are.
  TRIBUTARY_ASSERT_OK(GetOne(*client(), Object("far"), 0));
  // Every request for a part hangs until the end.
  std::latch open(1);
  std::atomic<int> asked{0};
  bucket_.SetRule([&](const FakeRequest& request) -> std::optional<FakeReply> {
    if (request.method == "GET" && request.path.find("/far/") != std::string::npos) {
      ++asked;
      open.wait();
    }
    return std::nullopt;
  });
  // Of three peers, each with three chunks: together they would leave no room for one of 64 KiB in the read side's 4 MiB.
  std::vector<std::thread> far;
  for (int i = 0; i < 3; ++i) {
    far.emplace_back([&] {
      Client another(server_.endpoint());
      auto reader = another->Read(blob::SlotsOf(Object("far"), LayoutOf(large).all_slots()), {});
      for (std::uint64_t slot = 0; slot < 16; ++slot) {
        const auto chunk = (*reader)->Next();
        ASSERT_TRUE(chunk.ok()) << chunk.error().message();
      }
    });
  }
  while (asked < 4) std::this_thread::yield();
  ExpectChunks(Object("near-2"));
  TRIBUTARY_ASSERT_OK(client()->Create(Object("new"), spec_, false));
  TRIBUTARY_ASSERT_OK(PutAll(*client(), Object("new"), LayoutOf(spec_)));
  TRIBUTARY_ASSERT_OK(client()->Seal(Object("new"), 0, false));
  ExpectChunks(Object("new"));
  open.count_down();
  for (std::thread& thread : far) thread.join();
}

TEST_F(StoreWithBucket, ADeniedSealIsToldAndTheSameSealSucceedsLater) {
  Start();
  const ObjectName name = Object("m/a");
  TRIBUTARY_ASSERT_OK(client()->Create(name, spec_, false));
  TRIBUTARY_ASSERT_OK(PutAll(*client(), name, LayoutOf(spec_)));
  bucket_.SetRule([](const FakeRequest& request) -> std::optional<FakeReply> {
    if (request.method != "PUT") return std::nullopt;
    return FakeReply{.status = 403, .body = "<Error><Code>AccessDenied</Code><Message>no</Message></Error>"};
  });
  const auto denied = client()->Seal(name, 0, true);
  ASSERT_EQ(CodeOf(denied), "permission");
  EXPECT_THAT(denied.error().message(), AllOf(HasSubstr("m/a"), HasSubstr("s3://bucket/p/parts/m/a/"), HasSubstr(bucket_.endpoint()),
                                              HasSubstr("HTTP 403 AccessDenied"), HasSubstr("credentials")));
  EXPECT_FALSE(client()->Stat(name)->sealed);
  ExpectChunks(name);
  bucket_.SetRule(nullptr);
  TRIBUTARY_ASSERT_OK(client()->Seal(name, 0, true));
  ExpectChunks(name);
}

TEST_F(StoreWithBucket, ABucketThatIsAwayFailsReadsOfWhatLiesThereAlone) {
  Start();
  Sealed(Object("m/a"));
  bucket_.SetRule([](const FakeRequest&) { return FakeReply{.status = 503}; });
  blob::ReadOptions waiting;
  waiting.wait = Duration(60'000);
  const auto chunk = GetOne(*client(), Object("m/a"), 0, waiting);
  ASSERT_EQ(CodeOf(chunk), "i/o");
  EXPECT_THAT(chunk.error().message(), AllOf(HasSubstr("HTTP 503"), HasSubstr("3 times")));
  EXPECT_EQ(CodeOf(client()->Remove(Object("m/a"))), "i/o");
  bucket_.SetRule(nullptr);
  ExpectChunks(Object("m/a"));
}

TEST_F(StoreWithBucket, AServiceThatMayNotUseItsBucketDoesNotStart) {
  bucket_.SetRule([](const FakeRequest&) { return FakeReply{.status = 403, .body = "<Error><Code>InvalidAccessKeyId</Code></Error>"}; });
  const auto refused = BlobStoreService::Start(server_.spec());
  ASSERT_EQ(CodeOf(refused), "permission");
  EXPECT_THAT(refused.error().message(), AllOf(HasSubstr("--s3-endpoint"), HasSubstr("InvalidAccessKeyId")));
}

TEST_F(StoreWithBucket, AServiceStopsWhileItsBucketHangs) {
  Start();
  const ObjectName name = Object("m/a");
  TRIBUTARY_ASSERT_OK(client()->Create(name, spec_, false));
  TRIBUTARY_ASSERT_OK(PutAll(*client(), name, LayoutOf(spec_)));
  std::latch open(1);
  std::atomic<bool> asked{false};
  bucket_.SetRule([&](const FakeRequest& request) -> std::optional<FakeReply> {
    if (request.method == "PUT") {
      asked = true;
      open.wait();
    }
    return std::nullopt;
  });
  std::thread sealing([&] {
    Client another(server_.endpoint(), 8_MiB, Duration(30'000));
    static_cast<void>(another->Seal(name, 0, true));
  });
  while (!asked) std::this_thread::yield();
  server_.Kill();
  open.count_down();
  bucket_.SetRule(nullptr);
  server_.Start();  // the client asks again
  sealing.join();
  EXPECT_TRUE(client()->Stat(name)->sealed);
}

}  // namespace
}  // namespace tributary::service::testing
