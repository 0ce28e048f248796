// A whole federation in one process, on port 0: coordinator, blob-store, aggregators, and trainers whose updates the test knows,
// so that the mean can be computed a second time, independently.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <condition_variable>
#include <cstring>
#include <filesystem>
#include <mutex>
#include <thread>

#include "libs/base/testing/temp_directory.h"
#include "services/aggregator/aggregator.h"
#include "services/blob-store/blob_store_service.h"
#include "services/coordinator/coordinator_service.h"
#include "tributary/base/random.h"
#include "tributary/blob_client/remote_store.h"
#include "tributary/session/worker.h"
#include "tributary/transport/frame_client.h"
#include "tributary/wire/codec.h"

namespace tributary {
namespace {

constexpr std::uint64_t kBudget = 16u << 20;
constexpr std::uint64_t kChunk = 64u << 10;

float UpdateElement(std::uint32_t ordinal, std::uint32_t round, std::uint64_t slot, std::uint64_t element) {
  SplitMix64 random(MixSeed(ordinal, round, slot, element));
  return static_cast<float>(random.NextUnit() * 2 - 1) * (1.0f + static_cast<float>(ordinal));
}
double SampleCount(std::uint32_t ordinal) { return 3.0 + 2.0 * ordinal * ordinal; }

// Lets a test hold trainers back until it wants them to finish.
class Gate {
 public:
  void Open() {
    const std::lock_guard lock(mutex_);
    open_ = true;
    changed_.notify_all();
  }
  bool Wait(std::stop_token stop) {
    std::unique_lock lock(mutex_);
    return changed_.wait(lock, stop, [this] { return open_; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable_any changed_;
  bool open_ = false;
};

// A trainer that sends UpdateElement instead of training.
class KnownTrainer final : public session::TaskRunner {
 public:
  KnownTrainer(std::string coordinator, std::uint32_t ordinal, std::shared_ptr<Gate> before_upload, std::function<void()> after_upload)
      : ordinal_(ordinal), before_(std::move(before_upload)), after_(std::move(after_upload)) {
    session::SessionOptions options;
    options.coordinator = std::move(coordinator);
    options.hello.role = static_cast<std::uint32_t>(wire::Role::kTrainer);
    options.hello.site = "site";
    options.hello.instance = fmt::format("trainer-{}", ordinal);
    options.hello.ordinal = ordinal;
    options.hello.encodings = {0};
    auto session = session::WorkerSession::Start(context_, options, *this);
    EXPECT_TRUE(session.ok());
    session_ = std::move(*session);
  }
  ~KnownTrainer() override { session_->Stop(); }

  Result<session::TaskResult> Run(const session::TaskContext& task) override {
    if (task.spec.kind != static_cast<std::uint32_t>(wire::TaskKind::kTrain)) return session::TaskResult{};
    if (before_ && !before_->Wait(task.stop)) return MakeError(Code::kCancelled, "stopped");
    blob_client::RemoteOptions remote;
    remote.endpoints = task.blob_stores;
    remote.instance = fmt::format("trainer-{}", ordinal_);
    remote.stop = task.stop;
    TRIBUTARY_ASSIGN(auto store, blob_client::ConnectStore(context_, pool_, remote));
    TRIBUTARY_ASSIGN(const ObjectName base, ObjectName::Parse(task.spec.base));
    TRIBUTARY_ASSIGN(const ObjectName output, ObjectName::Parse(task.spec.output));
    TRIBUTARY_ASSIGN(wire::ObjectSpec spec, store->Spec(base));
    TRIBUTARY_ASSIGN(const auto layout, wire::MakeLayout(spec));
    spec.kind = wire::ObjectKind::kUpdate;
    spec.sample_count = static_cast<std::uint64_t>(SampleCount(ordinal_));
    spec.base_digest = task.spec.base_digest;
    TRIBUTARY_TRY(store->Create(output, spec, true).status());
    TRIBUTARY_ASSIGN(auto writer, store->Write({}));
    for (std::uint64_t slot = 0; slot < layout.slot_count(); ++slot) {
      TRIBUTARY_ASSIGN(auto buffer, writer->Allocate(layout.SlotBytes(slot)));
      for (std::uint64_t i = 0; i < layout.Place(slot).elements; ++i) {
        const float value = UpdateElement(ordinal_, task.spec.round, slot, i);
        std::memcpy(buffer->payload().data() + i * sizeof value, &value, sizeof value);
      }
      TRIBUTARY_TRY(writer->Put(output, slot, std::move(buffer)));
    }
    TRIBUTARY_TRY(writer->Flush());
    session::TaskResult result;
    TRIBUTARY_ASSIGN(result.digest, store->Seal(output, 0, false));
    result.metrics = {{"samples", SampleCount(ordinal_)}, {"train_loss", 1.0}};
    if (after_) after_();
    return result;
  }

 private:
  const std::uint32_t ordinal_;
  std::shared_ptr<Gate> before_;
  std::function<void()> after_;
  memory::Pool pool_{kBudget};  // outlives the context
  std::shared_ptr<transport::Context> context_ = std::make_shared<transport::Context>();
  std::unique_ptr<session::WorkerSession> session_;
};

class FederationTest : public testing::Test {
 protected:
  void SetUp() override { directory_ = std::make_unique<TempDirectory>(); }
  void TearDown() override {
    trainers_.clear();
    aggregators_.clear();
    coordinator_.reset();
    blob_store_.reset();
  }

  void StartServices(int aggregators) {
    service::BlobStoreService::Spec store;
    store.listen = "tcp://127.0.0.1:0";
    store.directory = directory_->path() / "blobs";
    store.memory_budget = kBudget;
    auto started = service::BlobStoreService::Start(store);
    ASSERT_TRUE(started.ok()) << started.error().message();
    blob_store_ = std::move(*started);

    service::CoordinatorService::Spec coordinator;
    coordinator.listen = "tcp://127.0.0.1:0";
    coordinator.state_dir = directory_->File("coordinator");
    coordinator.blob_stores = {blob_store_->endpoint()};
    auto begun = service::CoordinatorService::Start(coordinator);
    ASSERT_TRUE(begun.ok()) << begun.error().message();
    coordinator_ = std::move(*begun);

    for (int i = 0; i < aggregators; ++i) {
      aggregator::AggregatorSpec spec;
      spec.coordinator = coordinator_->endpoint();
      spec.instance = fmt::format("aggregator-{}", i);
      spec.memory_budget = kBudget;
      auto aggregator = aggregator::AggregatorService::Start(spec);
      ASSERT_TRUE(aggregator.ok());
      aggregators_.push_back(std::move(*aggregator));
    }
    transport::ClientOptions options;
    options.endpoint = coordinator_->endpoint();
    auto client = transport::FrameClient::Connect(context_, options);
    ASSERT_TRUE(client.ok());
    client_ = std::move(*client);
  }

  std::shared_ptr<Gate> AddTrainer(std::uint32_t ordinal, bool gated = false, std::function<void()> after = nullptr) {
    auto gate = gated ? std::make_shared<Gate>() : nullptr;
    trainers_.push_back(std::make_unique<KnownTrainer>(coordinator_->endpoint(), ordinal, gate, std::move(after)));
    return gate;
  }

  template <class Reply, class Request>
  Reply Call(const Request& request) {
    const std::uint64_t id = ++next_id_;
    EXPECT_TRUE(client_->Send(transport::MakeFrame(id, request)).ok());
    for (;;) {
      auto received = client_->Receive(Duration(10'000));
      if (!received.ok() || received->event != transport::Event::kFrame) {
        ADD_FAILURE() << "the coordinator does not answer";
        return Reply{};
      }
      if (received->frame.view().id != id) continue;
      auto reply = wire::Expect<Reply>(received->frame.view());
      EXPECT_TRUE(reply.ok()) << (reply.ok() ? "" : reply.error().message());
      return reply.ok() ? *reply : Reply{};
    }
  }

  std::string Submit(std::uint32_t seats, std::uint32_t quorum, std::uint32_t rounds, const std::string& deadline) {
    wire::Submit submit;
    submit.name = "job";
    submit.text = fmt::format(
        "name: job\nrounds: {}\nparticipants: {{min: {}, quorum: {}, round_deadline: {}}}\ntasks: [train]\n"
        "model: {{family: synthetic, bytes: 1000KiB, tensors: 3, dtype: f32, fill: random, seed: 5}}\n"
        "data: {{name: none, format: synthetic, partition: {{count: {}}}}}\n"
        "strategy: {{name: fedavg, weights: samples}}\ntransfer: {{chunk_bytes: {}}}\n",
        rounds, seats, quorum, deadline, seats, kChunk);
    return Call<wire::Submitted>(submit).job;
  }

  wire::JobStatus WaitUntilOver(const std::string& job) {
    for (;;) {
      wire::GetStatus request;
      request.job = job;
      auto status = Call<wire::JobStatus>(request);
      if (status.state != "queued" && status.state != "running") return status;
      if (testing::Test::HasFailure()) return status;
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
  }

  // Compares every element of the model with the mean of the ordinals' updates, computed here in double.
  void ExpectMean(const wire::JobStatus& status, std::uint32_t round, const std::vector<std::uint32_t>& ordinals) {
    memory::Pool pool(kBudget);
    blob_client::RemoteOptions remote;
    remote.endpoints = {blob_store_->endpoint()};
    remote.instance = "test";
    auto store = blob_client::ConnectStore(context_, pool, remote);
    ASSERT_TRUE(store.ok());
    const auto object = ObjectName::Parse(status.model);
    ASSERT_TRUE(object.ok()) << status.model;
    const auto spec = (*store)->Spec(*object);
    ASSERT_TRUE(spec.ok()) << spec.error().message();
    const auto layout = wire::MakeLayout(*spec);
    ASSERT_TRUE(layout.ok());
    auto reader = (*store)->Read(blob::SlotsOf(*object, layout->all_slots()), {});
    ASSERT_TRUE(reader.ok());
    double total = 0;
    for (const auto ordinal : ordinals) total += SampleCount(ordinal);
    std::uint64_t elements = 0;
    for (;;) {
      auto chunk = (*reader)->Next();
      ASSERT_TRUE(chunk.ok()) << chunk.error().message();
      if (!chunk->has_value()) break;
      const auto bytes = (*chunk)->bytes;
      for (std::uint64_t i = 0; i < bytes.size() / 4; ++i, ++elements) {
        float value = 0;
        std::memcpy(&value, bytes.data() + i * 4, 4);
        double mean = 0;
        double scale = 0;
        for (const auto ordinal : ordinals) {
          const double x = UpdateElement(ordinal, round, (*chunk)->slot, i);
          mean += SampleCount(ordinal) / total * x;
          scale += SampleCount(ordinal) / total * std::fabs(x);
        }
        ASSERT_LE(std::fabs(value - mean), 1e-6 * scale) << "slot " << (*chunk)->slot << " element " << i;
      }
    }
    EXPECT_EQ(elements, 1000u * 1024 / 4);
  }

  std::unique_ptr<TempDirectory> directory_;
  std::shared_ptr<transport::Context> context_ = std::make_shared<transport::Context>();
  std::unique_ptr<service::BlobStoreService> blob_store_;
  std::unique_ptr<service::CoordinatorService> coordinator_;
  std::vector<std::unique_ptr<aggregator::AggregatorService>> aggregators_;
  std::vector<std::unique_ptr<KnownTrainer>> trainers_;
  std::unique_ptr<transport::FrameClient> client_;
  std::uint64_t next_id_ = 0;
};

TEST_F(FederationTest, TheModelIsTheSampleWeightedMeanOfTheUpdates) {
  StartServices(1);
  for (std::uint32_t i = 0; i < 3; ++i) AddTrainer(i);
  const auto status = WaitUntilOver(Submit(3, 3, 2, "1m"));
  ASSERT_EQ(status.state, "completed") << status.message;
  ExpectMean(status, 2, {0, 1, 2});
}

// The same bytes whatever the order in which trainers finish and however many aggregators share the round.
TEST_F(FederationTest, OrderAndReplicasDoNotChangeABit) {
  StartServices(1);
  std::vector<std::string> digests;
  {
    const auto second = AddTrainer(1, true);
    AddTrainer(0, false, [second] { second->Open(); });
    const auto status = WaitUntilOver(Submit(2, 2, 1, "1m"));
    ASSERT_EQ(status.state, "completed") << status.message;
    ExpectMean(status, 1, {0, 1});
    digests.push_back(status.model_digest);
  }
  TearDown();
  SetUp();
  StartServices(3);
  {
    const auto first = AddTrainer(0, true);
    AddTrainer(1, false, [first] { first->Open(); });
    const auto status = WaitUntilOver(Submit(2, 2, 1, "1m"));
    ASSERT_EQ(status.state, "completed") << status.message;
    digests.push_back(status.model_digest);
  }
  EXPECT_EQ(digests[0], digests[1]);
  EXPECT_EQ(digests[0].size(), 64u);
}

TEST_F(FederationTest, ATrainerThatMakesNoProgressIsDroppedAndTheResultIsOneWithoutIt) {
  StartServices(2);
  AddTrainer(0);
  AddTrainer(1, true);  // its gate stays shut
  AddTrainer(2);
  const auto status = WaitUntilOver(Submit(3, 2, 1, "2s"));
  ASSERT_EQ(status.state, "completed") << status.message;
  ASSERT_EQ(status.finished.size(), 1u);
  EXPECT_THAT(status.finished[0].participants, testing::ElementsAre("site/0", "site/2"));
  EXPECT_THAT(status.finished[0].dropped, testing::ElementsAre("site/1"));
  ExpectMean(status, 1, {0, 2});
}

TEST_F(FederationTest, TooFewUpdatesFailTheJobWithWhoIsMissing) {
  StartServices(1);
  AddTrainer(0);
  AddTrainer(1, true);
  const auto status = WaitUntilOver(Submit(2, 2, 1, "1s"));
  EXPECT_EQ(status.state, "failed");
  EXPECT_THAT(status.message, testing::AllOf(testing::HasSubstr("site/1"), testing::HasSubstr("quorum")));
}

}  // namespace
}  // namespace tributary
