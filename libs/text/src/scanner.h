// The regular expressions that published byte-level tokenizers cut words with, by hand.
//
// Each function gives the end of the piece that the expression matches at the front of `text`; all
// of them match at every place, so pieces leave no gaps. A look-ahead sees the end of `text` as the
// end of everything. Pure functions on valid UTF-8; linear in the text; they do not fail.
#pragma once

#include <cstddef>
#include <string_view>

namespace tributary::text {

enum class WordPattern {
  kGpt2,    // contractions, " ?\p{L}+", " ?\p{N}+", the rest, spaces
  kLlama3,  // contractions in any case, up to three digits, line ends with what stands before them
  kQwen2    // as Llama 3 with each digit alone
};

// The pattern that a file spells, or nothing known.
bool KnownPattern(std::string_view expression, WordPattern* pattern);

// REQUIRES: !text.empty()
std::size_t PieceLength(WordPattern pattern, std::string_view text);

}  // namespace tributary::text
