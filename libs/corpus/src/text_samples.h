// Samples out of token files.
#pragma once

#include <memory>

#include "samples.h"
#include "token_file.h"

namespace tributary::corpus {

// Packed text: sample i is the window of `max_length` tokens that begins at token i * max_length
// and predicts their successors. With `whole`, only windows that are full; else a last one may be
// shorter, its rest ignored.
std::shared_ptr<const Samples> MakeWindows(std::shared_ptr<const TokenFile> tokens,
                                           std::uint32_t max_length, bool whole);

// A document a row, of at most `max_length` predictions; rows are as long as the longest of their
// batch, their rest ignored.
std::shared_ptr<const Samples> MakeRows(std::shared_ptr<const TokenFile> tokens,
                                        std::uint32_t max_length);

}  // namespace tributary::corpus
