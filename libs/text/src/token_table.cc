#include "token_table.h"

#include <bit>

namespace tributary::text {

TokenTable::TokenTable(const std::vector<std::string>& tokens) {
  slots_.resize(std::bit_ceil(2 * tokens.size() + 2));
  mask_ = slots_.size() - 1;
  begins_.reserve(tokens.size() + 1);
  begins_.push_back(0);
  for (const std::string& token : tokens) {
    bytes_ += token;
    begins_.push_back(static_cast<std::uint32_t>(bytes_.size()));
  }
  for (std::size_t id = 0; id < tokens.size(); ++id) {
    if (tokens[id].empty() || Find(tokens[id]) >= 0) continue;
    const std::uint64_t hash = HashBytes(tokens[id]);
    std::uint64_t at = hash & mask_;
    while (slots_[at].id >= 0) at = (at + 1) & mask_;
    slots_[at] = {static_cast<std::uint32_t>(hash >> 32), static_cast<std::int32_t>(id)};
  }
}

}  // namespace tributary::text
