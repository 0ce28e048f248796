// One seat's data as batches: text of several formats, and images.
//
// A partition's text is tokenized once, into files on disk (docs/data.md), and read from there
// batch by batch; images are read where they lie. Memory does not grow with the data: about 12 MiB
// while text is tokenized, then one batch and the order of an epoch (Permutation: at most 4 MiB);
// images also have 4 bytes for each. The validation part is never trained on, whatever the
// partitioning. Ownership: batch sources keep the open files alive and may outlive the Corpus.
// Threads: a Corpus is immutable; a source belongs to one thread. Failures come from opening and from
// Next; they name the file, and the line where there are lines.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "tributary/base/result.h"
#include "tributary/text/tokenizer.h"
#include "tributary/train/module.h"

namespace tributary::corpus {

enum class PartitionScheme : std::uint8_t { kIid, kDirichlet, kByFile };
enum class LossOn : std::uint8_t { kAll, kCompletion };

struct CorpusOptions {
  std::string name;  // as the job calls it; in errors
  std::string path;
  std::string format = "text";  // text, imdb, alpaca, jsonl, csv; cifar10, synthetic
  PartitionScheme scheme = PartitionScheme::kIid;
  std::uint32_t partition = 0;  // of `partitions`
  std::uint32_t partitions = 1;
  std::uint64_t seed = 1;  // of the dealing; the same at every site
  double alpha = 0.5;      // of dirichlet
  double validation_fraction = 0.1;
  std::uint64_t samples = 0;             // documents or images taken of all; 0: every one
  std::uint64_t validation_samples = 0;  // most that one validation looks at; 0: every one

  // Of text.
  std::optional<std::string> text_key;  // of jsonl and csv; unset: "text", or prompt and completion
  std::optional<bool> packing;    // unset: as the format has it
  std::optional<LossOn> loss_on;  // unset: completion where there are completions
  std::uint32_t max_length = 128;
  bool with_validation = true;  // false: validation text is left aside, not tokenized
  // Where token files are kept from one life of the process to the next; empty: nowhere, they are
  // in unnamed temporary files.
  std::string cache_directory;
  std::string tokenizer_key;  // tells one tokenizer's token files from another's

  bool augment = false;  // of images

  // Told the bytes of text that were tokenized so far, about every MiB; an error ends the opening.
  std::function<Status(std::uint64_t)> on_progress;
};

struct TrainingOrder {
  std::uint64_t seed = 1;
  std::uint32_t batch_size = 1;
  // Batches [first_batch, first_batch + batches) of an endless sequence of epochs, each shuffled by
  // seed and epoch number: with one seed for the job, a round goes on where the last one ended.
  // Batches that would run over the end of an epoch are left out of it, unless it has no other.
  std::uint64_t first_batch = 0;
  std::uint64_t batches = 0;
};

class Samples;

class Corpus {
 public:
  Corpus(std::shared_ptr<const Samples> training, std::shared_ptr<const Samples> validation,
         std::uint64_t validation_limit);

  // What FedAvg weights this partition by: windows where text is packed, else documents or images.
  std::uint64_t TrainingSamples() const;
  std::uint64_t ValidationSamples() const;
  // Tokens on disk; 0 for images.
  std::uint64_t TrainingTokens() const;
  std::uint64_t ValidationTokens() const;
  std::uint64_t BatchesPerEpoch(std::uint32_t batch_size) const;

  // REQUIRES: batch_size > 0
  std::unique_ptr<train::BatchSource> Training(const TrainingOrder& order) const;
  // Every validation sample once, in order; the rest of the last window is ignored targets.
  // `max_samples` (0: as the options say) takes that many, evenly spread. Ends at once where there
  // is no validation data.
  std::unique_ptr<train::BatchSource> Validation(std::uint32_t batch_size,
                                                 std::uint64_t max_samples = 0) const;

 private:
  std::shared_ptr<const Samples> training_;
  std::shared_ptr<const Samples> validation_;
  std::uint64_t validation_limit_;
};

// cifar10 and synthetic: no tokenizer is needed.
bool IsImageFormat(const std::string& format);

// Opens the partition, and tokenizes its text unless its token files are there. Errors: a path that
// is not there, an unknown format, options out of range, files that are not of the format, a
// partition without data, text too short for one sample. kCancelled and others from on_progress.
Result<std::unique_ptr<Corpus>> OpenCorpus(const CorpusOptions& options,
                                           const text::Tokenizer& tokenizer);
Result<std::unique_ptr<Corpus>> OpenImages(const CorpusOptions& options);

// Whether data of the format seems to lie at the path; a quick look for who starts trainers.
Status LookForData(const std::string& format, const std::string& path, const std::string& name);

// The partition's raw text, as OpenCorpus cuts it and without end-of-text tokens; a prompt and its
// completion follow one another. All of it is in memory: what a test measures against.
struct PartitionText {
  std::string training;
  std::string validation;
};
Result<PartitionText> ReadPartitionText(const CorpusOptions& options);

}  // namespace tributary::corpus
