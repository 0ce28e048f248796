// Where documents come from: a format's files, read in their order, this partition's documents
// handed on one after another. Nothing is kept: a source goes through its files each time it is
// asked.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "partition.h"
#include "tributary/base/result.h"
#include "tributary/corpus/corpus.h"

namespace tributary::corpus {

// A document or record larger than this is refused; `text`, which is read in pieces, has no bound.
constexpr std::uint64_t kMaxDocumentBytes = 16u << 20;

class DocumentSink {
 public:
  virtual ~DocumentSink() = default;
  // More of the document that `part` is at, and its end.
  virtual Status Add(Part part, std::string_view text) = 0;
  virtual Status End(Part part) = 0;
  // A whole document of two: what is asked, and what should be answered.
  virtual Status AddPair(Part part, std::string_view prompt, std::string_view completion) = 0;
};

class DocumentSource {
 public:
  virtual ~DocumentSource() = default;
  // Whether its documents are pairs of prompt and completion.
  virtual bool pairs() const = 0;
  // Names, sizes and times of its files: another text when the data changed.
  virtual std::string Fingerprint() const = 0;
  virtual Status Deliver(DocumentSink& sink) const = 0;
};

// `separate`: each document ends by itself; else `text` runs the documents of a file together.
Result<std::unique_ptr<DocumentSource>> OpenText(const CorpusOptions& options, bool separate);
Result<std::unique_ptr<DocumentSource>> OpenImdb(const CorpusOptions& options);
Result<std::unique_ptr<DocumentSource>> OpenRecords(const CorpusOptions& options);

// The files of `alpaca`, `jsonl` and `csv`.
FileKind RecordKind(const std::string& format);
// The directory with train/, and test/ where there is one.
Result<std::string> FindImdb(const CorpusOptions& options);

std::string FingerprintOf(const std::vector<DataFile>& files);
Error EmptyPartition(const CorpusOptions& options, std::string_view what, std::uint64_t items);

}  // namespace tributary::corpus
