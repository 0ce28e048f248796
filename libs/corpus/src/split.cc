#include "tributary/corpus/split.h"

#include <algorithm>
#include <cmath>
#include <cstddef>

namespace tributary::corpus {
namespace {

constexpr std::size_t kNone = std::string_view::npos;

// The end of the first separator line "%" at or after `from` (a line start is looked for from
// there), or kNone.
std::size_t FortuneEnd(std::string_view text, std::size_t from) {
  for (std::size_t at = from; (at = text.find("%\n", at)) != kNone; ++at) {
    if (at == 0 || text[at - 1] == '\n') return at + 2;
  }
  return kNone;
}

std::size_t LineEnd(std::string_view text, std::size_t from) {
  const std::size_t newline = text.find('\n', from);
  return newline == kNone ? kNone : newline + 1;
}

// The end of the run of blank lines behind a paragraph.
std::size_t ParagraphEnd(std::string_view text, std::size_t from) {
  const std::size_t blank = text.find("\n\n", from);
  if (blank == kNone) return kNone;
  return std::min(text.find_first_not_of('\n', blank), text.size());
}

bool IsFortunes(std::string_view text) {
  return FortuneEnd(text, 0) != kNone;
}

}  // namespace

SplitViews SplitText(std::string_view text, double validation_fraction) {
  if (validation_fraction <= 0 || text.empty()) return {text, {}};
  const auto end_of_piece = IsFortunes(text) ? FortuneEnd : LineEnd;
  const double kept = static_cast<double>(text.size()) * (1.0 - validation_fraction);
  const auto wanted = static_cast<std::size_t>(std::max(0.0, std::floor(kept)));
  std::size_t cut = end_of_piece(text, wanted);
  if (cut == kNone || cut >= text.size()) {
    // The last piece is longer than the fraction: it is the validation part, if another is before
    // it.
    cut = 0;
    for (std::size_t end = end_of_piece(text, 0); end != kNone && end < text.size();
         end = end_of_piece(text, end)) {
      cut = end;
    }
    if (cut == 0) return {text, {}};
  }
  return {text.substr(0, cut), text.substr(cut)};
}

std::vector<std::string_view> SplitDocuments(std::string_view text) {
  const auto end_of_document = IsFortunes(text) ? FortuneEnd : ParagraphEnd;
  std::vector<std::string_view> documents;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(end_of_document(text, begin), text.size());
    documents.push_back(text.substr(begin, end - begin));
    begin = end;
  }
  return documents;
}

}  // namespace tributary::corpus
