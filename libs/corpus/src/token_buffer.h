// Token ids in memory, two bytes each where the vocabulary allows it.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <variant>
#include <vector>

#include "tributary/base/result.h"
#include "tributary/text/tokenizer.h"

namespace tributary::corpus {

class TokenBuffer {
 public:
  explicit TokenBuffer(std::uint32_t vocabulary);

  // Encodes in pieces that end at a line, so that only a small part stands in 4-byte ids at a time;
  // kResourceExhausted above `limit` tokens.
  Status Append(std::string_view text, const text::Tokenizer& tokenizer, std::uint64_t limit);
  Status AppendId(std::int32_t id, std::uint64_t limit);

  std::uint64_t size() const;
  // REQUIRES: begin + out.size() <= size()
  void Copy(std::uint64_t begin, std::span<std::int32_t> out) const;

 private:
  std::variant<std::vector<std::uint16_t>, std::vector<std::int32_t>> ids_;
};

}  // namespace tributary::corpus
