// What the files of a tokenizer say, checked and out of their format.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "added_tokens.h"
#include "bpe.h"
#include "decoder.h"
#include "normalizer.h"
#include "pretokenizer.h"

namespace tributary::text {

struct TokenizerSpec {
  BpeTables model;
  std::vector<AddedToken> added;
  std::vector<NormalizerStep> normalizer;
  std::vector<SplitStep> pretokenizer;
  std::vector<DecodeStep> decoder;
  std::vector<std::int32_t> prefix;  // put around a text by add_special_tokens
  std::vector<std::int32_t> suffix;
  std::int32_t end_of_text = -1;
  std::int32_t bos = -1;
  std::int32_t eos = -1;
  std::int32_t pad = -1;
};

}  // namespace tributary::text
