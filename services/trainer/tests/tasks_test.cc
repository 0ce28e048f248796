#include <gmock/gmock.h>

#include <cmath>

#include "task_fixture.h"
#include "tributary/base/random.h"
#include "tributary/encoding/encoding.h"
#include "tributary/json/json.h"

namespace tributary::trainer {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

constexpr const char* kJob = R"(
name: real
rounds: 3
tasks: [train, validate]
model: {family: gpt2, layers: 1, heads: 1, hidden: 8, positions: 16, seed: 9}
data: {name: fortunes, format: text, partition: {scheme: iid, count: 1}}
train: {mode: step, steps: 4, batch_size: 2, gradient_accumulation: 3, max_length: 16, learning_rate: 1e-3, schedule: cosine, warmup: 2}
transfer: {chunk_bytes: 4KiB}
)";

class ModelTask : public TaskFixture {
 protected:
  void WriteText() {
    const auto data = directory_ / "data";
    std::filesystem::create_directories(data);
    std::ofstream file(data / "a.txt");
    for (int i = 0; i < 400; ++i) file << "The line number " << i << " of a text.\n\n";
    identity_.data["fortunes"] = data.string();
    identity_.work_dir = (directory_ / "work").string();
  }
  // The first model, sealed.
  std::string Init() {
    auto init = Task(wire::TaskKind::kInit);
    init.output = "m0";
    const auto result = Run(init, kJob);
    EXPECT_TRUE(result.ok()) << result.error().message();
    return result.ok() ? result->digest : "";
  }
  wire::TaskSpec Train(const std::string& digest, std::uint32_t round = 1) {
    auto train = Task(wire::TaskKind::kTrain);
    train.base = "m0";
    train.base_digest = digest;
    train.round = round;
    train.output = fmt::format("u{}", round);
    return train;
  }
};

class StartingAdapters : public ModelTask {
 protected:
  // Adapters of the fake module, stored in the other order.
  std::string PutAdapters(std::uint32_t rank, std::vector<tensor::TensorSpec> tensors) {
    wire::ObjectSpec spec;
    spec.kind = wire::ObjectKind::kModel;
    spec.tensors = std::move(tensors);
    spec.chunk_bytes = 4096;
    spec.info = Json({{"peft_type", "LORA"}, {"r", rank}, {"lora_alpha", 8}, {"target_modules", {"a", "b"}}}).dump();
    std::uint64_t elements = 0;
    for (const auto& tensor : spec.tensors) elements += *tensor::ElementCount(tensor.shape);
    values_.resize(elements);
    for (std::size_t i = 0; i < values_.size(); ++i) values_[i] = static_cast<float>(i) / 7;
    Put("models/adapters", spec, values_);
    return Seal("models/adapters");
  }
  Result<session::TaskResult> InitFrom(const std::string& object) {
    auto init = Task(wire::TaskKind::kInit);
    init.output = "m0";
    return Run(init, kJob + fmt::format("adapter: {{object: {}, lora: {{r: 2, alpha: 8}}}}\n", object));
  }
  using TaskResult = session::TaskResult;
  std::vector<float> values_;
};

TEST_F(StartingAdapters, AreTheFirstModelBitForBitInTheModelsOwnOrder) {
  auto tensors = FakeTensors();
  std::swap(tensors[0], tensors[1]);
  const std::string digest = PutAdapters(2, tensors);
  const auto first = InitFrom("models/adapters@" + digest);
  ASSERT_TRUE(first.ok()) << first.error().message();
  EXPECT_THAT(progress_.phases, Contains("adapters"));
  const auto made = Get("m0");
  ASSERT_EQ(made.size(), 3006u);
  EXPECT_TRUE(std::equal(values_.begin() + 6, values_.end(), made.begin()));
  EXPECT_TRUE(std::equal(values_.begin(), values_.begin() + 6, made.begin() + 3000));
}

