#include "libs/blob/testing/conformance.h"

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

INSTANTIATE_TEST_SUITE_P(
    Remote, BlobStoreConformance,
    ::testing::Values(Implementation{"tcp", [] { return std::make_unique<RemoteHarness>("tcp://127.0.0.1:0"); }},
                      Implementation{"ipc", [] { return std::make_unique<RemoteHarness>("ipc"); }}),
    NameOf);

}  // namespace
}  // namespace tributary::blob::testing
