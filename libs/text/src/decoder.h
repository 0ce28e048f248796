// From tokens back to text: the steps that a tokenizer.json names, in their order.
//
// Pure functions; any thread; they do not fail.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace tributary::text {

struct DecodeStep {
  enum Kind {
    kReplace,       // pattern by content, in each token
    kByteFallback,  // <0x41> is the byte 0x41
    kFuse,          // the tokens become one
    kStrip,         // `content`, up to start times in front and stop times behind
    kMetaspace      // pattern is a space; none from the first token where `first` is set
  } kind;
  std::string pattern;
  std::string content;
  std::size_t start = 0;
  std::size_t stop = 0;
  bool first = false;
};

struct DecodeMode {
  bool continues = false;        // text stands before: nothing is taken from its beginning
  bool replace_invalid = false;  // U+FFFD for each byte of a run of byte tokens that is not UTF-8
};

std::string DecodeTokens(const std::vector<DecodeStep>& steps, std::vector<std::string> tokens,
                         const DecodeMode& mode);

}  // namespace tributary::text