TEST_F(StartingAdapters, OfAnotherRankNamesShapesOrDigestAreRefusedInOneLine) {
  const std::string digest = PutAdapters(4, FakeTensors());
  EXPECT_THAT(InitFrom("models/adapters").error().message(),
              HasSubstr("adapter.object: models/adapters: its adapters have r 4, the job's adapter.lora.r is 2"));
  EXPECT_FALSE(InitFrom("models/adapters@" + std::string(64, 'a')).ok());
  EXPECT_THAT(InitFrom("models/nothing").error().message(), HasSubstr("models/nothing"));
  ASSERT_TRUE(store_->Remove(ObjectName::Trusted("models/adapters")).ok());
  auto tensors = FakeTensors();
  tensors[1].shape = {3, 2};
  PutAdapters(2, tensors);
  EXPECT_THAT(InitFrom("models/adapters").error().message(), HasSubstr("tensor 'transformer.b' is F32 [3, 2], this job trains F32 [2, 3]"));
  ASSERT_TRUE(store_->Remove(ObjectName::Trusted("models/adapters")).ok());
  tensors = FakeTensors();
  tensors[1].name = "transformer.c";
  PutAdapters(2, tensors);
  EXPECT_THAT(InitFrom("models/adapters").error().message(), HasSubstr("tensor 'transformer.c', F32 [2, 3], is none of those that this job trains, 'transformer.a' ..."));
  ASSERT_TRUE(store_->Remove(ObjectName::Trusted("models/adapters")).ok());
  tensors.resize(1);
  PutAdapters(2, tensors);
  EXPECT_THAT(InitFrom("models/adapters").error().message(), HasSubstr("models/adapters lacks tensors that this job trains: transformer.b"));
  EXPECT_EQ(progress_.down, 0u);
}

TEST_F(StartingAdapters, ThatNobodyImportedAreSaid) {
  auto init = Task(wire::TaskKind::kInit);
  init.output = "m0";
  EXPECT_THAT(Run(init, std::string(kJob) + "adapter: {source: /there, lora: {r: 2}}\n").error().message(),
              HasSubstr("adapter.source /there was imported by nobody"));
}

// A model that came from a directory: what is wrong with it is told with the key that names it.
TEST_F(ModelTask, AnImportedModelThatCannotBeMadeNamesItsSource) {
  std::string text = kJob;
  const std::size_t model = text.find("model: ");
  text.replace(model, text.find('\n', model) - model, "model: {source: /srv/llm, object: models/llm}");
  auto init = Task(wire::TaskKind::kInit);
  init.output = "m0";
  wire::ObjectSpec spec;
  spec.kind = wire::ObjectKind::kModel;
  spec.tensors = FakeTensors();
  spec.chunk_bytes = 4096;
  spec.info = R"({"model_type": "gpt2"})";
  Put("models/llm", spec, std::vector<float>(3006));
  Seal("models/llm");
  EXPECT_THAT(Run(init, text).error().message(), StartsWith("model.source: /srv/llm: config.json: 'vocab_size' is missing"));
  ASSERT_TRUE(store_->Remove(ObjectName::Trusted("models/llm")).ok());
  spec.info = R"({"model_type": "gpt2", "vocab_size": 257})";
  spec.tensors.resize(1);
  Put("models/llm", spec, std::vector<float>(3000));
  Seal("models/llm");
  EXPECT_THAT(Run(init, text).error().message(), StartsWith("model.source: /srv/llm: models/llm lacks tensors that its config.json asks for: transformer.b"));
  ASSERT_TRUE(store_->Remove(ObjectName::Trusted("models/llm")).ok());
  EXPECT_THAT(Run(init, text).error().message(), Not(HasSubstr("model.source"))) << "that it is not there is no fault of the directory's";
}

TEST_F(ModelTask, InitMakesTheFirstModelFromItsSeed) {
  const auto digest = Init();
  EXPECT_EQ(digest.size(), 64u);
  const auto spec = store_->Spec(ObjectName::Trusted("m0"));
  EXPECT_EQ(spec->tensors, FakeTensors());
  EXPECT_THAT(spec->info, HasSubstr("\"model_type\": \"gpt2\""));
  EXPECT_THAT(spec->info, HasSubstr("\"vocab_size\": 257"));
  SplitMix64 random(9);
  for (const float value : Get("m0")) ASSERT_EQ(value, static_cast<float>(random.NextUnit()));
  EXPECT_EQ(Init(), digest);
}

