#include "normalizer.h"

namespace tributary::text {

std::string ReplaceAll(std::string_view text, std::string_view pattern, std::string_view content) {
  std::string out;
  out.reserve(text.size() + text.size() / 2);
  std::size_t done = 0;
  for (std::size_t at = text.find(pattern); at != std::string_view::npos;
       at = text.find(pattern, done)) {
    out.append(text, done, at - done);
    out.append(content);
    done = at + pattern.size();
  }
  out.append(text, done, text.size() - done);
  return out;
}

std::string Normalize(const std::vector<NormalizerStep>& steps, std::string_view text,
                      bool prepend) {
  std::string out(text);
  for (const NormalizerStep& step : steps) {
    if (step.kind == NormalizerStep::kReplace) {
      out = ReplaceAll(out, step.pattern, step.content);
    } else if (prepend && !out.empty()) {
      out.insert(0, step.content);
    }
  }
  return out;
}

}  // namespace tributary::text
