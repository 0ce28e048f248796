// What a job file must not say: each refusal names file, line, key, what stood there and what was expected.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "jobs.h"
#include "tributary/job/job.h"

namespace tributary::job {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

std::string ErrorOf(const std::string& text) {
  const auto job = ParseJob(text, "job.yaml");
  EXPECT_FALSE(job.ok()) << text;
  if (job.ok()) return "";
  EXPECT_EQ(job.error().code(), Code::kInvalidArgument);
  EXPECT_EQ(job.error().message().find('\n'), std::string::npos);
  return job.error().message();
}

// The text job with one more key, or another value of one.
std::string With(const std::string& path, const std::string& value, const char* base = kText) {
  const auto job = ParseJob(base, "job.yaml", {{path, value}});
  EXPECT_FALSE(job.ok()) << path << "=" << value;
  return job.ok() ? "" : job.error().message();
}

TEST(Refusals, TheFormIsFileLineKeyGotExpected) {
  EXPECT_EQ(ErrorOf("name: a\nrounds: 0\n"), "job.yaml:2: rounds: got '0', expected a whole number of 1 to 1000000");
  EXPECT_EQ(ErrorOf("name: a\n\ntrain:\n  batch_size: many\n"),
            "job.yaml:4: train.batch_size: got 'many', expected a whole number of 1 to 65536");
}

TEST(Refusals, UnknownKeysWithTheNearest) {
  EXPECT_EQ(ErrorOf("name: a\nround: 2\n"), "job.yaml:2: round: unknown key; did you mean 'rounds'?");
  EXPECT_EQ(ErrorOf("train:\n  bach_size: 2\n"), "job.yaml:2: train.bach_size: unknown key; did you mean 'batch_size'?");
  EXPECT_EQ(ErrorOf("zzzzzz: 2\n"), "job.yaml:1: zzzzzz: unknown key");
  EXPECT_EQ(ErrorOf("train.steps: 2\n"), "job.yaml:1: train.steps: unknown key");
  EXPECT_THAT(ErrorOf("<<: {rounds: 2}\n"), HasSubstr("<<: unknown key"));
}

TEST(Refusals, WrongTypes) {
  EXPECT_EQ(ErrorOf("rounds: [2]\n"), "job.yaml:1: rounds: got a list, expected a whole number of 1 to 1000000");
  EXPECT_THAT(ErrorOf("rounds: {a: 2}\n"), HasSubstr("rounds: got a map"));
  EXPECT_THAT(ErrorOf("rounds:\n"), HasSubstr("rounds: got nothing"));
  EXPECT_THAT(ErrorOf("rounds: \"2\"\n"), HasSubstr("rounds: got '\"2\"'"));
  EXPECT_THAT(ErrorOf("rounds: 2.5\n"), HasSubstr("rounds: got '2.5'"));
  EXPECT_THAT(ErrorOf("rounds: 0x10\n"), HasSubstr("rounds: got '0x10'"));
  EXPECT_THAT(ErrorOf("train: 3\n"), HasSubstr("train: got '3', expected a map"));
  EXPECT_THAT(ErrorOf("train: [a]\n"), HasSubstr("train: got a list, expected a map"));
  EXPECT_THAT(ErrorOf("transfer: {deduplicate: yes}\n"), HasSubstr("got 'yes', expected true or false"));
  EXPECT_THAT(ErrorOf("- a\n"), HasSubstr("job.yaml:1: got a list, expected a map"));
  EXPECT_THAT(ErrorOf(""), HasSubstr("got nothing"));
}

TEST(Refusals, AdaptersToStartFromWithoutAdapters) {
  EXPECT_THAT(With("adapter.source", "somewhere"), HasSubstr("adapter.source: got 'somewhere', expected it only with adapter.lora.r"));
  EXPECT_THAT(With("adapter.object", "models/a"), HasSubstr("adapter.object: got 'models/a', expected it only with adapter.lora.r"));
}

TEST(Refusals, ValuesOutOfBounds) {
  const std::vector<std::pair<std::string, std::vector<std::string>>> cases = {
      {"name", {"''", "../x", "a b", std::string(64, 'a')}},
      {"rounds", {"0", "-1", "1000001", "1e3", "18446744073709551616"}},
      {"tasks", {"[]", "[validate]", "[train, train]", "[train, test]", "train", "[[train]]"}},
      {"participants.min", {"0", "65537"}},
      {"participants.fraction", {"0", "1.1", "-0.5", "nan", "inf"}},
      {"participants.quorum", {"0"}},
      {"participants.round_deadline", {"30", "0", "1ms", "800h", "soon"}},
      {"participants.seed", {"-1", "x"}},
      {"model.family", {"gpt3", "llama", "[]"}},
      {"model.layers", {"0", "1025"}},
      {"model.heads", {"0"}},
      {"model.hidden", {"0"}},
      {"model.positions", {"1"}},
      {"model.initializer_range", {"0", "2", "nan"}},
      {"model.tokenizer", {"''", "'object:'", "object:models/x", "object:models/x@abc", "'object:../x@" + std::string(64, 'a') + "'",
                            "'object:models/x@" + std::string(64, 'A') + "'"}},
      {"data.name", {"a/b", "''"}},
      {"data.partition.scheme", {"by-magic"}},
      {"data.partition.count", {"0"}},
      {"data.partition.alpha", {"0", "-1", "nan"}},
      {"data.format", {"parquet", "[]"}},
      {"data.text_key", {"''"}},
      {"data.packing", {"yes", "1"}},
      {"data.loss_on", {"prompt"}},
      {"data.samples", {"-1", "1e6", "1000000000001"}},
      {"data.validation_samples", {"-1"}},
      {"data.augment", {"maybe"}},
      {"data.validation_fraction", {"-0.1", "1"}},
      {"train.mode", {"steps"}},
      {"train.steps", {"0"}},
      {"train.batch_size", {"0"}},
      {"train.gradient_accumulation", {"0"}},
      {"train.learning_rate", {"0", "-1", "nan"}},
      {"train.weight_decay", {"-1"}},
      {"train.clip_norm", {"-1"}},
      {"train.max_length", {"1"}},
      {"train.optimizer", {"lion"}},
      {"train.schedule", {"linear"}},
      {"train.threads", {"0"}},
      {"strategy.name", {"fedprox"}},
      {"strategy.weights", {"loss"}},
      {"transfer.chunk_bytes", {"4095", "5MiB", "big"}},
      {"transfer.tensor_send_timeout", {"0", "1"}},
      {"checkpoint.keep", {"0"}},
  };
  for (const auto& [path, values] : cases) {
    for (const std::string& value : values) {
      EXPECT_THAT(With(path, value), AllOf(StartsWith("--set " + path + ": got "), HasSubstr("expected ")));
    }
  }
}

TEST(Refusals, ValuesThatAreImpossibleTogether) {
  EXPECT_THAT(With("participants.quorum", "3"),
              AllOf(StartsWith("--set participants.quorum: got '3'"), HasSubstr("at most 2")));
  EXPECT_THAT(With("participants.min", "3"), HasSubstr("at most data.partition.count (2)"));
  EXPECT_THAT(With("participants", "{fraction: 0.5, quorum: 2}"), HasSubstr("participants.quorum: got '2', expected at most 1"));
  EXPECT_THAT(With("model.heads", "5"), HasSubstr("heads (5) that divide hidden (64)"));
  EXPECT_THAT(With("model.size", "small"), HasSubstr("either it or model.size"));
  EXPECT_THAT(With("train.steps", "null"),
              AllOf(StartsWith("job.yaml:5: train.steps: got nothing"), HasSubstr("train.mode is step")));
  EXPECT_THAT(With("train.mode", "epoch"), HasSubstr("it only with train.mode: step"));
  EXPECT_THAT(With("train.epochs", "2"), HasSubstr("it only with train.mode: epoch"));
  EXPECT_THAT(With("train.warmup", "31"), HasSubstr("at most rounds x steps (30)"));
  EXPECT_THAT(With("train.max_length", "129"), HasSubstr("at most model.positions (128)"));
  EXPECT_THAT(With("data.format", "synthetic"), HasSubstr("expected text, imdb, alpaca, jsonl or csv, since the model reads text"));
  EXPECT_THAT(ParseJob(kText, "f", {{"tasks", "[train, validate]"}, {"data.validation_fraction", "0"}}).error().message(),
              HasSubstr("more than 0, since tasks has validate"));
}

TEST(Refusals, KeysOfDataThatTheFormatHasNoUseFor) {
  const auto refused = [](const std::string& data, const std::string& words) {
    const std::string text = "name: a\nmodel: {family: gpt2}\ndata:\n  name: d\n" + data;
    EXPECT_THAT(ErrorOf(text), AllOf(StartsWith("job.yaml:"), HasSubstr(words))) << data;
  };
  refused("  format: cifar10\n", "data.format: got 'cifar10', expected text, imdb, alpaca, jsonl or csv, since the model reads text");
  refused("  format: text\n  text_key: body\n", "data.text_key: got 'body', expected it only with data.format jsonl or csv");
  refused("  format: imdb\n  loss_on: completion\n", "data.loss_on: got 'completion', expected completion only with data.format alpaca");
  refused("  format: text\n  samples: 5\n", "data.samples: got '5', expected it left out");
  refused("  format: csv\n  augment: true\n", "data.augment: got 'true', expected it only with data.format cifar10 or synthetic");
  refused("  format: alpaca\n  partition: {scheme: dirichlet}\n",
          "data.partition.scheme: got 'dirichlet', expected iid or by-file: data.format alpaca has no labels to deal by");
  refused("  format: imdb\n  partition: {scheme: by-file}\n",
          "data.partition.scheme: got 'by-file', expected iid or dirichlet: data.format imdb has a file for each review");
  refused("  format: imdb\n  partition: {alpha: 0.3}\n", "data.partition.alpha: got '0.3', expected it only with data.partition.scheme: dirichlet");
}

TEST(Refusals, OfSyntheticJobs) {
  EXPECT_THAT(With("model.bytes", "null", kBytes), HasSubstr("job.yaml:3: model.bytes: got nothing, expected a size"));
  EXPECT_THAT(With("model.bytes", "0", kBytes), HasSubstr("got '0', expected a size"));
  EXPECT_THAT(With("model.bytes", "4097", kBytes), HasSubstr("a multiple of 4"));
  EXPECT_THAT(With("model.bytes", "8", kBytes), HasSubstr("model.tensors: got '3', expected at most 2"));
  EXPECT_THAT(With("model.fill", "tiled", kBytes), HasSubstr("model.distinct: got nothing"));
  EXPECT_THAT(With("model.distinct", "1MiB", kBytes), HasSubstr("it only with fill: tiled"));
  EXPECT_THAT(With("model.dtype", "i64", kBytes), HasSubstr("which is not in this release, expected f32, f16 or bf16"));
  EXPECT_THAT(With("model.layers", "2", kBytes), HasSubstr("does not apply to model.family synthetic"));
  EXPECT_THAT(With("train.steps", "2", kBytes), HasSubstr("does not apply to model.family synthetic"));
  EXPECT_THAT(With("model.bytes", "1MiB", kText), HasSubstr("does not apply to model.family gpt2"));
  EXPECT_THAT(With("tasks", "[train, validate]", kBytes), HasSubstr("nothing to validate"));
  EXPECT_THAT(With("data.format", "text", kBytes), HasSubstr("synthetic, as the model is"));
}

TEST(Refusals, MissingKeysNameTheSectionTheyBelongTo) {
  EXPECT_EQ(ErrorOf("rounds: 2\n"), "job.yaml:1: name: got nothing, expected 1 to 63 letters, digits, '.', '_' or '-', "
                                    "beginning with a letter or digit");
  EXPECT_EQ(ErrorOf("name: a\nmodel: {seed: 2}\n"), "job.yaml:2: model.family: got nothing, expected gpt2, resnet18 or synthetic");
  EXPECT_THAT(ErrorOf("name: a\nmodel: {family: gpt2}\n"), HasSubstr("data.name: got nothing"));
  EXPECT_THAT(ErrorOf("name: a\nmodel: {family: gpt2}\ndata: {name: d}\n"),
              HasSubstr("job.yaml:3: data.format: got nothing, expected text"));
}

TEST(Refusals, FeaturesThatAreNotInThisReleaseSayWhatIs) {
  const std::vector<std::vector<std::string>> cases = {
      {"adapter.lora.alpha", "8", "expected it only with adapter.lora.r"},
      {"adapter.lora", "{r: 8, targets: []}", "expected a list of layers"},
      {"adapter", "{lora: {r: 8}, base: {double_quantization: true}}", "expected it only with adapter.base.quantization: nf4"},
      {"model.source", "/srv/gpt2", "expected either it or model.family, not both"},
      {"model.format", "numpy", "which is not in this release, expected pytorch"},
      {"model.stem", "imagenet", "expected it only with model.family: resnet18"},
      {"train.precision", "fp8", "got 'fp8', expected fp32 or bf16"},
      {"train.gradient_checkpointing", "maybe", "expected true or false"},
      {"train.device", "tpu", "expected auto, cpu or cuda"},
      {"train.loss", "mse", "expected nll"},
      {"strategy.same_init_model", "false", "which is not in this release, expected true"},
      {"transfer.mode", "bulk", "got 'bulk', expected stream, container, file or regular"},
      {"transfer.encoding", "fp8", "got 'fp8', expected native, fp16, bf16, int8 or nf4"},
      {"transfer.delta", "true", "expected it only with a transfer.encoding that loses something"},
      {"transfer.error_feedback", "true", "expected it only with a transfer.encoding that loses something"},
      {"transfer.error_feedback", "yes", "expected true or false"},
  };
  for (const auto& c : cases) EXPECT_THAT(With(c[0], c[1]), AllOf(HasSubstr(c[0]), HasSubstr(c[2])));
}

TEST(Refusals, YamlTraps) {
  EXPECT_THAT(ErrorOf("name: &a x\n"), HasSubstr("job.yaml:1: anchors (&name) are not allowed"));
  EXPECT_THAT(ErrorOf("a: &a [x]\nb: [*a, *a]\n"), HasSubstr("anchors"));
  EXPECT_THAT(ErrorOf("b: &b {x: 1}\n"), HasSubstr("anchors"));
  EXPECT_THAT(ErrorOf("name: a\nname: b\n"), HasSubstr("job.yaml:2: key 'name' stands twice"));
  EXPECT_THAT(ErrorOf("name: !!binary aGk=\n"), HasSubstr("tags are not allowed"));
  EXPECT_THAT(ErrorOf("name: " + std::string(5'000, '[') + std::string(5'000, ']') + "\n"),
              HasSubstr("nested deeper than 16"));
  std::string deep;
  for (int i = 0; i < 40; ++i) deep += std::string(static_cast<std::size_t>(i), ' ') + "a:\n";
  EXPECT_THAT(ErrorOf(deep), HasSubstr("nested deeper than 16"));
  EXPECT_THAT(ErrorOf("? [a]\n: b\n"), HasSubstr("a key must be a plain word"));
  EXPECT_THAT(ErrorOf("name: a\n---\nname: b\n"), HasSubstr("more than one YAML document"));
  EXPECT_THAT(ErrorOf("name: [a\n"), HasSubstr("not valid YAML"));
  EXPECT_THAT(ErrorOf("name: " + std::string(100'000, '[') + "\n"), HasSubstr("not valid YAML"));
  EXPECT_THAT(ErrorOf("name: a\n\trounds: 2\n"), HasSubstr("not valid YAML"));
  EXPECT_THAT(ErrorOf(std::string("name: a\0b\n", 10)), HasSubstr("zero byte"));
  EXPECT_THAT(ErrorOf(std::string(kMaxJobBytes + 1, '#')), HasSubstr("expected at most 1048576"));
  std::string many = "tasks: [";
  for (int i = 0; i < 20'000; ++i) many += "a,";
  EXPECT_THAT(ErrorOf(many + "a]\n"), HasSubstr("more than 10000 values"));
}

TEST(Refusals, ALongValueIsCutInTheError) {
  EXPECT_LT(ErrorOf("rounds: " + std::string(5000, '9') + "\n").size(), 250u);
}

TEST(Refusals, ABroadcastThatWouldMakeNothingSmaller) {
  const std::string job = "name: a\nmodel: {family: synthetic, bytes: 4KiB, dtype: bf16}\ntransfer:\n  broadcast: ";
  EXPECT_EQ(ErrorOf(job + "fp16\n"), "job.yaml:4: transfer.broadcast: got 'fp16', expected native, int8 or nf4: the model's BF16 numbers are no larger than that");
  EXPECT_THAT(ErrorOf(job + "fp8\n"), HasSubstr("job.yaml:4: transfer.broadcast: got 'fp8', expected native, fp16, bf16, int8 or nf4"));
  EXPECT_TRUE(ParseJob(job + "int8\n", "job.yaml").ok());
}

TEST(Refusals, ANormOfWholeWeights) {
  const std::string job = "name: a\nmodel: {family: synthetic, bytes: 4KiB}\nstrategy:\n  max_norm: ";
  EXPECT_EQ(ErrorOf(job + "2.5\n"), "job.yaml:4: strategy.max_norm: got '2.5', expected 0, or transfer.delta: true: the norm of whole weights is the model's own");
  EXPECT_THAT(ErrorOf(job + "-1\n"), HasSubstr("job.yaml:4: strategy.max_norm: got '-1', expected a number of 0 to 1e30; 0: any"));
  EXPECT_THAT(ErrorOf(job + ".inf\n"), HasSubstr("strategy.max_norm"));
  EXPECT_TRUE(ParseJob(job + "0\n", "job.yaml").ok());
  const auto set = ParseJob(job + "2.5\ntransfer: {encoding: int8, delta: true}\n", "job.yaml");
  ASSERT_TRUE(set.ok()) << set.error().message();
  EXPECT_EQ(set->strategy.max_norm, 2.5);
}

}  // namespace
}  // namespace tributary::job
