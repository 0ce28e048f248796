#include "added_tokens.h"

#include <algorithm>

#include "unicode_classes.h"

namespace tributary::text {
namespace {

bool IsSpace(std::uint8_t mask) {
  return (mask & kSpace) != 0;
}

std::size_t WithoutTrailingSpaces(std::string_view text) {
  while (IsSpace(LastClass(text))) {
    std::size_t at = text.size() - 1;
    while (at > 0 && (static_cast<std::uint8_t>(text[at]) & 0xC0) == 0x80) --at;
    text = text.substr(0, at);
  }
  return text.size();
}

std::size_t LeadingSpaces(std::string_view text) {
  std::size_t length = 0;
  while (IsSpace(FirstClass(text.substr(length)))) length += Utf8Length(text[length]);
  return length;
}

bool InsideWord(std::string_view text, std::size_t begin, std::size_t end) {
  return (LastClass(text.substr(0, begin)) & kWordPart) != 0 ||
         (FirstClass(text.substr(end)) & kWordPart) != 0;
}

}  // namespace

AddedTokens::AddedTokens(std::vector<AddedToken> tokens) : tokens_(std::move(tokens)), nodes_(1) {
  for (std::size_t i = 0; i < tokens_.size(); ++i) {
    any_text_ = any_text_ || !tokens_[i].special;
    begins_[static_cast<std::uint8_t>(tokens_[i].content[0])] = true;
    std::uint32_t node = 0;
    for (const char c : tokens_[i].content) {
      auto& children = nodes_[node].children;
      const auto place = std::lower_bound(children.begin(), children.end(), std::pair(c, 0u));
      if (place != children.end() && place->first == c) {
        node = place->second;
        continue;
      }
      const auto child = static_cast<std::uint32_t>(nodes_.size());
      children.emplace(place, c, child);
      nodes_.emplace_back();
      node = child;
    }
    if (nodes_[node].token < 0) nodes_[node].token = static_cast<std::int32_t>(i);
  }
}

std::int32_t AddedTokens::LongestAt(std::string_view text) const {
  std::int32_t longest = -1;
  std::uint32_t node = 0;
  for (const char c : text) {
    const auto& children = nodes_[node].children;
    const auto place = std::lower_bound(children.begin(), children.end(), std::pair(c, 0u));
    if (place == children.end() || place->first != c) break;
    node = place->second;
    if (nodes_[node].token >= 0) longest = nodes_[node].token;
  }
  return longest;
}

void AddedTokens::Split(std::string_view text, bool parse_special,
                        const std::function<void(std::int32_t)>& token,
                        const std::function<void(std::string_view)>& part) const {
  std::size_t done = 0;
  const bool any = !tokens_.empty() && (parse_special || any_text_);
  for (std::size_t at = 0; any && at < text.size();) {
    const std::int32_t found =
        begins_[static_cast<std::uint8_t>(text[at])] ? LongestAt(text.substr(at)) : -1;
    if (found < 0) {
      ++at;
      continue;
    }
    const AddedToken& match = tokens_[found];
    std::size_t begin = at;
    std::size_t end = at + match.content.size();
    at = end;
    if (match.special && !parse_special) continue;
    if (match.single_word && InsideWord(text, begin, end)) continue;
    if (match.lstrip) begin = std::max(WithoutTrailingSpaces(text.substr(0, begin)), done);
    if (match.rstrip) end += LeadingSpaces(text.substr(end));
    if (done < begin) part(text.substr(done, begin - done));
    token(match.id);
    done = end;
  }
  if (done < text.size()) part(text.substr(done));
}

}  // namespace tributary::text