TEST_F(ModelTask, AFirstModelThatAnotherTrainerSealedIsNotTakenForTheOwnWeights) {
  WriteText();
  const auto digest = Init();
  // This trainer's init of the same object gives other bits than those that are sealed, as another processor's may.
  std::string other = kJob;
  other.replace(other.find("seed: 9"), 7, "seed: 8");
  auto init = Task(wire::TaskKind::kInit);
  init.output = "m0";
  EXPECT_EQ(Run(init, other)->digest, digest);
  auto validate = Task(wire::TaskKind::kValidate);
  validate.base = "m0";
  validate.base_digest = digest;
  const auto validated = Run(validate, kJob);
  ASSERT_TRUE(validated.ok()) << validated.error().message();
  EXPECT_THAT(progress_.phases, ElementsAre("download", "validate"));
  EXPECT_EQ(validated->metrics.at("val_loss"), static_cast<double>(Get("m0")[0]));
}

// The difference to the base, slot by slot over tensors that end within slots; the base is read a second time.
TEST_F(ModelTask, TrainUploadsDifferencesInTheJobsEncoding) {
  WriteText();
  const auto digest = Init();
  ASSERT_TRUE(Run(Train(digest), kJob).ok());
  std::string job = kJob;
  job.replace(job.find("chunk_bytes: 4KiB"), 17, "chunk_bytes: 4KiB, encoding: fp16, delta: true, error_feedback: true");
  auto train = Train(digest);
  train.output = "d1";
  const auto result = Run(train, job);
  ASSERT_TRUE(result.ok()) << result.error().message();
  EXPECT_EQ(progress_.up, 2u * 3006);
  EXPECT_EQ(progress_.down, 2u * 4 * 3006);
  EXPECT_LT(result->metrics.at("encoding_error"), 0.001);
  EXPECT_TRUE(std::filesystem::exists(directory_ / "work/residual/j/0.r1"));
  const auto base = Get("m0");
  const auto update = Get("u1");
  const auto spec = store_->Spec(ObjectName::Trusted("d1"));
  ASSERT_TRUE(spec->delta);
  std::vector<float> difference;
  for (std::uint64_t slot = 0; slot < 3; ++slot) {
    std::vector<std::byte> chunk(store_->StatSlot(ObjectName::Trusted("d1"), slot, 0)->bytes);
    ASSERT_TRUE(store_->GetSlot(ObjectName::Trusted("d1"), slot, chunk).ok());
    std::vector<float> part(chunk.size() / 2);
    encoding::DecodePart(tensor::Encoding::kF16, chunk, 0, part.size(), part);
    difference.insert(difference.end(), part.begin(), part.end());
  }
  ASSERT_EQ(difference.size(), base.size());
  for (std::size_t i = 0; i < base.size(); ++i) ASSERT_NEAR(difference[i], update[i] - base[i], 0x1p-11 * std::abs(update[i] - base[i])) << i;
}

TEST_F(ModelTask, TellsWhatItHeldOfAGpu) {
  WriteText();
  EXPECT_EQ(tasks_.DevicePeakBytes(), 0u);  // nor does asking load libtorch
  EXPECT_EQ(module_.calls.loads, 0);
  const auto digest = Init();
  EXPECT_EQ(Run(Train(digest), kJob)->metrics.count("cuda_peak_bytes"), 0u);
  module_.device_peak_bytes = 5 << 20;
  EXPECT_EQ(Run(Train(digest, 2), kJob)->metrics.at("cuda_peak_bytes"), 5 << 20);
  EXPECT_EQ(tasks_.DevicePeakBytes(), 5u << 20);
}

TEST_F(ModelTask, TrainUploadsAnUpdateWithSamplesAndBase) {
  WriteText();
  const auto digest = Init();
  const auto result = Run(Train(digest, 2), kJob);
  ASSERT_TRUE(result.ok()) << result.error().message();
  EXPECT_EQ(result->metrics.at("train_loss"), 2.5);
  EXPECT_EQ(result->metrics.at("steps"), 4);
  EXPECT_EQ(result->metrics.at("tokens_per_second"), result->metrics.at("tokens") / 0.5);
  const auto spec = store_->Spec(ObjectName::Trusted("u2"));
  EXPECT_EQ(static_cast<double>(spec->sample_count), result->metrics.at("samples"));
  EXPECT_EQ(progress_.metrics.at("samples"), result->metrics.at("samples"));  // told when the update was opened
  EXPECT_GT(spec->sample_count, 100u);
  EXPECT_EQ(spec->base_digest, digest);
  EXPECT_EQ(progress_.metrics.at("train_loss"), 2.0);
  const auto base = Get("m0");
  const auto update = Get("u2");
  ASSERT_EQ(update.size(), base.size());
  EXPECT_NE(update, base);
  EXPECT_FLOAT_EQ(update[0] - base[0], update[3001] - base[3001]);

  const auto& options = module_.calls.options;
  EXPECT_EQ(options.steps, 4u);
  EXPECT_EQ(module_.calls.batches, 12u);
  EXPECT_EQ(options.schedule, train::Schedule::kCosine);
  EXPECT_EQ(options.schedule_begin, 4u);
  EXPECT_EQ(options.schedule_steps, 12u);
  EXPECT_EQ(options.warmup_steps, 2u);
  EXPECT_EQ(options.seed, MixSeed(std::uint64_t{9}, 2u, 0u));
}

