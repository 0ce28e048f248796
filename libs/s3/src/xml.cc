#include "xml.h"

#include <array>
#include <utility>

namespace tributary::s3 {
namespace {

constexpr std::array<std::pair<std::string_view, char>, 5> kEntities = {
    {{"&amp;", '&'}, {"&lt;", '<'}, {"&gt;", '>'}, {"&quot;", '"'}, {"&apos;", '\''}}};

}  // namespace

void XmlTexts::Feed(std::string_view bytes) {
  for (const char c : bytes) {
    if (c == '<') {
      in_tag_ = true;
      tag_.clear();
    } else if (!in_tag_) {
      AddText(c);
    } else if (c == '>') {
      in_tag_ = false;
      EndTag();
    } else if (tag_.size() < kMaxName) {
      tag_.push_back(c);
    }
  }
}

void XmlTexts::AddText(char c) {
  if (text_.size() >= kMaxText) {
    cut_ = true;
    return;
  }
  text_.push_back(c);
  if (c != ';') return;
  for (const auto& [entity, meaning] : kEntities) {
    // "&amp;lt;" means "&lt;": what came of an entity begins no other.
    if (!text_.ends_with(entity) || text_.size() - entity.size() < decoded_) continue;
    text_.resize(text_.size() - entity.size());
    text_.push_back(meaning);
    decoded_ = text_.size();
    return;
  }
}

void XmlTexts::EndTag() {
  if (tag_.starts_with('/')) {
    const std::string_view name = std::string_view(tag_).substr(1);
    visit_(name == open_ ? parent_ : std::string_view(), name, text_, cut_);
    // Of what is around them only the name of the next one is known, when it opens; its parent's end needs none.
    open_ = std::exchange(parent_, {});
  } else if (!tag_.starts_with('?') && !tag_.starts_with('!') && !tag_.ends_with('/')) {
    parent_ = std::move(open_);
    open_ = tag_.substr(0, tag_.find_first_of(" \t\r\n"));
  }
  text_.clear();
  decoded_ = 0;
  cut_ = false;
}

}  // namespace tributary::s3
