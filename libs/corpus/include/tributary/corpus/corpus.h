// Causal language-model data from text files: one partition's tokens, cut into windows.
//
// A file's last part is for validation (split.h), so the two never overlap, whatever the
// partitioning. by-file deals whole files: each site has its own topics. iid deals documents. A
// window is max_length tokens that predict their successors; files follow one another in order of
// name, an end-of-text token (if the tokenizer has one) behind each. Memory: the partition's
// tokens, 2 bytes each (4 for a vocabulary above 65536), and one file's text while opening; more
// than kMaxTokens are refused. Ownership: sources keep the tokens alive, they may outlive the
// Corpus. Threads: a Corpus is immutable; a source belongs to one thread. Failures come from
// OpenCorpus and name the place.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "tributary/base/result.h"
#include "tributary/text/tokenizer.h"
#include "tributary/train/module.h"

namespace tributary::corpus {

constexpr std::uint64_t kMaxTokens = 1ull << 30;

enum class PartitionScheme : std::uint8_t { kIid, kByFile };

struct CorpusOptions {
  std::string name;  // as the job calls it; in errors
  std::string path;  // a file or a directory of text files
  std::string format = "text";
  PartitionScheme scheme = PartitionScheme::kIid;
  std::uint32_t partition = 0;  // of `partitions`
  std::uint32_t partitions = 1;
  std::uint64_t seed = 1;  // of the dealing; the same at every site
  double validation_fraction = 0.1;
  std::uint32_t max_length = 128;
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

class TokenBuffer;

class Corpus {
 public:
  Corpus(std::uint32_t max_length, std::vector<std::string> files,
         std::shared_ptr<const TokenBuffer> training,
         std::shared_ptr<const TokenBuffer> validation);

  // What FedAvg weights this partition by.
  std::uint64_t TrainingWindows() const;
  std::uint64_t TrainingTokens() const;
  std::uint64_t ValidationTokens() const;
  std::uint64_t BatchesPerEpoch(std::uint32_t batch_size) const;
  // The files that this partition has text of.
  const std::vector<std::string>& files() const { return files_; }

  // REQUIRES: batch_size > 0
  std::unique_ptr<train::BatchSource> Training(const TrainingOrder& order) const;
  // Every validation token once, in order; the rest of the last window is ignored targets.
  // `max_windows` (0: all) takes that many, evenly spread. Ends at once where there is no
  // validation text.
  std::unique_ptr<train::BatchSource> Validation(std::uint32_t batch_size,
                                                 std::uint64_t max_windows = 0) const;

 private:
  std::uint32_t max_length_;
  std::vector<std::string> files_;
  std::shared_ptr<const TokenBuffer> training_;
  std::shared_ptr<const TokenBuffer> validation_;
};

// Opens and encodes the partition. Errors: a path that is not there, an unknown format, options out
// of range, a partition without text, text too short for one window.
Result<std::unique_ptr<Corpus>> OpenCorpus(const CorpusOptions& options,
                                           const text::Tokenizer& tokenizer);

// The partition's raw text, as OpenCorpus cuts it and without end-of-text tokens: what a test
// measures against.
struct PartitionText {
  std::string training;
  std::string validation;
};
Result<PartitionText> ReadPartitionText(const CorpusOptions& options);

}  // namespace tributary::corpus