TEST_F(ModelTask, AModelInMemoryIsNotDownloadedAgain) {
  WriteText();
  const auto digest = Init();
  ASSERT_TRUE(Run(Train(digest, 1), kJob).ok());
  EXPECT_THAT(progress_.phases, ElementsAre("train", "upload", "seal"));
  const auto first = Get("u1");
  // Training changed the weights: they must come again.
  ASSERT_TRUE(Run(Train(digest, 2), kJob).ok());
  EXPECT_THAT(progress_.phases, ElementsAre("download", "train", "upload", "seal"));
  EXPECT_EQ(progress_.down, 3006u * 4);
  auto validate = Task(wire::TaskKind::kValidate);
  validate.base = "m0";
  validate.base_digest = digest;
  const auto validated = Run(validate, kJob);
  ASSERT_TRUE(validated.ok()) << validated.error().message();
  EXPECT_THAT(progress_.phases, ElementsAre("download", "validate"));
  EXPECT_EQ(validated->metrics.at("val_loss"), static_cast<double>(Get("m0")[0]));
  EXPECT_GT(validated->metrics.at("val_targets"), 0);
  // What was validated is there for the next training.
  ASSERT_TRUE(Run(Train(digest, 3), kJob).ok());
  EXPECT_THAT(progress_.phases, Not(Contains("download")));
  EXPECT_EQ(module_.calls.models, 1);
}

TEST_F(ModelTask, ASeatWithNothingHeldOutSaysSoAndFetchesNothing) {
  WriteText();
  std::ofstream(directory_ / "data/a.txt") << "One single line that is a little longer than one window of the model.";
  const auto digest = Init();
  auto validate = Task(wire::TaskKind::kValidate);
  validate.base = "m0";
  validate.base_digest = digest;
  const auto validated = Run(validate, kJob);
  ASSERT_TRUE(validated.ok()) << validated.error().message();
  EXPECT_EQ(validated->metrics.at("val_targets"), 0);
  EXPECT_EQ(validated->metrics.count("val_loss"), 0u);
  EXPECT_EQ(module_.calls.evaluations, 0);
  EXPECT_THAT(progress_.phases, Not(Contains("download")));
}

TEST_F(ModelTask, TheSameTaskAgainGivesTheSameBytes) {
  WriteText();
  const auto digest = Init();
  ASSERT_TRUE(Run(Train(digest), kJob).ok());
  const auto first = *store_->Stat(ObjectName::Trusted("u1"));
  // As after a crash between the seal and its report: the sealed update is left as it is.
  const auto again = Run(Train(digest), kJob);
  ASSERT_TRUE(again.ok()) << again.error().message();
  EXPECT_EQ(again->digest, first.digest);
  auto other = Train(digest);
  other.output = "u1.g1";
  EXPECT_EQ(Run(other, kJob)->digest, first.digest);
}

TEST_F(ModelTask, MissingDataNamesSiteDataAndFlag) {
  WriteText();
  const auto digest = Init();
  identity_.data.clear();
  const auto result = Run(Train(digest), kJob);
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error().code(), Code::kNotFound);
  EXPECT_EQ(result.error().message(),
            "site 'local' has no data named 'fortunes', which the job asks for; start its trainer with --data fortunes=PATH");
  EXPECT_EQ(progress_.down, 0u);
}

