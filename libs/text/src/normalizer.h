// What is done to text before it is cut: Prepend and Replace, as Llama 2 needs them.
//
// Pure functions; any thread; they do not fail.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace tributary::text {

struct NormalizerStep {
  enum Kind { kPrepend, kReplace } kind;
  std::string pattern;  // of kReplace; not empty
  std::string content;
};

std::string ReplaceAll(std::string_view text, std::string_view pattern, std::string_view content);
// `prepend` false leaves the Prepend steps out: the text goes on from an earlier one.
std::string Normalize(const std::vector<NormalizerStep>& steps, std::string_view text,
                      bool prepend = true);

}  // namespace tributary::text
