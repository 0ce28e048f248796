#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "libs/base/testing/temp_directory.h"
#include "jobs.h"
#include "tributary/job/job.h"

namespace tributary::job {
namespace {

using testing::HasSubstr;

TEST(ParseJob, KeysThatStandAndDefaultsOfThoseThatDoNot) {
  const auto job = ParseJob(kText, "job.yaml");
  ASSERT_TRUE(job.ok()) << job.error().message();
  EXPECT_EQ(job->name, "letters");
  EXPECT_EQ(job->rounds, 3u);
  EXPECT_FALSE(job->validate);
  EXPECT_FALSE(job->synthetic());
  EXPECT_EQ(job->participants.min, 2u);  // as many as seats
  EXPECT_EQ(job->participants.quorum, 1u);
  EXPECT_EQ(job->participants.round_deadline, std::chrono::minutes(30));
  EXPECT_EQ(job->model.layers, 2u);
  EXPECT_EQ(job->model.hidden, 64u);
  EXPECT_EQ(job->model.tokenizer, "");
  EXPECT_EQ(job->data.scheme, PartitionScheme::kByFile);
  EXPECT_EQ(job->data.count, 2u);
  EXPECT_EQ(job->train.steps, 10u);
  EXPECT_EQ(job->train.batch_size, 16u);
  EXPECT_TRUE(job->strategy.weights_by_samples);
  EXPECT_EQ(job->transfer.chunk_bytes, 1_MiB);
  EXPECT_EQ(job->checkpoint.keep, 1u);
}

TEST(ParseJob, TheLastWordOnTheTokenizerCounts) {
  const auto parse = [](const std::string& tokenizer, const std::vector<Override>& overrides) {
    const auto job = ParseJob("name: j\nmodel: {family: gpt2" + tokenizer + "}\ndata: {name: d, format: text}\n", "job.yaml", overrides);
    EXPECT_TRUE(job.ok()) << job.error().message();
    return job.ok() ? job->model : Model();
  };
  const std::string object = "models/x.tokenizer@" + std::string(64, 'b');
  EXPECT_FALSE(parse("", {}).tokenizer_given);
  EXPECT_TRUE(parse(", tokenizer: bytes", {}).tokenizer_given);
  const Model carried = parse(", tokenizer: /srv/tok", {{"model.tokenizer", "object:" + object}});
  EXPECT_EQ(carried.tokenizer, "");
  EXPECT_EQ(carried.tokenizer_object, object);
  EXPECT_EQ(parse(", tokenizer: 'object:" + object + "'", {{"model.tokenizer", "/srv/tok"}}).tokenizer_object, "");
}

TEST(ParseJob, EveryKeyOfATextJob) {
  const auto job = ParseJob(R"(
name: all
rounds: 7
tasks: [validate, train]
participants: {min: 3, fraction: 0.5, quorum: 2, round_deadline: 90s, seed: 18446744073709551615}
model: {family: gpt2, size: medium, positions: 256, vocabulary: 300, tokenizer: /srv/tok, seed: 4}
data: {name: d, format: text, path: "/srv/with: colon", validation_fraction: 0.2,
       partition: {scheme: iid, count: 4, seed: 5}}
train: {mode: epoch, epochs: 2, batch_size: 4, gradient_accumulation: 3, loss: nll, learning_rate: 1e-3,
        schedule: constant, warmup: 8, weight_decay: 0.01, clip_norm: 0, max_length: 256, optimizer: sgd,
        precision: fp32, gradient_checkpointing: false, device: cpu, threads: 2, timeout: 1h}
strategy: {name: fedavg, weights: equal, same_init_model: true}
transfer: {mode: stream, chunk_bytes: 256KiB, encoding: native, delta: false, error_feedback: false,
           deduplicate: false, tensor_send_timeout: 5s, streaming_read_timeout: 250ms, communication_timeout: 2m}
checkpoint: {every: 5, keep: 3}
)", "job.yaml");
  ASSERT_TRUE(job.ok()) << job.error().message();
  EXPECT_TRUE(job->validate);
  EXPECT_EQ(job->participants.seed, 18446744073709551615u);
  EXPECT_DOUBLE_EQ(job->participants.fraction, 0.5);
  EXPECT_EQ(job->participants.round_deadline, std::chrono::seconds(90));
  EXPECT_EQ(job->model.layers, 24u);
  EXPECT_EQ(job->model.heads, 16u);
  EXPECT_EQ(job->model.hidden, 1024u);
  EXPECT_EQ(job->model.tokenizer, "/srv/tok");
  EXPECT_EQ(job->data.path, "/srv/with: colon");
  EXPECT_EQ(job->data.scheme, PartitionScheme::kIid);
  EXPECT_EQ(job->data.seed, 5u);
  EXPECT_EQ(job->train.gradient_accumulation, 3u);
  EXPECT_DOUBLE_EQ(job->train.learning_rate, 1e-3);
  EXPECT_EQ(job->train.schedule, "constant");
  EXPECT_EQ(job->train.optimizer, "sgd");
  EXPECT_EQ(job->train.timeout, std::chrono::hours(1));
  EXPECT_FALSE(job->strategy.weights_by_samples);
  EXPECT_FALSE(job->transfer.deduplicate);
  EXPECT_EQ(job->transfer.chunk_bytes, 256_KiB);
  EXPECT_EQ(job->transfer.streaming_read_timeout, Duration(250));
  EXPECT_EQ(job->checkpoint.every, 5u);
}

TEST(ParseJob, SyntheticJob) {
  const auto job = ParseJob(kBytes, "job.yaml", {{"model.fill", "tiled"}, {"model.distinct", "1MiB"},
                                                 {"model.dtype", "bf16"}});
  ASSERT_TRUE(job.ok()) << job.error().message();
  EXPECT_TRUE(job->synthetic());
  EXPECT_EQ(job->model.synthetic.bytes, 4_MiB);
  EXPECT_EQ(job->model.synthetic.fill, FillKind::kTiled);
  EXPECT_EQ(job->model.synthetic.distinct, 1_MiB);
  EXPECT_EQ(job->model.synthetic.dtype, tensor::DType::kBF16);
  EXPECT_EQ(job->data.format, "synthetic");
  EXPECT_EQ(job->participants.min, 2u);
}

TEST(ParseJob, SeatsFollowFromEitherOfCountAndMin) {
  EXPECT_EQ(ParseJob("name: a\nmodel: {family: synthetic, bytes: 1MiB}\nparticipants: {min: 3}\n", "f")->data.count, 3u);
  EXPECT_EQ(ParseJob("name: a\nmodel: {family: synthetic, bytes: 1MiB}\n", "f")->data.count, 1u);
}

TEST(ParseJob, SizesOfGpt2) {
  const auto layers = [](const std::string& size) {
    const auto job = ParseJob("name: a\nmodel: {family: gpt2, size: " + size +
                                  "}\ndata: {name: d, format: text}\n", "f");
    return std::vector<std::uint32_t>{job->model.layers, job->model.heads, job->model.hidden};
  };
  EXPECT_THAT(layers("small"), testing::ElementsAre(12, 12, 768));
  EXPECT_THAT(layers("large"), testing::ElementsAre(36, 20, 1280));
  EXPECT_THAT(layers("xl"), testing::ElementsAre(48, 25, 1600));
}

TEST(SelectedSeats, RoundsUpWithoutCountingBinaryDust) {
  const auto selected = [](double fraction, std::uint32_t seats) {
    Participants participants;
    participants.fraction = fraction;
    return SelectedSeats(participants, seats);
  };
  EXPECT_EQ(selected(1.0, 2), 2u);
  EXPECT_EQ(selected(0.1, 30), 3u);
  EXPECT_EQ(selected(0.5, 3), 2u);
  EXPECT_EQ(selected(0.001, 3), 1u);
  EXPECT_EQ(selected(1.0, 0), 0u);
}

TEST(SyntheticLayout, EqualTensorsAndTheLastTakesTheRemainder) {
  SyntheticModel model;
  model.bytes = 4 * 100;
  model.tensors = 3;
  const auto layout = SyntheticLayout(model, 4096);
  ASSERT_TRUE(layout.ok());
  ASSERT_EQ(layout->tensors().size(), 3u);
  EXPECT_EQ(layout->tensors()[0].name, "tensor.0000");
  EXPECT_EQ(layout->tensors()[0].shape[0], 33u);
  EXPECT_EQ(layout->tensors()[2].name, "tensor.0002");
  EXPECT_EQ(layout->tensors()[2].shape[0], 34u);
  EXPECT_EQ(layout->total_bytes(), 400u);
}

TEST(SyntheticLayout, RefusesMoreTensorsThanElements) {
  SyntheticModel model;
  model.bytes = 8;
  model.tensors = 3;
  EXPECT_FALSE(SyntheticLayout(model, 4096).ok());
  model.tensors = 0;
  EXPECT_FALSE(SyntheticLayout(model, 4096).ok());
}

TEST(ReadJobFile, DeployedJobsAreAccepted) {
  const std::string folder = TRIBUTARY_SOURCE_DIR "/deploy/jobs";
  int jobs = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().extension() != ".yaml") continue;
    const auto job = ReadJobFile(entry.path());
    EXPECT_TRUE(job.ok()) << job.error().message();
    ++jobs;
  }
  EXPECT_GE(jobs, 2);
  const auto quickstart = ReadJobFile(folder + "/quickstart.yaml");
  ASSERT_TRUE(quickstart.ok());
  EXPECT_EQ(quickstart->name, "quickstart");
  EXPECT_EQ(quickstart->data.count, 2u);
  EXPECT_TRUE(quickstart->validate);
}