TEST_F(ModelTask, APathWithoutDataIsNamed) {
  WriteText();
  const auto digest = Init();
  identity_.data["fortunes"] = "/nowhere/at/all";
  EXPECT_THAT(Run(Train(digest), kJob).error().message(), HasSubstr("/nowhere/at/all"));
}

TEST_F(ModelTask, AModelOfOtherTensorsIsRefused) {
  WriteText();
  Init();
  wire::ObjectSpec spec;
  spec.tensors = {{"transformer.x", tensor::DType::kF32, {3000}}};
  spec.chunk_bytes = 4096;
  spec.info = store_->Spec(ObjectName::Trusted("m0"))->info;
  Put("foreign", spec, std::vector<float>(3000));
  auto train = Train(Seal("foreign"));
  train.base = "foreign";
  EXPECT_THAT(Run(train, kJob).error().message(), HasSubstr("tensor 0 of foreign is 'transformer.x': this model has 'transformer.a'"));
}

TEST_F(ModelTask, TrainingThatTakesTooLongNamesTheKnob) {
  WriteText();
  const auto digest = Init();
  std::string job = kJob;
  job.replace(job.find("warmup: 2"), 9, "warmup: 2, timeout: 1ms");
  job.replace(job.find("steps: 4"), 8, "steps: 100000");
  const auto result = Run(Train(digest), job);
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error().code(), Code::kDeadline);
  EXPECT_THAT(result.error().message(), HasSubstr("train.timeout (1 ms)"));
}

TEST_F(ModelTask, StopsWhenAsked) {
  WriteText();
  const auto digest = Init();
  progress_.stop_at = 2;
  const auto result = Run(Train(digest), kJob);
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error().code(), Code::kCancelled);
}

TEST_F(ModelTask, TheOptimizersStateGoesFromRoundToRoundWhereTheJobKeepsIt) {
  WriteText();
  const auto digest = Init();
  std::string job = kJob;
  job.replace(job.find("warmup: 2"), 9, "warmup: 2, optimizer_state: kept");
  ASSERT_TRUE(Run(Train(digest, 1), job).ok());
  EXPECT_EQ(module_.calls.optimizer_steps, 0u);
  ASSERT_TRUE(Run(Train(digest, 2), job).ok());
  EXPECT_EQ(module_.calls.optimizer_steps, 4u);
  // The round is asked for again: it begins as it did.
  ASSERT_TRUE(Run(Train(digest, 2), job).ok());
  EXPECT_EQ(module_.calls.optimizer_steps, 4u);
  EXPECT_TRUE(std::filesystem::exists(directory_ / "work/optimizer/j/0.r2"));
  ASSERT_TRUE(Run(Train(digest, 3), job).ok());
  EXPECT_EQ(module_.calls.optimizer_steps, 8u);
  EXPECT_TRUE(std::filesystem::is_empty(directory_ / "work/optimizer/j")) << "the last round leaves nothing";
}

TEST_F(ModelTask, TheOptimizersStateBeginsFreshOtherwise) {
  WriteText();
  const auto digest = Init();
  ASSERT_TRUE(Run(Train(digest, 1), kJob).ok());
  EXPECT_EQ(module_.calls.options.optimizer_store, nullptr);
  EXPECT_FALSE(std::filesystem::exists(directory_ / "work/optimizer"));
  std::string job = kJob;
  job.replace(job.find("warmup: 2"), 9, "warmup: 2, optimizer_state: kept");
  identity_.work_dir.clear();
  EXPECT_THAT(Run(Train(digest, 2), job).error().message(), HasSubstr("train.optimizer_state: kept needs this trainer's disk: start it with --work-dir"));
}

TEST_F(ModelTask, AScriptThatOnlyAnObjectNamesIsNotRun) {
  WriteText();
  Init();
  wire::ObjectSpec spec;
  spec.tensors = FakeTensors();
  spec.chunk_bytes = 4096;
  spec.info = Json({{"model_type", "torchscript"}, {"script", "/tmp/evil.pt"}, {"sha256", std::string(64, 'a')}, {"vocab_size", 257}}).dump();
  Put("foreign", spec, std::vector<float>(3006));
  auto train = Train(Seal("foreign"));
  train.base = "foreign";
  const int models = module_.calls.models;
  EXPECT_THAT(Run(train, kJob).error().message(), HasSubstr("asks for a TorchScript file, and the job names none"));
  EXPECT_EQ(module_.calls.models, models);
}

