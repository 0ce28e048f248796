#include "token_buffer.h"

#include <algorithm>

namespace tributary::corpus {
namespace {

constexpr std::size_t kPieceBytes = 1u << 20;

}  // namespace

TokenBuffer::TokenBuffer(std::uint32_t vocabulary) {
  if (vocabulary > 65536) ids_.emplace<std::vector<std::int32_t>>();
}

Status TokenBuffer::Append(std::string_view text, const text::Tokenizer& tokenizer,
                           std::uint64_t limit) {
  for (bool continues = false; !text.empty(); continues = true) {
    std::size_t length = text.size();
    if (length > kPieceBytes) {
      const std::size_t newline = text.find('\n', kPieceBytes);
      if (newline != std::string_view::npos) length = newline + 1;
    }
    TRIBUTARY_ASSIGN(const auto ids, tokenizer.Encode(text.substr(0, length), {.continues = continues}));
    if (ids.size() > limit || size() > limit - ids.size()) {
      return MakeError(Code::kResourceExhausted,
                       "the text has more than {} tokens; use more partitions or less text", limit);
    }
    std::visit([&](auto& to) { to.insert(to.end(), ids.begin(), ids.end()); }, ids_);
    text.remove_prefix(length);
  }
  return Ok();
}

Status TokenBuffer::AppendId(std::int32_t id, std::uint64_t limit) {
  if (size() >= limit)
    return MakeError(Code::kResourceExhausted, "the text has more than {} tokens", limit);
  std::visit(
      [&](auto& to) {
        to.push_back(static_cast<typename std::decay_t<decltype(to)>::value_type>(id));
      },
      ids_);
  return Ok();
}

std::uint64_t TokenBuffer::size() const {
  return std::visit([](const auto& ids) { return static_cast<std::uint64_t>(ids.size()); }, ids_);
}

void TokenBuffer::Copy(std::uint64_t begin, std::span<std::int32_t> out) const {
  std::visit(
      [&](const auto& ids) {
        std::copy_n(ids.begin() + static_cast<std::ptrdiff_t>(begin), out.size(), out.begin());
      },
      ids_);
}

}  // namespace tributary::corpus
