// Whole jobs with the blob-store in its forms: several shards, several connections, a cache for the trainers of one region. The result is the same.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "libs/base/testing/temp_directory.h"
#include "services/aggregator/aggregator.h"
#include "services/blob-store/blob_store_service.h"
#include "services/coordinator/coordinator_service.h"
#include "services/trainer/trainer.h"
#include "tributary/transport/control_client.h"

namespace tributary {
namespace {

constexpr std::uint64_t kBudget = 16_MiB;
constexpr std::uint32_t kTrainers = 4;
constexpr std::uint32_t kRounds = 3;

struct Form {
  std::uint32_t shards = 1;
  std::uint32_t connections = 1;  // of trainers and aggregator to each
  bool cached = false;            // trainers read models through a cache
};

class StoresTest : public ::testing::Test {
 protected:
  std::unique_ptr<service::BlobStoreService> Store(service::BlobStoreService::Spec spec, const std::string& name) {
    spec.listen = "tcp://127.0.0.1:0";
    spec.directory = directory_.path() / name;
    spec.memory_budget = kBudget;
    auto started = service::BlobStoreService::Start(spec);
    EXPECT_TRUE(started.ok()) << started.error().message();
    return *std::move(started);
  }
  // Runs a job of synthetic training to its end; gives the last model's digest.
  std::string Run(const std::string& job, const Form& form) {
    std::vector<std::unique_ptr<service::BlobStoreService>> shards;
    std::vector<std::string> endpoints;
    for (std::uint32_t shard = 0; shard < form.shards; ++shard) {
      service::BlobStoreService::Spec spec;
      spec.shard = shard;
      spec.shards = form.shards;
      shards.push_back(Store(spec, fmt::format("{}-{}", job, shard)));
      endpoints.push_back(shards.back()->endpoint());
    }
    service::BlobStoreService::Spec caching;
    caching.upstream = endpoints;
    const auto cache = Store(caching, job + "-cache");
    service::CoordinatorService::Spec coordinator;
    coordinator.listen = "tcp://127.0.0.1:0";
    coordinator.state_dir = directory_.File(job + "-state");
    coordinator.blob_stores = endpoints;
    coordinator.heartbeat = Duration(100);
    const auto coordinating = *service::CoordinatorService::Start(coordinator);
    aggregator::AggregatorSpec aggregating;
    aggregating.coordinator = coordinating->endpoint();
    aggregating.instance = "aggregator-0";
    aggregating.memory_budget = kBudget;
    aggregating.connections = form.connections;
    const auto aggregator = *aggregator::AggregatorService::Start(aggregating);
    std::vector<std::unique_ptr<trainer::TrainerService>> trainers;
    for (std::uint32_t i = 0; i < kTrainers; ++i) {
      trainer::TrainerSpec spec;
      spec.coordinator = coordinating->endpoint();
      spec.identity.site = "site";
      spec.instance = fmt::format("trainer-{}", i);
      spec.ordinal = i;
      spec.memory_budget = kBudget;
      spec.connections = form.connections;
      if (form.cached) spec.model_cache = cache->endpoint();
      trainers.push_back(*trainer::TrainerService::Start(spec));
    }
    const auto client = *transport::ControlClient::Connect(std::make_shared<transport::Context>(), coordinating->endpoint());
    wire::Submit submit;
    submit.name = job;
    submit.text = fmt::format(
        "name: {}\nrounds: {}\nparticipants: {{min: {}, quorum: {}, round_deadline: 60s}}\ntasks: [train]\n"
        "model: {{family: synthetic, bytes: 2MiB, tensors: 3, dtype: f32, fill: random, seed: 5}}\n"
        "data: {{name: none, format: synthetic, partition: {{count: {}}}}}\ntransfer: {{chunk_bytes: 64KiB}}\n",
        job, kRounds, kTrainers, kTrainers, kTrainers);
    EXPECT_TRUE(client->Call<wire::Submitted>(submit, Duration(10'000)).ok());
    for (;;) {
      wire::GetStatus ask;
      ask.job = job;
      const auto status = client->Call<wire::JobStatus>(ask, Duration(10'000));
      EXPECT_TRUE(status.ok());
      if (!status.ok()) return "";
      if (status->state != "queued" && status->state != "running") {
        EXPECT_EQ(status->state, "completed") << status->message;
        EXPECT_EQ(cache->stats().fetched_bytes, form.cached ? kRounds * 2_MiB : 0);  // each round's base, once
        EXPECT_EQ(cache->stats().bytes_out, form.cached ? kTrainers * kRounds * 2_MiB : 0);
        return status->model_digest;
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
  }
  const TempDirectory directory_;
};

TEST_F(StoresTest, EachModelCrossesTheLinkOnceThroughACache) {
  const std::string direct = Run("direct", {});
  EXPECT_EQ(direct.size(), 64u);
  EXPECT_EQ(Run("cached", {.cached = true}), direct);
}

TEST_F(StoresTest, ShardsAndConnectionsChangeNothing) {
  const std::string direct = Run("direct", {});
  EXPECT_EQ(direct.size(), 64u);
  EXPECT_EQ(Run("two", {.shards = 2}), direct);
  EXPECT_EQ(Run("three", {.shards = 3, .connections = 2}), direct);
  EXPECT_EQ(Run("connections", {.connections = 3}), direct);
  EXPECT_EQ(Run("cached", {.shards = 2, .cached = true}), direct);
}

}  // namespace
}  // namespace tributary
