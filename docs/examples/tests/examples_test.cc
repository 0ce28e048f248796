// Each example does what its first lines say, against services on free ports.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <thread>

#include "libs/base/testing/temp_directory.h"
#include "services/blob-store/blob_store_service.h"
#include "services/coordinator/coordinator_service.h"
#include "services/trainer/trainer.h"
#include "tributary/retriever/retriever.h"

namespace tributary {
namespace {

using ::testing::HasSubstr;

class Examples : public ::testing::Test {
 protected:
  void SetUp() override {
    service::BlobStoreService::Spec store;
    store.listen = "tcp://127.0.0.1:0";
    store.directory = directory_.path() / "blobs";
    blob_store_ = *service::BlobStoreService::Start(store);
  }
  struct Said {
    int exit_code = -1;
    std::string out;
  };
  static Said Call(const std::string& words) {
    Said said;
    FILE* program = popen((TRIBUTARY_EXAMPLES + words + " 2>&1").c_str(), "r");
    if (program == nullptr) return said;
    char text[4096];
    while (fgets(text, sizeof text, program) != nullptr) said.out += text;
    said.exit_code = pclose(program);
    return said;
  }
  std::string Write(const std::string& name, std::size_t bytes) const {
    const auto path = directory_.path() / name;
    std::ofstream(path) << std::string(bytes, 'x');
    return path.string();
  }

  const TempDirectory directory_;
  std::unique_ptr<service::BlobStoreService> blob_store_;
};

TEST_F(Examples, Dict) {
  const Said said = Call("dict " + blob_store_->endpoint());
  EXPECT_EQ(said.exit_code, 0);
  EXPECT_THAT(said.out, HasSubstr("weights: 3000000 bytes\n"));
  EXPECT_THAT(said.out, HasSubstr("note: 18 bytes\n"));
}

TEST_F(Examples, List) {
  const Said said = Call("list " + blob_store_->endpoint());
  EXPECT_EQ(said.exit_code, 0);
  EXPECT_EQ(said.out, "100 elements, 4950000 bytes\n");
}

TEST_F(Examples, Set) {
  const Said said = Call("set " + blob_store_->endpoint());
  EXPECT_EQ(said.exit_code, 0);
  EXPECT_THAT(said.out, HasSubstr("equal, again 0 bytes moved\n"));
  EXPECT_THAT(said.out, HasSubstr("gamma\n"));
}

TEST_F(Examples, File) {
  const std::string from = Write("from", 3'000'000);
  const std::string to = (directory_.path() / "to").string();
  const Said said = Call("file " + blob_store_->endpoint() + " " + from + " " + to);
  EXPECT_EQ(said.exit_code, 0);
  EXPECT_THAT(said.out, HasSubstr(" 3000000 bytes\n"));
  EXPECT_EQ(std::filesystem::file_size(to), 3'000'000u);
  const Said again = Call("file " + blob_store_->endpoint() + " " + from + " " + to);
  EXPECT_NE(again.exit_code, 0);
  EXPECT_THAT(again.out, HasSubstr("is there already"));
}

TEST_F(Examples, Retriever) {
  service::CoordinatorService::Spec coordinator;
  coordinator.listen = "tcp://127.0.0.1:0";
  coordinator.state_dir = directory_.File("state");
  coordinator.blob_stores = {blob_store_->endpoint()};
  const auto coordinating = *service::CoordinatorService::Start(coordinator);
  trainer::TrainerSpec spec;
  spec.coordinator = coordinating->endpoint();
  spec.identity.site = "hospital";
  spec.identity.offers = {{"scans", Write("scans", 2'000'000)}};
  spec.instance = "t0";
  const auto trainer = *trainer::TrainerService::Start(spec);
  for (bool there = false; !there; std::this_thread::sleep_for(std::chrono::milliseconds(10))) {
    const auto offers = retriever::ListOffers(std::make_shared<transport::Context>(), coordinating->endpoint());
    ASSERT_TRUE(offers.ok()) << offers.error().message();
    there = !offers->empty();
  }
  const std::string to = (directory_.path() / "to").string();
  const Said said = Call("retriever " + coordinating->endpoint() + " hospital scans " + to);
  EXPECT_EQ(said.exit_code, 0);
  EXPECT_THAT(said.out, HasSubstr("hospital offers scans\n"));
  EXPECT_THAT(said.out, HasSubstr(" 2000000 bytes\n"));
  EXPECT_EQ(std::filesystem::file_size(to), 2'000'000u);
}

}  // namespace
}  // namespace tributary