TEST_F(ModelTask, KeepsALineOfMetricsForEachTask) {
  WriteText();
  const auto digest = Init();
  ASSERT_TRUE(Run(Train(digest, 1), kJob).ok());
  std::ifstream file(directory_ / "work" / "metrics.jsonl");
  std::vector<Json> lines;
  for (std::string line; std::getline(file, line);) lines.push_back(*ParseJson(line, "line"));
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_EQ(lines[0]["kind"], "init");
  EXPECT_EQ(lines[1]["kind"], "train");
  EXPECT_EQ(lines[1]["round"], 1);
  EXPECT_EQ(lines[1]["seat"], "local/0");
  EXPECT_EQ(lines[1]["train_loss"], 2.5);
  EXPECT_EQ(lines[1]["bytes_up"], 3006 * 4);
}

TEST_F(ModelTask, AVocabularyBelowTheTokenizersIsRefused) {
  std::string job = kJob;
  job.replace(job.find("positions: 16"), 13, "positions: 16, vocabulary: 100");
  auto init = Task(wire::TaskKind::kInit);
  init.output = "m";
  EXPECT_THAT(Run(init, job).error().message(), HasSubstr("the tokenizer has 257 tokens"));
}

TEST_F(ModelTask, RefusesAnAggregatorsTask) {
  EXPECT_THAT(Run(Task(wire::TaskKind::kAggregate), kJob).error().message(), HasSubstr("which is an aggregator's"));
}

// The first model's broadcast, and training and differences from it.
TEST_F(ModelTask, BeginsFromTheBroadcastAndNotFromTheModel) {
  WriteText();
  std::string job = kJob;
  job.replace(job.find("4KiB}"), 5, "4KiB, broadcast: int8, encoding: int8, delta: true}");
  auto init = Task(wire::TaskKind::kInit);
  init.output = "m0";
  init.broadcast = "b0";
  const auto first = Run(init, job);
  ASSERT_TRUE(first.ok()) << first.error().message();
  EXPECT_EQ(first->broadcast_digest, store_->Stat(ObjectName::Trusted("b0"))->digest);
  EXPECT_GT(first->metrics.at("broadcast_norm"), 0);
  // A trainer that is asked again encodes what is sealed: the same bytes.
  init.broadcast = "b1";
  const auto again = Run(init, job);
  ASSERT_TRUE(again.ok()) << again.error().message();
  EXPECT_EQ(again->digest, first->digest);
  EXPECT_EQ(again->broadcast_digest, first->broadcast_digest);
  EXPECT_DOUBLE_EQ(again->metrics.at("broadcast_lost"), first->metrics.at("broadcast_lost"));

  auto train = Train(first->broadcast_digest);
  train.base = "b0";
  const auto trained = Run(train, job);
  ASSERT_TRUE(trained.ok()) << trained.error().message();
  const std::uint64_t encoded = encoding::EncodedBytes(tensor::DType::kF32, tensor::Encoding::kInt8, 3006);
  EXPECT_EQ(progress_.down, 2 * encoded) << "the model once, and as the base of differences";
  EXPECT_EQ(store_->Spec(ObjectName::Trusted("u1"))->base_digest, first->broadcast_digest);
  // Every element was trained by the same amount from what was decoded: all differences are equal, and nearly exact.
  auto reader = store_->Read(blob::SlotsOf(ObjectName::Trusted("u1"), {0, store_->Stat(ObjectName::Trusted("u1"))->slots}), {});
  std::vector<float> differences;
  const auto layout = tensor::Layout::Make(FakeTensors(), 4096);
  for (std::uint64_t slot = 0; slot < layout->slot_count(); ++slot) {
    auto chunk = (*reader)->Next();
    ASSERT_TRUE(chunk.ok() && *chunk);
    std::vector<float> part(layout->Place(slot).elements);
    encoding::DecodePart(tensor::Encoding::kInt8, (*chunk)->bytes, 0, part.size(), part);
    differences.insert(differences.end(), part.begin(), part.end());
  }
  ASSERT_EQ(differences.size(), 3006u);
  for (const float difference : differences) ASSERT_NEAR(difference, differences[0], std::abs(differences[0]) * 1e-4);
}

}  // namespace
}  // namespace tributary::trainer
