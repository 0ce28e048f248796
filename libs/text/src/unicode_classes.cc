#include "unicode_classes.h"

#include <algorithm>

namespace tributary::text {
namespace {

struct Range {
  char32_t first;
  char32_t last;
  std::uint8_t mask;
};
constexpr Range kRanges[] = {
#include "unicode_ranges.inc"
};

}  // namespace

ClassTable::ClassTable() {
  std::array<std::uint8_t, 256> block{};
  const Range* range = std::begin(kRanges);
  for (char32_t high = 0; high < index_.size(); ++high) {
    block.fill(0);
    const char32_t begin = high << 8;
    while (range != std::end(kRanges) && range->last < begin) ++range;
    for (const Range* r = range; r != std::end(kRanges) && r->first < begin + 256; ++r) {
      const char32_t first = std::max<char32_t>(r->first, begin);
      const char32_t last = std::min<char32_t>(r->last, begin + 255);
      std::fill(block.begin() + (first - begin), block.begin() + (last - begin) + 1, r->mask);
    }
    // ASCII stays the first block; most others are empty or all letters and are shared.
    const auto same = std::find(blocks_.begin(), blocks_.end(), block);
    index_[high] = static_cast<std::uint16_t>(same - blocks_.begin());
    if (same == blocks_.end()) blocks_.push_back(block);
  }
}

const ClassTable& ClassTable::Get() {
  static const ClassTable table;
  return table;
}

std::uint8_t FirstClass(std::string_view utf8) {
  return utf8.empty() ? 0 : ClassTable::Get().Of(DecodeUtf8(utf8.data()));
}

std::uint8_t LastClass(std::string_view utf8) {
  if (utf8.empty()) return 0;
  std::size_t at = utf8.size() - 1;
  while (at > 0 && (static_cast<std::uint8_t>(utf8[at]) & 0xC0) == 0x80) --at;
  return ClassTable::Get().Of(DecodeUtf8(utf8.data() + at));
}

}  // namespace tributary::text
