// A partition's token files: those that an earlier life of the process left, or new ones.
//
// With a directory they lie in DIRECTORY/KEY, KEY being a digest of everything that they follow
// from: options, tokenizer, names, sizes and times of the source files. They are written in a
// directory of another name that is renamed when all is there, so that a process killed at any
// instant leaves either whole files or files that the next one removes. One trainer uses one
// directory; it keeps the four partitions that were opened last. Without a directory the files
// have no name once they are open.
#pragma once

#include <memory>

#include "sources.h"
#include "token_file.h"
#include "token_sink.h"
#include "tributary/text/tokenizer.h"

namespace tributary::corpus {

struct PartitionTokens {
  std::shared_ptr<const TokenFile> training;
  std::shared_ptr<const TokenFile> validation;
  std::uint64_t left_out = 0;  // documents that gave no row
};

Result<PartitionTokens> OpenTokens(const CorpusOptions& options, const TokenForm& form,
                                   const DocumentSource& source, const text::Tokenizer& tokenizer);

}  // namespace tributary::corpus
