#include "services/trainer/local_data.h"

#include <algorithm>
#include <filesystem>
#include <utility>
#include <vector>

#include "tributary/corpus/files.h"
#include "tributary/json/json.h"

namespace tributary::trainer {
namespace {

namespace fs = std::filesystem;

corpus::PartitionScheme SchemeOf(job::PartitionScheme scheme) {
  switch (scheme) {
    case job::PartitionScheme::kDirichlet: return corpus::PartitionScheme::kDirichlet;
    case job::PartitionScheme::kByFile: return corpus::PartitionScheme::kByFile;
    case job::PartitionScheme::kIid: break;
  }
  return corpus::PartitionScheme::kIid;
}

// Names, sizes and times of a tokenizer's files: token files belong to one state of them.
std::string TokenizerKey(const std::string& path) {
  std::string key = path;
  std::error_code ec;
  std::vector<std::string> files;
  if (fs::is_directory(path, ec)) {
    for (const char* name : {"tokenizer.json", "vocab.json", "merges.txt", "encoder.json", "vocab.bpe", "tokenizer_config.json", "special_tokens_map.json",
                             "config.json"}) files.push_back(path + "/" + name);
  } else if (!path.empty()) {
    files.push_back(path);
  }
  for (const std::string& file : files) {
    if (const auto described = corpus::DescribeFile(file); described.ok()) {
      key += fmt::format("\n{} {} {}", file, described->bytes, described->modified_ns);
    }
  }
  return key;
}

corpus::CorpusOptions OptionsOf(const job::Job& job, std::uint32_t ordinal) {
  corpus::CorpusOptions options;
  options.name = job.data.name;
  options.format = job.data.format;
  options.scheme = SchemeOf(job.data.scheme);
  options.partition = ordinal;
  options.partitions = job.data.count;
  options.seed = job.data.seed;
  options.alpha = job.data.alpha;
  options.validation_fraction = job.data.validation_fraction;
  options.samples = job.data.samples;
  options.validation_samples = job.data.validation_samples;
  options.text_key = job.data.text_key;
  options.packing = job.data.packing;
  if (!job.data.loss_on.empty()) {
    options.loss_on = job.data.loss_on == "completion" ? corpus::LossOn::kCompletion : corpus::LossOn::kAll;
  }
  options.max_length = job.train.max_length;
  options.with_validation = job.validate;
  options.augment = job.data.augment;
  return options;
}

// Everything in the job that the open partition follows from.
std::string KeyOf(const job::Job& job, const corpus::CorpusOptions& o) {
  const int packing = o.packing ? *o.packing : -1;
  return fmt::format("{}\n{}\n{}\n{}\n{}\n{}\n{}\n{}\n{}\n{}\n{}\n{}\n{}\n{}\n{}\n{}\n{}\n{}", o.name, o.path, o.format,
                     static_cast<int>(o.scheme), o.partition, o.partitions, o.seed, o.alpha, o.validation_fraction, o.samples,
                     o.validation_samples, o.text_key.value_or(""), packing, job.data.loss_on, o.max_length, o.with_validation, o.augment,
                     o.tokenizer_key);
}

}  // namespace

Result<const corpus::Corpus*> LocalData::Open(const job::Job& job, std::uint32_t ordinal, session::TaskProgress& progress,
                                              std::stop_token stop) {
  corpus::CorpusOptions options = OptionsOf(job, ordinal);
  if (job.reads_data()) {
    const auto path = identity_.data.find(job.data.name);
    if (path == identity_.data.end()) {
      return MakeError(Code::kNotFound, "site '{}' has no data named '{}', which the job asks for; start its trainer with --data {}=PATH",
                       identity_.site, job.data.name, job.data.name);
    }
    options.path = path->second;
  }
  const bool images = corpus::IsImageFormat(options.format);
  if (!images) options.tokenizer_key = TokenizerKey(job.model.tokenizer);
  if (!identity_.work_dir.empty()) options.cache_directory = identity_.work_dir + "/tokens";
  const std::string key = KeyOf(job, options);
  if (corpus_ != nullptr && key == key_) return corpus_.get();
  corpus_.reset();
  bool told = false;
  options.on_progress = [&](std::uint64_t bytes) -> Status {
    if (stop.stop_requested()) return MakeError(Code::kCancelled, "stopped while tokenizing the data");
    if (!std::exchange(told, true)) progress.Phase("tokenize", 0, "bytes");
    progress.Done(bytes);
    return Ok();
  };
  if (images) {
    TRIBUTARY_ASSIGN(corpus_, corpus::OpenImages(options));
  } else {
    auto opened = text::OpenTokenizer(job.model.tokenizer);
    // One that came with the model lies at a place that nobody named.
    const bool carried = !job.model.source.empty() && (!job.model.tokenizer_given || !job.model.tokenizer_object.empty());
    if (!opened.ok()) return carried ? opened.error().Wrap("model.source: " + job.model.source) : opened.error();
    tokenizer_ = *std::move(opened);
    TRIBUTARY_ASSIGN(corpus_, corpus::OpenCorpus(options, *tokenizer_));
  }
  key_ = key;
  return corpus_.get();
}

Status CheckDataSuits(const job::Job& job, const train::Model& model) {
  if (!job.model.script.empty()) return Ok();  // what its forward takes is the user's affair
  const bool images = corpus::IsImageFormat(job.data.format);
  if (images == (model.MaxPositions() == 0)) return Ok();
  if (images) {
    return MakeError(Code::kInvalidArgument, "data.format {} gives images, and the model is a language model; give it text, imdb, alpaca, jsonl or csv, or choose another model",
                     job.data.format);
  }
  return MakeError(Code::kInvalidArgument, "data.format {} gives text, and the model classifies images; give it cifar10 or synthetic, or choose another model", job.data.format);
}

Result<std::string> MakeConfigJson(const job::Model& model) {
  if (model.family == "resnet18") {
    OrderedJson config;
    config["model_type"] = "resnet";
    config["architectures"] = {"ResNet18"};
    config["depths"] = {2, 2, 2, 2};
    config["hidden_sizes"] = {64, 128, 256, 512};
    config["layer_type"] = "basic";
    config["num_labels"] = model.classes;
    config["stem"] = model.stem;
    return config.dump(2) + "\n";
  }
  if (model.family != "gpt2") {
    return MakeError(Code::kInvalidArgument, "model.family '{}' has no architecture that is trained; expected gpt2 or resnet18", model.family);
  }
  TRIBUTARY_ASSIGN(const auto tokenizer, text::OpenTokenizer(model.tokenizer));
  const std::uint32_t vocabulary = model.vocabulary != 0 ? model.vocabulary : tokenizer->VocabularySize();
  if (vocabulary < tokenizer->VocabularySize()) {
    return MakeError(Code::kInvalidArgument, "model.vocabulary is {}, and the tokenizer has {} tokens; leave it out or raise it",
                     vocabulary, tokenizer->VocabularySize());
  }
  OrderedJson config;
  config["model_type"] = "gpt2";
  config["vocab_size"] = vocabulary;
  config["n_positions"] = model.positions;
  config["n_embd"] = model.hidden;
  config["n_layer"] = model.layers;
  config["n_head"] = model.heads;
  config["initializer_range"] = model.initializer_range;
  if (tokenizer->EndOfText() >= 0) {
    config["bos_token_id"] = tokenizer->EndOfText();
    config["eos_token_id"] = tokenizer->EndOfText();
  }
  return config.dump(2) + "\n";
}

}  // namespace tributary::trainer
