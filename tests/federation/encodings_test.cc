// Whole federations in one process, two real trainers each, for every encoding of updates: the model is the mean that it should be, within
// the bound that docs/encodings.md gives, and updates take the bytes that it gives.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <filesystem>
#include <thread>

#include "libs/base/testing/temp_directory.h"
#include "services/aggregator/aggregator.h"
#include "services/aggregator/synthetic.h"
#include "services/blob-store/blob_store_service.h"
#include "services/coordinator/coordinator_service.h"
#include "services/trainer/trainer.h"
#include "tributary/blob_client/remote_store.h"
#include "tributary/encoding/encoding.h"
#include "tributary/transport/frame_client.h"

namespace tributary {
namespace {

using tensor::DType;
using tensor::Encoding;

constexpr std::uint64_t kElements = 100'000;
constexpr std::uint32_t kRounds = 2;
constexpr std::uint64_t kBudget = 16u << 20;

struct Case {
  Encoding encoding;
  bool delta;
  bool error_feedback;
  Encoding broadcast = Encoding::kNative;
};

// What one encoding may be off, of numbers of at most `largest`.
double Bound(Encoding encoding, double largest) {
  switch (encoding) {
    case Encoding::kF16: return 0x1p-11 * largest + 0x1p-25;
    case Encoding::kBF16: return 0x1p-8 * largest;
    case Encoding::kInt8: return largest * (1.0 / 254 + 0x1p-22);
    case Encoding::kNf4: return 0.152 * largest;
    default: return 0;
  }
}

class EncodedFederation : public testing::TestWithParam<Case> {
 protected:
  void SetUp() override {
    service::BlobStoreService::Spec store;
    store.listen = "tcp://127.0.0.1:0";
    store.directory = directory_.path() / "blobs";
    store.memory_budget = kBudget;
    auto blobs = service::BlobStoreService::Start(store);
    ASSERT_TRUE(blobs.ok()) << blobs.error().message();
    blob_store_ = std::move(*blobs);
    service::CoordinatorService::Spec coordinator;
    coordinator.listen = "tcp://127.0.0.1:0";
    coordinator.state_dir = directory_.File("coordinator");
    coordinator.blob_stores = {blob_store_->endpoint()};
    auto begun = service::CoordinatorService::Start(coordinator);
    ASSERT_TRUE(begun.ok()) << begun.error().message();
    coordinator_ = std::move(*begun);
    AddAggregator();
    transport::ClientOptions options;
    options.endpoint = coordinator_->endpoint();
    auto client = transport::FrameClient::Connect(context_, options);
    ASSERT_TRUE(client.ok());
    client_ = std::move(*client);
  }

  void AddAggregator() {
    aggregator::AggregatorSpec aggregator;
    aggregator.coordinator = coordinator_->endpoint();
    aggregator.instance = fmt::format("aggregator-{}", aggregators_.size());
    aggregator.memory_budget = kBudget;
    auto aggregates = aggregator::AggregatorService::Start(aggregator);
    ASSERT_TRUE(aggregates.ok());
    aggregators_.push_back(std::move(*aggregates));
  }