TEST(ReadJobFile, MissingFolderAndTooLargeAreNamed) {
  EXPECT_THAT(ReadJobFile("/nonexistent/job.yaml").error().message(), HasSubstr("/nonexistent/job.yaml"));
  EXPECT_EQ(ReadJobFile("/nonexistent/job.yaml").error().code(), Code::kNotFound);
  EXPECT_FALSE(ReadJobFile("/").ok());
  const TempDirectory directory;
  const std::string path = directory.Write("large.yaml", std::string(kMaxJobBytes + 1, '#'));
  EXPECT_THAT(ReadJobFile(path).error().message(), HasSubstr("larger than 1048576 bytes"));
}

TEST(ParseJob, TellsWhichTimeoutsItNames) {
  const std::string job = "name: a\nmodel: {family: synthetic, bytes: 4KiB}\n";
  const auto none = ParseJob(job, "job.yaml");
  ASSERT_TRUE(none.ok()) << none.error().message();
  EXPECT_FALSE(none->transfer.names_tensor_send_timeout || none->transfer.names_streaming_read_timeout ||
               none->transfer.names_communication_timeout || none->transfer.names_streaming_ack_wait);
  // Also one that is given its default.
  const auto some = ParseJob(job + "transfer: {tensor_send_timeout: 30s, streaming_ack_wait: 1m}\n", "job.yaml");
  ASSERT_TRUE(some.ok()) << some.error().message();
  EXPECT_TRUE(some->transfer.names_tensor_send_timeout && some->transfer.names_streaming_ack_wait);
  EXPECT_FALSE(some->transfer.names_streaming_read_timeout || some->transfer.names_communication_timeout);
}

