#include "decoder.h"

#include <optional>

#include "normalizer.h"
#include "tributary/text/utf8.h"

namespace tributary::text {
namespace {

std::optional<int> HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return std::nullopt;
}

std::optional<char> ByteOf(const std::string& token) {
  if (token.size() != 6 || !token.starts_with("<0x") || token[5] != '>') return std::nullopt;
  const auto high = HexDigit(token[3]);
  const auto low = HexDigit(token[4]);
  if (!high || !low) return std::nullopt;
  return static_cast<char>(*high * 16 + *low);
}

std::vector<std::string> JoinBytes(std::vector<std::string> tokens, bool replace_invalid) {
  std::vector<std::string> out;
  std::string run;
  const auto flush = [&] {
    if (run.empty()) return;
    if (replace_invalid && !IsValidUtf8(run)) {
      std::string replaced;
      for (std::size_t i = 0; i < run.size(); ++i) replaced += "\xEF\xBF\xBD";
      run = std::move(replaced);
    }
    out.push_back(std::move(run));
    run.clear();
  };
  for (std::string& token : tokens) {
    if (const auto byte = ByteOf(token)) {
      run.push_back(*byte);
      continue;
    }
    flush();
    out.push_back(std::move(token));
  }
  flush();
  return out;
}

void Strip(std::string& token, const DecodeStep& step, bool front) {
  std::size_t begin = 0;
  for (std::size_t i = 0; front && i < step.start; ++i) {
    if (token.compare(begin, step.content.size(), step.content) != 0) break;
    begin += step.content.size();
  }
  token.erase(0, begin);
  for (std::size_t i = 0; i < step.stop && token.ends_with(step.content); ++i) {
    token.resize(token.size() - step.content.size());
  }
}

}  // namespace

std::string DecodeTokens(const std::vector<DecodeStep>& steps, std::vector<std::string> tokens,
                         const DecodeMode& mode) {
  bool fused = false;
  for (const DecodeStep& step : steps) {
    switch (step.kind) {
      case DecodeStep::kReplace:
        for (std::string& token : tokens) token = ReplaceAll(token, step.pattern, step.content);
        break;
      case DecodeStep::kByteFallback:
        tokens = JoinBytes(std::move(tokens), mode.replace_invalid);
        break;
      case DecodeStep::kFuse: {
        std::string all;
        for (const std::string& token : tokens) all += token;
        tokens = {std::move(all)};
        fused = true;
        break;
      }
      case DecodeStep::kStrip:
        // After Fuse the front is that of the whole text.
        for (std::string& token : tokens) Strip(token, step, !(fused && mode.continues));
        break;
      case DecodeStep::kMetaspace:
        for (std::size_t i = 0; i < tokens.size(); ++i) {
          const bool drop = i == 0 && step.first && !mode.continues;
          tokens[i] = ReplaceAll(tokens[i], step.pattern, drop ? "" : " ");
        }
        break;
    }
  }
  std::string text;
  for (const std::string& token : tokens) text += token;
  return text;
}

}  // namespace tributary::text