  void AddTrainer(std::int64_t ordinal) {
    trainer::TrainerSpec spec;
    spec.coordinator = coordinator_->endpoint();
    spec.instance = fmt::format("trainer-{}", ordinal);
    spec.ordinal = ordinal;
    spec.memory_budget = kBudget;
    spec.identity.work_dir = directory_.File(spec.instance);
    auto trainer = trainer::TrainerService::Start(spec);
    ASSERT_TRUE(trainer.ok()) << trainer.error().message();
    trainers_.push_back(std::move(*trainer));
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

  void Submit(const Case& c, const std::string& name = "job") {
    wire::Submit submit;
    submit.name = name;
    submit.text = fmt::format(
        "name: job\nrounds: {}\nparticipants: {{min: 2, quorum: {}, round_deadline: 1m}}\ntasks: [train]\n"
        "model: {{family: synthetic, bytes: {}, tensors: 3, dtype: f32, fill: random, seed: 5}}\n"
        "data: {{name: none, format: synthetic, partition: {{count: 2}}}}\nstrategy: {{weights: samples, max_norm: {}}}\n"
        "transfer: {{chunk_bytes: 64KiB, encoding: {}, delta: {}, error_feedback: {}, broadcast: {}}}\ncheckpoint: {{every: 1, keep: 3}}\n",
        kRounds, quorum_, kElements * 4, max_norm_, tensor::EncodingName(c.encoding), c.delta, c.error_feedback,
        tensor::EncodingName(c.broadcast));
    submit.text += extra_;
    EXPECT_EQ(Call<wire::Submitted>(submit).job, name);
    job_ = name;
  }

  wire::JobStatus Status() {
    wire::GetStatus request;
    request.job = job_;
    return Call<wire::JobStatus>(request);
  }
  template <class Condition>
  wire::JobStatus WaitFor(Condition condition) {
    for (;;) {
      auto status = Status();
      if (condition(status) || HasFailure()) return status;
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
  }

  // Models before the first round are not kept: it is made again.
  static std::vector<float> FirstModel() {
    job::SyntheticModel model;
    model.bytes = kElements * 4;
    model.tensors = 3;
    const auto layout = job::SyntheticLayout(model, 64_KiB);
    EXPECT_TRUE(layout.ok());
    std::vector<float> values(kElements);
    for (std::uint64_t slot = 0; slot < layout->slot_count(); ++slot) {
      const auto place = layout->Place(slot);
      aggregator::FillSynthetic(model, 5, place, std::as_writable_bytes(std::span(values).subspan(place.first_element, place.elements)));
    }
    return values;
  }

  std::vector<float> ReadModel(const std::string& name) {
    memory::Pool pool(kBudget);
    blob_client::RemoteOptions remote;
    remote.endpoints = {blob_store_->endpoint()};
    remote.instance = "test";
    auto context = std::make_shared<transport::Context>();
    auto store = blob_client::ConnectStore(context, pool, remote);
    EXPECT_TRUE(store.ok());
    const auto object = ObjectName::Trusted(name);
    const auto info = (*store)->Stat(object);
    EXPECT_TRUE(info.ok()) << name << ": " << info.error().message();
    if (!info.ok()) return {};
    auto reader = (*store)->Read(blob::SlotsOf(object, {0, info->slots}), {});
    std::vector<float> values;
    for (;;) {
      auto chunk = (*reader)->Next();
      EXPECT_TRUE(chunk.ok());
      if (!chunk.ok() || !chunk->has_value()) return values;
      const std::size_t at = values.size();
      values.resize(at + (*chunk)->bytes.size() / 4);
      std::memcpy(values.data() + at, (*chunk)->bytes.data(), (*chunk)->bytes.size());
    }
  }

  std::string job_ = "job";
  std::string extra_;  // lines of the job file
  int quorum_ = 2;
  double max_norm_ = 0;
  const TempDirectory directory_;
  std::shared_ptr<transport::Context> context_ = std::make_shared<transport::Context>();
  std::unique_ptr<service::BlobStoreService> blob_store_;
  std::unique_ptr<service::CoordinatorService> coordinator_;
  std::vector<std::unique_ptr<aggregator::AggregatorService>> aggregators_;
  std::vector<std::unique_ptr<trainer::TrainerService>> trainers_;
  std::unique_ptr<transport::FrameClient> client_;
  std::uint64_t next_id_ = 0;
};

TEST_P(EncodedFederation, TheMeanIsWithinTheBoundAndUpdatesAreSmall) {
  const Case c = GetParam();
  AddTrainer(0);
  AddTrainer(1);
  Submit(c);
  const auto status = WaitFor([](const wire::JobStatus& s) { return s.state != "queued" && s.state != "running"; });
  ASSERT_EQ(status.state, "completed") << status.message;
  ASSERT_EQ(status.finished.size(), kRounds);

  // Seats add 1 and 2 to every element and weigh 1 and 2 samples: 5/3 a round.
  auto before = FirstModel();
  for (std::uint32_t round = 1; round <= kRounds; ++round) {
    const auto& told = status.finished[round - 1];
    const std::uint64_t bytes = encoding::EncodedBytes(DType::kF32, c.encoding, kElements);
    EXPECT_EQ(told.bytes_up, 2 * bytes) << "round " << round;
    EXPECT_EQ(told.metrics.contains("encoding_error"), c.encoding != Encoding::kNative);
    EXPECT_EQ(told.metrics.contains("broadcast_error"), c.broadcast != Encoding::kNative);
    EXPECT_EQ(told.bytes_down, 2 * encoding::EncodedBytes(DType::kF32, c.broadcast, kElements));
    const auto model = ReadModel(fmt::format("jobs/job/models/{}", round));
    ASSERT_EQ(model.size(), kElements);
    // Of what is encoded, weights or differences; with error feedback a residual more.
    double largest = 0;
    for (const float x : before) largest = std::max(largest, c.delta ? 2.0 : std::abs(static_cast<double>(x)) + 2);
    if (c.error_feedback) largest += Bound(c.encoding, largest);
    double bound = Bound(c.encoding, largest) * (c.error_feedback ? 2 : 1) + 1e-5;
    // Whole weights carry what the broadcast lost; differences do not.
    if (!c.delta) bound += Bound(c.broadcast, largest);
    double worst = 0;
    for (std::uint64_t i = 0; i < kElements; ++i) {
      worst = std::max(worst, std::abs(static_cast<double>(model[i]) - (static_cast<double>(before[i]) + 5.0 / 3)));
    }
    EXPECT_LE(worst, bound) << "round " << round;
    if (c.delta) {
      EXPECT_LE(worst, 1e-5) << "equal differences are encoded all but exactly";
    }
    before = model;
  }
  trainers_.clear();
}

// Parameters that no training changes: their slots are digests on the wire, and the model is the one that it was.
class FrozenFederation : public EncodedFederation {};

TEST_P(FrozenFederation, FrozenParametersDoNotCross) {
  const Case c = GetParam();
  extra_ = "train: {add: 0}\n";
  AddTrainer(0);
  AddTrainer(1);
  Submit(c);
  const auto status = WaitFor([](const wire::JobStatus& s) { return s.state != "queued" && s.state != "running"; });
  ASSERT_EQ(status.state, "completed") << status.message;
  const std::uint64_t bytes = 2 * encoding::EncodedBytes(DType::kF32, c.encoding, kElements);
  for (const auto& round : status.finished) {
    EXPECT_EQ(round.bytes_up, 0u) << round.round;
    ASSERT_TRUE(round.metrics.contains("bytes_deduplicated"));
    EXPECT_EQ(round.metrics.at("bytes_deduplicated"), static_cast<double>(bytes)) << round.round;
    EXPECT_EQ(round.bytes_down, 2 * encoding::EncodedBytes(DType::kF32, c.broadcast, kElements));
  }
  EXPECT_EQ(blob_store_->stats().bytes_linked, kRounds * bytes);
  const auto first = FirstModel();
  const auto model = ReadModel("jobs/job/models/2");
  ASSERT_EQ(model.size(), first.size());
  for (std::uint64_t i = 0; i < kElements; ++i) ASSERT_NEAR(model[i], first[i], 2 * Bound(c.broadcast, 1) + 1e-6);
  trainers_.clear();
}

INSTANTIATE_TEST_SUITE_P(Each, FrozenFederation,
                         testing::Values(Case{Encoding::kNative, false, false},
                                         // A chunk of the broadcast, decoded and encoded again, is the same chunk.
                                         Case{Encoding::kF16, false, false, Encoding::kF16}));

// However many aggregators share the slots, models and their broadcasts are the same bits.
class SharedFederation : public EncodedFederation {};

TEST_P(SharedFederation, ThreeAggregatorsMakeTheSameModelAsOne) {
  AddTrainer(0);
  AddTrainer(1);
  const auto ended = [](const wire::JobStatus& s) { return s.state != "queued" && s.state != "running"; };
  Submit(GetParam(), "alone");
  const auto alone = WaitFor(ended);
  ASSERT_EQ(alone.state, "completed") << alone.message;
  AddAggregator();
  AddAggregator();
  Submit(GetParam(), "shared");
  const auto shared = WaitFor(ended);
  ASSERT_EQ(shared.state, "completed") << shared.message;
  ASSERT_EQ(shared.finished.size(), kRounds);
  for (std::uint32_t i = 0; i < kRounds; ++i) {
    EXPECT_EQ(shared.finished[i].digest, alone.finished[i].digest) << i;
    // The second round began from the broadcast that the first one made. The sum of its errors depends on who added up what.
    EXPECT_NEAR(shared.finished[i].metrics.at("broadcast_error"), alone.finished[i].metrics.at("broadcast_error"), 1e-12);
  }
  trainers_.clear();
}

INSTANTIATE_TEST_SUITE_P(Each, SharedFederation, testing::Values(Case{Encoding::kInt8, true, false, Encoding::kNf4}));

// Seats add 1 and 2 to each of so many elements: norms of 316 and 632. The greater one is left out of every round.
class BoundedFederation : public EncodedFederation {};

TEST_P(BoundedFederation, AnUpdateAboveTheNormIsLeftOutByName) {
  quorum_ = 1;
  max_norm_ = 400;
  AddTrainer(0);
  AddTrainer(1);
  Submit(GetParam());
  const auto status = WaitFor([](const wire::JobStatus& s) { return s.state != "queued" && s.state != "running"; });
  ASSERT_EQ(status.state, "completed") << status.message;
  for (const auto& round : status.finished) {
    EXPECT_EQ(round.participants, std::vector<std::string>{"local/0"});
    EXPECT_EQ(round.dropped, std::vector<std::string>{"local/1"});
  }
  const auto first = FirstModel();
  const auto model = ReadModel("jobs/job/models/2");
  ASSERT_EQ(model.size(), first.size());
  for (std::uint64_t i = 0; i < kElements; ++i) ASSERT_NEAR(model[i], first[i] + 2, 1e-5) << "as in a job without it";
  trainers_.clear();
}

TEST_P(BoundedFederation, WithoutAQuorumTheJobSaysWhoAndWhy) {
  max_norm_ = 400;
  AddTrainer(0);
  AddTrainer(1);
  Submit(GetParam());
  const auto status = WaitFor([](const wire::JobStatus& s) { return s.state != "queued" && s.state != "running"; });
  EXPECT_EQ(status.state, "failed");
  EXPECT_THAT(status.message, testing::AllOf(testing::HasSubstr("seat local/1"), testing::HasSubstr("has the norm 632.4"),
                                             testing::HasSubstr("more than strategy.max_norm (400)")));
  trainers_.clear();
}

INSTANTIATE_TEST_SUITE_P(Each, BoundedFederation, testing::Values(Case{Encoding::kInt8, true, false}));

INSTANTIATE_TEST_SUITE_P(
    Each, EncodedFederation,
    testing::Values(Case{Encoding::kNative, false, false}, Case{Encoding::kF16, false, false}, Case{Encoding::kBF16, false, false},
                    Case{Encoding::kInt8, false, false}, Case{Encoding::kNf4, false, false}, Case{Encoding::kInt8, true, true},
                    Case{Encoding::kNf4, true, true}, Case{Encoding::kNf4, false, true},
                    Case{Encoding::kNative, false, false, Encoding::kInt8}, Case{Encoding::kInt8, true, true, Encoding::kNf4}),
    [](const auto& info) {
      return std::string(tensor::EncodingName(info.param.encoding)) + (info.param.delta ? "_delta" : "") +
             (info.param.error_feedback ? "_feedback" : "") +
             (info.param.broadcast != Encoding::kNative ? "_broadcast_" + std::string(tensor::EncodingName(info.param.broadcast)) : "");
    });

}  // namespace
}  // namespace tributary
