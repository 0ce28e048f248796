// A site's trainer, a coordinator and a blob-store in one process, and a client that asks the site for what it offers.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <thread>

#include "libs/base/testing/temp_directory.h"
#include "services/blob-store/blob_store_service.h"
#include "services/cli/commands.h"
#include "services/coordinator/coordinator_service.h"
#include "services/trainer/trainer.h"
#include "tributary/blob_client/remote_store.h"
#include "tributary/objects/files.h"
#include "tributary/retriever/retriever.h"
#include "tributary/transport/control_client.h"

namespace tributary {
namespace {

namespace fs = std::filesystem;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr std::uint64_t kBudget = 8_MiB;

class RetrieverTest : public ::testing::Test {
 protected:
  void SetUp() override {
    service::BlobStoreService::Spec store;
    store.listen = "tcp://127.0.0.1:0";
    store.directory = directory_.path() / "blobs";
    store.memory_budget = kBudget;
    blob_store_ = *service::BlobStoreService::Start(store);
    coordinator_spec_.listen = "tcp://127.0.0.1:0";
    coordinator_spec_.state_dir = directory_.File("coordinator");
    coordinator_spec_.blob_stores = {blob_store_->endpoint()};
    coordinator_spec_.heartbeat = Duration(100);
    StartCoordinator();
    scans_ = directory_.path() / "scans.bin";
    std::string bytes(20 << 20, 0);
    for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<char>(i * 2654435761u >> 13);
    std::ofstream(scans_, std::ios::binary) << bytes;
  }
  void TearDown() override {
    trainers_.clear();
    coordinator_.reset();
    blob_store_.reset();
  }
  void StartCoordinator() {
    auto started = service::CoordinatorService::Start(coordinator_spec_);
    ASSERT_TRUE(started.ok()) << started.error().message();
    coordinator_ = *std::move(started);
    coordinator_spec_.listen = coordinator_->endpoint();
  }
  void AddTrainer(const std::string& instance, std::map<std::string, std::string> offers) {
    trainer::TrainerSpec spec;
    spec.coordinator = coordinator_->endpoint();
    spec.identity.site = "hospital";
    spec.identity.offers = std::move(offers);
    spec.instance = instance;
    spec.memory_budget = kBudget;
    auto started = trainer::TrainerService::Start(spec);
    ASSERT_TRUE(started.ok());
    trainers_.push_back(*std::move(started));
  }
  void WaitForOffers(std::size_t count) {
    for (;;) {
      const auto offers = retriever::ListOffers(context_, coordinator_->endpoint());
      ASSERT_TRUE(offers.ok()) << offers.error().message();
      if (offers->size() == count) return;
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
  }
  retriever::RetrieveOptions Options(const std::string& name = "scans") {
    retriever::RetrieveOptions options;
    options.coordinator = coordinator_->endpoint();
    options.site = "hospital";
    options.name = name;
    return options;
  }
  Result<objects::Outcome> Retrieve(const retriever::RetrieveOptions& options, const fs::path& to) {
    TRIBUTARY_ASSIGN(const auto sink, objects::WritePath(to.string(), false));
    return retriever::Retrieve(context_, pool_, options, *sink);
  }
  // Nothing of what sites put stays in the store.
  bool StoreIsClean() {
    blob_client::RemoteOptions remote;
    remote.endpoints = {blob_store_->endpoint()};
    remote.instance = "test";
    const auto store = *blob_client::ConnectStore(context_, pool_, remote);
    for (int i = 0; i < 2000; ++i) {
      if (store->List("offers/", "", 10)->empty()) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    return false;
  }
  static std::string Read(const fs::path& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  struct Said {
    int exit_code = -1;
    std::string out, err;
  };
  static Said Call(int (*command)(int, char**), std::vector<std::string> words) {
    words.insert(words.begin(), "tributary");
    std::vector<char*> argv;
    for (std::string& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);
    ::testing::internal::CaptureStdout();
    ::testing::internal::CaptureStderr();
    Said said;
    said.exit_code = command(static_cast<int>(words.size()), argv.data());
    said.out = ::testing::internal::GetCapturedStdout();
    said.err = ::testing::internal::GetCapturedStderr();
    return said;
  }

  const TempDirectory directory_;
  fs::path scans_;
  memory::Pool pool_{kBudget};  // outlives the context
  std::shared_ptr<transport::Context> context_ = std::make_shared<transport::Context>();
  std::unique_ptr<service::BlobStoreService> blob_store_;
  service::CoordinatorService::Spec coordinator_spec_;
  std::unique_ptr<service::CoordinatorService> coordinator_;
  std::vector<std::unique_ptr<trainer::TrainerService>> trainers_;
};

TEST_F(RetrieverTest, WhatASiteOffersComesWholeAndLeavesNothingBehind) {
  fs::create_directories(directory_.path() / "notes/sub");
  std::ofstream(directory_.path() / "notes/sub/a") << "a note";
  AddTrainer("t0", {{"scans", scans_.string()}, {"notes", (directory_.path() / "notes").string()}});
  WaitForOffers(2);
  const auto scans = Retrieve(Options(), directory_.path() / "copy");
  ASSERT_TRUE(scans.ok()) << scans.error().message();
  EXPECT_EQ(scans->bytes, 20u << 20);
  EXPECT_TRUE(Read(directory_.path() / "copy") == Read(scans_));
  auto options = Options("notes");
  ASSERT_TRUE(Retrieve(options, directory_.path() / "notes-copy").ok());
  EXPECT_EQ(Read(directory_.path() / "notes-copy/sub/a"), "a note");
  options.digest = std::string(64, '0');
  const auto other = Retrieve(options, directory_.path() / "never");
  EXPECT_EQ(other.error().code(), Code::kDataLoss);
  EXPECT_FALSE(fs::exists(directory_.path() / "never"));
  EXPECT_TRUE(StoreIsClean());
}

TEST_F(RetrieverTest, ErrorsNameSiteObjectCauseAndRemedy) {
  AddTrainer("t0", {{"scans", scans_.string()}});
  WaitForOffers(1);
  const auto to = directory_.path() / "never";
  EXPECT_EQ(Retrieve(Options("mri"), to).error().message(), "'mri' of site 'hospital': site 'hospital' offers no 'mri'; it offers: scans");
  auto options = Options();
  options.site = "clinic";
  EXPECT_EQ(Retrieve(options, to).error().message(),
            "'scans' of site 'clinic': no trainer of site 'clinic' is connected; sites that offer something: hospital");
  fs::remove(scans_);
  EXPECT_EQ(Retrieve(Options(), to).error().message(),
            "'scans' of site 'hospital': what site 'hospital' offers as 'scans' is not there any more; its administrator must put it back");
  options = Options();
  options.coordinator = "tcp://127.0.0.1:1";
  options.patience = Duration(200);
  EXPECT_THAT(Retrieve(options, to).error().message(), AllOf(HasSubstr("no progress for"), HasSubstr("nothing answered at tcp://127.0.0.1:1")));
  EXPECT_TRUE(StoreIsClean());
}

TEST_F(RetrieverTest, AnotherTrainerGoesOnWhenTheFirstOneLeaves) {
  AddTrainer("t0", {{"scans", scans_.string()}});
  WaitForOffers(1);
  auto options = Options();
  bool left = false;
  std::vector<std::string> reasons;
  options.sending = [&](std::uint64_t, std::uint64_t) {
    if (std::exchange(left, true)) return;
    trainers_.clear();
  };
  options.waiting = [&](const std::string& reason) {
    reasons.push_back(reason);
    if (left && trainers_.empty()) AddTrainer("t1", {{"scans", scans_.string()}});
  };
  const auto got = Retrieve(options, directory_.path() / "copy");
  ASSERT_TRUE(got.ok()) << got.error().message();
  EXPECT_TRUE(Read(directory_.path() / "copy") == Read(scans_));
  EXPECT_TRUE(trainers_.empty() || StoreIsClean());
}

TEST_F(RetrieverTest, ACoordinatorThatIsStartedAnewIsAskedAgain) {
  AddTrainer("t0", {{"scans", scans_.string()}});
  WaitForOffers(1);
  auto options = Options();
  bool restarted = false;
  const auto restart = [&] {
    if (std::exchange(restarted, true)) return;
    coordinator_.reset();
    StartCoordinator();
  };
  options.waiting = [&](const std::string&) { restart(); };
  options.sending = [&](std::uint64_t, std::uint64_t) { restart(); };
  const auto got = Retrieve(options, directory_.path() / "copy");
  ASSERT_TRUE(got.ok()) << got.error().message();
  EXPECT_TRUE(restarted);
  EXPECT_TRUE(Read(directory_.path() / "copy") == Read(scans_));
}

TEST_F(RetrieverTest, WhatAClientThatDiedAskedForIsRemoved) {
  coordinator_spec_.retrievals.client_silence = Duration(1'000);
  coordinator_.reset();
  StartCoordinator();
  AddTrainer("t0", {{"scans", scans_.string()}});
  WaitForOffers(1);
  const auto client = *transport::ControlClient::Connect(context_, coordinator_->endpoint());
  for (;;) {
    const auto answer = client->Call<wire::Retrieval>(wire::Retrieve{"r", "hospital", "scans", false}, Duration(10'000));
    ASSERT_TRUE(answer.ok()) << answer.error().message();
    ASSERT_NE(answer->state, "failed") << answer->message;
    if (answer->state == "done") {
      EXPECT_THAT(answer->object, StartsWith("offers/"));
      break;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  EXPECT_TRUE(StoreIsClean());
}

TEST_F(RetrieverTest, StoppingTheClientWithdrawsTheTask) {
  AddTrainer("t0", {{"scans", scans_.string()}});
  WaitForOffers(1);
  auto options = Options();
  std::stop_source stop;
  options.stop = stop.get_token();
  options.waiting = [&](const std::string&) { stop.request_stop(); };
  options.sending = [&](std::uint64_t, std::uint64_t) { stop.request_stop(); };
  options.receiving = [&](std::uint64_t, std::uint64_t) { stop.request_stop(); };
  EXPECT_EQ(Retrieve(options, directory_.path() / "never").error().code(), Code::kCancelled);
  EXPECT_FALSE(fs::exists(directory_.path() / "never"));
  EXPECT_TRUE(StoreIsClean());
}

TEST_F(RetrieverTest, TheCommandLineListsAndGets) {
  AddTrainer("t0", {{"scans", scans_.string()}});
  WaitForOffers(1);
  const Said listed = Call(cli::OffersCommand, {"--coordinator", coordinator_->endpoint()});
  EXPECT_EQ(listed.exit_code, 0);
  EXPECT_THAT(listed.out, HasSubstr("hospital                 scans                            1 trainer\n"));
  const std::string to = (directory_.path() / "copy").string();
  const Said got = Call(cli::GetCommand, {"--from", "hospital", "scans", to, "--coordinator", coordinator_->endpoint(), "--memory-budget", "8MiB"});
  EXPECT_EQ(got.exit_code, 0) << got.err;
  EXPECT_THAT(got.out, EndsWith(" scans\n"));
  EXPECT_THAT(got.err, HasSubstr("20.0 MiB moved"));
  EXPECT_TRUE(Read(to) == Read(scans_));
  const Said none = Call(cli::GetCommand, {"--from", "hospital", "mri", to + "2", "--coordinator", coordinator_->endpoint()});
  EXPECT_EQ(none.exit_code, 1);
  EXPECT_EQ(none.err, "tributary get: 'mri' of site 'hospital': site 'hospital' offers no 'mri'; it offers: scans\n");
}

}  // namespace
}  // namespace tributary
