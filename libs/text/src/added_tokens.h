// Tokens that are found in text as a whole, before anything is cut or merged: <|endoftext|> ...
//
// Matching is the reference's: leftmost, of those the longest; a match that is not wanted is passed
// over as a whole. Immutable after construction; any thread; does not fail. REQUIRES: valid UTF-8.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace tributary::text {

constexpr std::size_t kMaxAddedTokenBytes = 256;

struct AddedToken {
  std::string content;
  std::int32_t id = -1;
  bool special = false;
  bool single_word = false;  // only between characters that are no parts of words
  bool lstrip = false;       // takes the spaces before it
  bool rstrip = false;       // takes the spaces behind it
  bool normalized = false;   // looked for in normalized text
};

class AddedTokens {
 public:
  // What is looked for is the tokens' content.
  explicit AddedTokens(std::vector<AddedToken> tokens);

  // Calls `token` with the id of each token and `part` with each text between, in order.
  void Split(std::string_view text, bool parse_special,
             const std::function<void(std::int32_t)>& token,
             const std::function<void(std::string_view)>& part) const;

 private:
  struct Node {
    std::vector<std::pair<char, std::uint32_t>> children;  // sorted by byte
    std::int32_t token = -1;                               // index into tokens_
  };
  // Index of the longest token at the front of `text`, or -1.
  std::int32_t LongestAt(std::string_view text) const;

  std::vector<AddedToken> tokens_;
  std::vector<Node> nodes_;
  std::array<bool, 256> begins_{};
  bool any_text_ = false;  // a token that is not special
};

}  // namespace tributary::text
