#include "tributary/corpus/split.h"

#include <algorithm>
#include <cmath>
#include <cstddef>

#include "pieces.h"

namespace tributary::corpus {
namespace {

bool IsFortunes(std::string_view text) {
  return !PieceFinder(PieceKind::kFortune).Feed(text, [](std::uint64_t) { return false; });
}

}  // namespace

CutFinder::CutFinder(PieceKind kind, std::uint64_t bytes, double validation_fraction)
    : separator_bytes_(kind == PieceKind::kFortune ? 2 : 1), bytes_(bytes) {
  const double kept = static_cast<double>(bytes) * (1.0 - validation_fraction);
  wanted_ = static_cast<std::uint64_t>(std::max(0.0, std::floor(kept)));
}

bool CutFinder::Take(std::uint64_t end) {
  if (end >= bytes_) return true;
  last_ = end;
  // The first piece whose separator begins in the fraction that is held out.
  if (end - separator_bytes_ < wanted_) return true;
  cut_ = end;
  found_ = true;
  return false;
}

std::uint64_t CutFinder::cut() const {
  if (found_) return cut_;
  // The last piece is longer than the fraction: it is the validation part, if another is before it.
  return last_ == 0 ? bytes_ : last_;
}

SplitViews SplitText(std::string_view text, double validation_fraction) {
  if (validation_fraction <= 0 || text.empty()) return {text, {}};
  const PieceKind kind = IsFortunes(text) ? PieceKind::kFortune : PieceKind::kLine;
  CutFinder finder(kind, text.size(), validation_fraction);
  PieceFinder(kind).Feed(text, [&](std::uint64_t end) { return finder.Take(end); });
  const auto cut = static_cast<std::size_t>(finder.cut());
  return {text.substr(0, cut), text.substr(cut)};
}

std::vector<std::string_view> SplitDocuments(std::string_view text) {
  std::vector<std::string_view> documents;
  std::size_t begin = 0;
  const auto add = [&](std::uint64_t end) {
    documents.push_back(text.substr(begin, static_cast<std::size_t>(end) - begin));
    begin = static_cast<std::size_t>(end);
    return true;
  };
  PieceFinder(IsFortunes(text) ? PieceKind::kFortune : PieceKind::kParagraph).Feed(text, add);
  if (begin < text.size()) add(text.size());
  return documents;
}

}  // namespace tributary::corpus
