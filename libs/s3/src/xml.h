// Private: the texts of an S3 reply's elements, as they come from the network.
//
// Knows elements and the five entities, which is all that S3 replies are made of; declarations and comments are skipped and nothing is ever expanded.
// One element's text is held at a time, up to kMaxText; more of it is dropped and told as cut. One owner.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace tributary::s3 {

class XmlTexts {
 public:
  static constexpr std::size_t kMaxName = 64;
  static constexpr std::size_t kMaxText = 2048;  // a key has at most 1024 bytes
  // At the end of each element: its parent's name, its own, and what stood in it since the last tag.
  using Visit = std::function<void(std::string_view parent, std::string_view name, std::string_view text, bool cut)>;
  explicit XmlTexts(Visit visit) : visit_(std::move(visit)) {}

  void Feed(std::string_view bytes);

 private:
  void EndTag();
  void AddText(char c);

  Visit visit_;
  bool in_tag_ = false;
  bool cut_ = false;
  std::string tag_;
  std::string text_;
  std::size_t decoded_ = 0;  // bytes of text_ up to the last entity's meaning
  // The elements that are open, as far as anybody asks: the innermost and its parent.
  std::string parent_;
  std::string open_;
};

}  // namespace tributary::s3