TEST(ParseJob, Encodings) {
  const std::string job = "name: a\nmodel: {family: synthetic, bytes: 4KiB}\ntransfer: {encoding: ";
  for (const char* name : {"native", "fp16", "bf16", "int8", "nf4"}) {
    const auto parsed = ParseJob(job + name + "}\n", "job.yaml");
    ASSERT_TRUE(parsed.ok()) << parsed.error().message();
    EXPECT_EQ(tensor::EncodingName(parsed->transfer.encoding), name);
    EXPECT_FALSE(parsed->transfer.delta || parsed->transfer.error_feedback);
  }
  for (const char* name : {"native", "fp16", "bf16", "int8", "nf4"}) {
    const auto parsed = ParseJob(job + "native, broadcast: " + name + "}\n", "job.yaml");
    ASSERT_TRUE(parsed.ok()) << parsed.error().message();
    EXPECT_EQ(tensor::EncodingName(parsed->transfer.broadcast), name);
    EXPECT_EQ(parsed->transfer.encoding, tensor::Encoding::kNative);
  }
  const auto both = ParseJob(job + "nf4, delta: true, error_feedback: true}\n", "job.yaml");
  ASSERT_TRUE(both.ok()) << both.error().message();
  EXPECT_TRUE(both->transfer.delta && both->transfer.error_feedback);
}

TEST(ParseJob, EveryFormatOfTextWithItsKeys) {
  const std::string head = "name: a\nmodel: {family: gpt2}\ndata: {name: d, format: ";
  const auto imdb = ParseJob(head + "imdb, samples: 2000, validation_samples: 100, partition: {scheme: dirichlet, alpha: 0.3, count: 4}}\n", "f");
  ASSERT_TRUE(imdb.ok()) << imdb.error().message();
  EXPECT_EQ(imdb->data.scheme, PartitionScheme::kDirichlet);
  EXPECT_EQ(imdb->data.alpha, 0.3);
  EXPECT_EQ(imdb->data.samples, 2000u);
  EXPECT_EQ(imdb->data.validation_samples, 100u);
  EXPECT_FALSE(imdb->data.packing.has_value());
  const auto alpaca = ParseJob(head + "alpaca, packing: true, loss_on: all}\n", "f");
  ASSERT_TRUE(alpaca.ok()) << alpaca.error().message();
  EXPECT_EQ(alpaca->data.packing, true);
  EXPECT_EQ(alpaca->data.loss_on, "all");
  const auto csv = ParseJob(head + "csv, text_key: body, packing: false}\n", "f");
  ASSERT_TRUE(csv.ok()) << csv.error().message();
  EXPECT_EQ(csv->data.text_key, "body");
  EXPECT_EQ(csv->data.packing, false);
  EXPECT_TRUE(ParseJob(head + "jsonl, loss_on: completion}\n", "f").ok());
  EXPECT_TRUE(imdb->reads_data());
}

}  // namespace
}  // namespace tributary::job
