#include "services/trainer/local_data.h"

#include "tributary/json/json.h"

namespace tributary::trainer {
namespace {

Result<corpus::PartitionScheme> SchemeOf(job::PartitionScheme scheme) {
  switch (scheme) {
    case job::PartitionScheme::kIid: return corpus::PartitionScheme::kIid;
    case job::PartitionScheme::kByFile: return corpus::PartitionScheme::kByFile;
    case job::PartitionScheme::kDirichlet: break;
  }
  return MakeError(Code::kInvalidArgument, "text cannot be partitioned by scheme dirichlet, which needs labels; use iid or by-file");
}

}  // namespace

Result<const corpus::Corpus*> LocalData::Open(const job::Job& job, std::uint32_t ordinal) {
  const auto path = identity_.data.find(job.data.name);
  if (path == identity_.data.end()) {
    return MakeError(Code::kNotFound, "site '{}' has no data named '{}', which the job asks for; start its trainer with --data {}=PATH",
                     identity_.site, job.data.name, job.data.name);
  }
  corpus::CorpusOptions options;
  options.name = job.data.name;
  options.path = path->second;
  options.format = job.data.format;
  TRIBUTARY_ASSIGN(options.scheme, SchemeOf(job.data.scheme));
  options.partition = ordinal;
  options.partitions = job.data.count;
  options.seed = job.data.seed;
  options.validation_fraction = job.data.validation_fraction;
  options.max_length = job.train.max_length;
  const std::string key =
      fmt::format("{}\n{}\n{}\n{}\n{}\n{}\n{}\n{}\n{}\n{}", options.name, options.path, options.format,
                  static_cast<int>(options.scheme), options.partition, options.partitions, options.seed,
                  options.validation_fraction, options.max_length, job.model.tokenizer);
  if (corpus_ != nullptr && key == key_) return corpus_.get();
  corpus_.reset();  // two partitions at once would be twice the memory
  TRIBUTARY_ASSIGN(tokenizer_, text::OpenTokenizer(job.model.tokenizer));
  TRIBUTARY_ASSIGN(corpus_, corpus::OpenCorpus(options, *tokenizer_));
  key_ = key;
  return corpus_.get();
}

Result<std::string> MakeConfigJson(const job::Model& model) {
  if (model.family == "resnet18") {
    OrderedJson config;
    config["model_type"] = "resnet";
    config["architectures"] = {"ResNet18"};
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
