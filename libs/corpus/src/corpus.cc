#include "tributary/corpus/corpus.h"

#include <functional>

#include "partition.h"
#include "tributary/base/random.h"
#include "tributary/corpus/files.h"
#include "tributary/corpus/split.h"
#include "windows.h"

namespace tributary::corpus {
namespace {

constexpr std::uint32_t kMaxPartitions = 65536;
constexpr std::uint32_t kMaxLength = 1u << 20;

Status CheckOptions(const CorpusOptions& o) {
  if (o.format != "text") {
    return MakeError(Code::kInvalidArgument,
                     "data '{}': format '{}' is not supported; supported: text", o.name, o.format);
  }
  if (o.partitions == 0 || o.partitions > kMaxPartitions || o.partition >= o.partitions) {
    return MakeError(Code::kInvalidArgument,
                     "data '{}': partition {} of {} is not possible; partition.count is 1 to {}",
                     o.name, o.partition, o.partitions, kMaxPartitions);
  }
  if (!(o.validation_fraction >= 0 && o.validation_fraction < 1)) {
    return MakeError(Code::kInvalidArgument, "data '{}': validation_fraction {} is not in [0, 1)",
                     o.name, o.validation_fraction);
  }
  if (o.max_length == 0 || o.max_length > kMaxLength) {
    return MakeError(Code::kInvalidArgument, "data '{}': max_length {} is not in [1, {}]", o.name,
                     o.max_length, kMaxLength);
  }
  return Ok();
}

// The partition's share of one part of a file, by documents: most often a copy of some of them.
std::string Deal(std::string_view part, const CorpusOptions& o, std::uint64_t seed) {
  const auto documents = SplitDocuments(part);
  const auto partition_of = DealDocuments(documents.size(), o.partitions, seed);
  std::string share;
  for (std::size_t i = 0; i < documents.size(); ++i) {
    if (partition_of[i] == o.partition) share += documents[i];
  }
  return share;
}

// Gives the partition's text of each file in turn; one file is in memory at a time.
Status EachFile(const CorpusOptions& o,
                const std::function<Status(const TextFile&, SplitViews)>& take) {
  TRIBUTARY_TRY(CheckOptions(o));
  TRIBUTARY_ASSIGN(const auto files, ListTextFiles(o.path, o.name));
  const bool by_file = o.scheme == PartitionScheme::kByFile;
  const auto owner =
      by_file ? DealFiles(files, o.partitions, o.seed) : std::vector<std::uint32_t>();
  for (std::size_t i = 0; i < files.size(); ++i) {
    if (by_file && owner[i] != o.partition) continue;
    TRIBUTARY_ASSIGN(const std::string text, ReadTextFile(files[i]));
    SplitViews parts = SplitText(text, o.validation_fraction);
    std::string training;
    std::string validation;
    if (!by_file && o.partitions > 1) {
      training = Deal(parts.training, o, MixSeed(o.seed, i, 0));
      validation = Deal(parts.validation, o, MixSeed(o.seed, i, 1));
      parts = {training, validation};
    }
    TRIBUTARY_TRY(take(files[i], parts));
  }
  return Ok();
}

}  // namespace

Corpus::Corpus(std::uint32_t max_length, std::vector<std::string> files,
               std::shared_ptr<const TokenBuffer> training,
               std::shared_ptr<const TokenBuffer> validation)
    : max_length_(max_length),
      files_(std::move(files)),
      training_(std::move(training)),
      validation_(std::move(validation)) {}

std::uint64_t Corpus::TrainingWindows() const {
  return WholeWindows(training_->size(), max_length_);
}
std::uint64_t Corpus::TrainingTokens() const {
  return training_->size();
}
std::uint64_t Corpus::ValidationTokens() const {
  return validation_->size();
}
std::uint64_t Corpus::BatchesPerEpoch(std::uint32_t batch_size) const {
  return EpochBatches(TrainingWindows(), batch_size);
}

std::unique_ptr<train::BatchSource> Corpus::Training(const TrainingOrder& order) const {
  return MakeTrainingSource(training_, max_length_, order);
}

std::unique_ptr<train::BatchSource> Corpus::Validation(std::uint32_t batch_size,
                                                       std::uint64_t max_windows) const {
  return MakeValidationSource(validation_, max_length_, batch_size, max_windows);
}

Result<std::unique_ptr<Corpus>> OpenCorpus(const CorpusOptions& options,
                                           const text::Tokenizer& tokenizer) {
  auto training = std::make_shared<TokenBuffer>(tokenizer.VocabularySize());
  auto validation = std::make_shared<TokenBuffer>(tokenizer.VocabularySize());
  std::vector<std::string> files;
  const auto append = [&](TokenBuffer& to, std::string_view text) -> Status {
    if (text.empty()) return Ok();
    TRIBUTARY_TRY(to.Append(text, tokenizer, kMaxTokens));
    if (tokenizer.EndOfText() < 0) return Ok();
    return to.AppendId(tokenizer.EndOfText(), kMaxTokens);
  };
  TRIBUTARY_TRY(EachFile(options, [&](const TextFile& file, SplitViews parts) -> Status {
    if (parts.training.empty() && parts.validation.empty()) return Ok();
    files.push_back(file.path);
    for (const Status& status :
         {append(*training, parts.training), append(*validation, parts.validation)}) {
      if (!status.ok()) return status.error().Wrap(file.path);
    }
    return Ok();
  }));
  if (files.empty()) {
    return MakeError(Code::kInvalidArgument,
                     "data '{}': partition {} of {} gets no text out of {}; lower partition.count "
                     "or give more files with "
                     "--data {}=PATH",
                     options.name, options.partition, options.partitions, options.path,
                     options.name);
  }
  if (WholeWindows(training->size(), options.max_length) == 0) {
    return MakeError(Code::kInvalidArgument,
                     "data '{}': partition {} of {} has {} training tokens, fewer than one window "
                     "of max_length {} needs; "
                     "lower max_length or partition.count, or give more text with --data {}=PATH",
                     options.name, options.partition, options.partitions, training->size(),
                     options.max_length, options.name);
  }
  return std::make_unique<Corpus>(options.max_length, std::move(files), std::move(training),
                                  std::move(validation));
}

Result<PartitionText> ReadPartitionText(const CorpusOptions& options) {
  PartitionText text;
  TRIBUTARY_TRY(EachFile(options, [&](const TextFile&, SplitViews parts) -> Status {
    text.training += parts.training;
    text.validation += parts.validation;
    return Ok();
  }));
  return text;
}

}  // namespace tributary::corpus
