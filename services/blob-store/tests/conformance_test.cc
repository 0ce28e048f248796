#include "libs/blob/testing/conformance.h"

#include "libs/s3/testing/fake_server.h"
#include "services/blob-store/tests/harness.h"

namespace tributary::blob::testing {
namespace {

class RemoteHarness final : public Harness {
 public:
  explicit RemoteHarness(const std::string& listen)
      : server_(8_MiB, listen), client_(server_.endpoint(), 1_MiB), another_(server_.endpoint(), 1_MiB) {}
  BlobStore& store() override { return *client_; }
  BlobStore& Another() override { return *another_; }

 private:
  service::testing::Server server_;
  service::testing::Client client_;
  service::testing::Client another_;
};

// Several shards, several connections to each.
class ShardsHarness final : public Harness {
 public:
  ShardsHarness(std::uint32_t shards, std::uint32_t connections)
      : shards_(shards), client_(shards_.endpoints(), connections, 1_MiB), another_(shards_.endpoints(), connections, 1_MiB) {}
  BlobStore& store() override { return *client_; }
  BlobStore& Another() override { return *another_; }

 private:
  service::testing::Shards shards_;
  service::testing::Client client_;
  service::testing::Client another_;
};

// What is sealed durably is read back from a bucket.
class BucketHarness final : public Harness {
 public:
  BucketHarness() {
    server_.Kill();
    server_.spec().s3 = s3::ClientOptions{.endpoint = bucket_.endpoint(), .bucket = "bucket", .path_style = true, .credentials = {"key", "secret", ""}};
    server_.spec().s3_part_bytes = 5000;
    server_.spec().s3_cache_bytes = 1;
    server_.Start();
    client_.emplace(server_.endpoint(), 1_MiB);
    another_.emplace(server_.endpoint(), 1_MiB);
  }
  BlobStore& store() override { return **client_; }
  BlobStore& Another() override { return **another_; }

 private:
  s3::testing::FakeServer bucket_;
  service::testing::Server server_;
  std::optional<service::testing::Client> client_;
  std::optional<service::testing::Client> another_;
};

INSTANTIATE_TEST_SUITE_P(
    Remote, BlobStoreConformance,
    ::testing::Values(Implementation{"tcp", [] { return std::make_unique<RemoteHarness>("tcp://127.0.0.1:0"); }},
                      Implementation{"ipc", [] { return std::make_unique<RemoteHarness>("ipc"); }},
                      Implementation{"three_shards", [] { return std::make_unique<ShardsHarness>(3, 1); }},
                      Implementation{"two_shards_of_two_connections", [] { return std::make_unique<ShardsHarness>(2, 2); }},
                      Implementation{"three_connections", [] { return std::make_unique<ShardsHarness>(1, 3); }},
                      Implementation{"bucket", [] { return std::make_unique<BucketHarness>(); }}),
    NameOf);

}  // namespace
}  // namespace tributary::blob::testing
