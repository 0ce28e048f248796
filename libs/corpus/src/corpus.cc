#include "tributary/corpus/corpus.h"

#include "images.h"
#include "sources.h"
#include "text_samples.h"
#include "token_cache.h"
#include "tributary/base/log.h"
#include "tributary/corpus/files.h"

namespace tributary::corpus {
namespace {

constexpr std::uint32_t kMaxPartitions = 65536;
constexpr std::uint32_t kMaxLength = 1u << 20;
constexpr const char* kSupported = "text, imdb, alpaca, jsonl, csv, cifar10, synthetic";

Error Unsuited(const CorpusOptions& o, std::string_view what) {
  return MakeError(Code::kInvalidArgument, "data '{}': {}", o.name, what);
}

Status CheckScheme(const CorpusOptions& o) {
  const bool labels = o.format == "imdb" || IsImageFormat(o.format);
  if (o.scheme == PartitionScheme::kDirichlet) {
    if (!labels) {
      return Unsuited(o, fmt::format("partition.scheme dirichlet deals by label, and format {} has "
                                     "none; use iid or by-file",
                                     o.format));
    }
    if (!(o.alpha >= 0.001 && o.alpha <= 1e6)) {
      return Unsuited(o, fmt::format("partition.alpha {} is not in [0.001, 1000000]", o.alpha));
    }
  }
  if (o.scheme == PartitionScheme::kByFile && (o.format == "imdb" || o.format == "synthetic")) {
    return Unsuited(o, fmt::format("partition.scheme by-file deals whole files, and format {} has "
                                   "{}; use iid or dirichlet",
                                   o.format, o.format == "imdb" ? "one for each review" : "none"));
  }
  return Ok();
}

Status CheckOptions(const CorpusOptions& o) {
  if (o.partitions == 0 || o.partitions > kMaxPartitions || o.partition >= o.partitions) {
    return Unsuited(o, fmt::format("partition {} of {} is not possible; partition.count is 1 to {}",
                                   o.partition, o.partitions, kMaxPartitions));
  }
  if (!(o.validation_fraction >= 0 && o.validation_fraction < 1)) {
    return Unsuited(o,
                    fmt::format("validation_fraction {} is not in [0, 1)", o.validation_fraction));
  }
  if (o.max_length == 0 || o.max_length > kMaxLength) {
    return Unsuited(o, fmt::format("max_length {} is not in [1, {}]", o.max_length, kMaxLength));
  }
  if (o.samples > 0 && o.format == "text") {
    return Unsuited(o, "samples counts documents, which format text is not made of; leave it out");
  }
  return CheckScheme(o);
}

Result<std::unique_ptr<DocumentSource>> OpenSource(const CorpusOptions& o) {
  TRIBUTARY_TRY(CheckOptions(o));
  if (o.format == "text") return OpenText(o, /*separate=*/!o.packing.value_or(true));
  if (o.format == "imdb") return OpenImdb(o);
  if (o.format == "alpaca" || o.format == "jsonl" || o.format == "csv") return OpenRecords(o);
  return Unsuited(
      o, IsImageFormat(o.format)
             ? fmt::format("format {} is images, and the model reads text", o.format)
             : fmt::format("format '{}' is not supported; supported: {}", o.format, kSupported));
}

Status NoSample(const CorpusOptions& o, const TokenForm& form, const PartitionTokens& tokens) {
  const std::uint64_t count = tokens.training->counts().tokens;
  if (form.packing) {
    return Unsuited(o,
                    fmt::format("partition {} of {} has {} training tokens, fewer than one window "
                                "of max_length {} needs; lower max_length or partition.count, or "
                                "give more text with --data {}=PATH",
                                o.partition, o.partitions, count, o.max_length, o.name));
  }
  return Unsuited(o, fmt::format("partition {} of {} has no document with a token to learn within "
                                 "max_length {}; raise max_length, or give other text with --data "
                                 "{}=PATH",
                                 o.partition, o.partitions, o.max_length, o.name));
}

class TextCollector final : public DocumentSink {
 public:
  Status Add(Part part, std::string_view text) override {
    (part == Part::kTraining ? text_.training : text_.validation) += text;
    return Ok();
  }
  Status End(Part) override { return Ok(); }
  Status AddPair(Part part, std::string_view prompt, std::string_view completion) override {
    TRIBUTARY_TRY(Add(part, prompt));
    return Add(part, completion);
  }
  PartitionText Take() { return std::move(text_); }

 private:
  PartitionText text_;
};

}  // namespace

bool IsImageFormat(const std::string& format) {
  return format == "cifar10" || format == "synthetic";
}

Result<std::unique_ptr<Corpus>> OpenCorpus(const CorpusOptions& o,
                                           const text::Tokenizer& tokenizer) {
  TRIBUTARY_ASSIGN(const auto source, OpenSource(o));
  if (o.loss_on == LossOn::kCompletion && !source->pairs()) {
    return Unsuited(o,
                    fmt::format("loss_on completion needs prompts and completions, and format {} "
                                "has none here; leave it out",
                                o.format));
  }
  TokenForm form;
  form.packing = o.packing.value_or(!source->pairs());
  form.mark_prompts =
      source->pairs() && o.loss_on.value_or(LossOn::kCompletion) == LossOn::kCompletion;
  form.max_length = o.max_length;
  form.with_validation = o.with_validation;
  TRIBUTARY_ASSIGN(const auto tokens, OpenTokens(o, form, *source, tokenizer));
  if (tokens.left_out > 0) {
    log::Warning(
        "data '{}': {} documents have no token to learn within max_length {} and are left out",
        o.name, tokens.left_out, o.max_length);
  }
  std::shared_ptr<const Samples> training;
  std::shared_ptr<const Samples> validation;
  if (form.packing) {
    training = MakeWindows(tokens.training, o.max_length, /*whole=*/true);
    validation = MakeWindows(tokens.validation, o.max_length, /*whole=*/false);
  } else {
    training = MakeRows(tokens.training, o.max_length);
    validation = MakeRows(tokens.validation, o.max_length);
  }
  if (training->size() == 0) return NoSample(o, form, tokens).error();
  return std::make_unique<Corpus>(std::move(training), std::move(validation), o.validation_samples);
}

Result<std::unique_ptr<Corpus>> OpenImages(const CorpusOptions& o) {
  TRIBUTARY_TRY(CheckOptions(o));
  if (!IsImageFormat(o.format)) {
    return Unsuited(o, fmt::format("format {} is text, and the model reads images; use cifar10 or "
                                   "synthetic",
                                   o.format));
  }
  TRIBUTARY_ASSIGN(auto images, OpenImageSamples(o));
  return std::make_unique<Corpus>(std::move(images.training), std::move(images.validation),
                                  o.validation_samples);
}

Status LookForData(const std::string& format, const std::string& path, const std::string& name) {
  CorpusOptions options;
  options.path = path;
  options.name = name;
  if (format == "synthetic") return Ok();
  if (format == "imdb") return FindImdb(options).status();
  if (format == "cifar10") return ListCifar(options, 1).status();
  if (format == "text") return ListTextFiles(path, name, 1).status();
  return ListFiles(path, name, RecordKind(format), 1).status();
}

Result<PartitionText> ReadPartitionText(const CorpusOptions& options) {
  TRIBUTARY_ASSIGN(const auto source, OpenSource(options));
  TextCollector collector;
  TRIBUTARY_TRY(source->Deliver(collector));
  return collector.Take();
}

}  // namespace tributary::corpus
