#include "format.h"

#include <fmt/core.h>

#include <charconv>

namespace tributary::blob {

std::string ShardText(const Shard& shard) {
  return shard.count == 1 ? "a store of one shard" : fmt::format("shard {} of {}", shard.number, shard.count);
}

std::string FormatText(std::string_view version, const Shard& shard) {
  std::string text(version);
  if (shard.count > 1) text += ShardText(shard) + "\n";
  return text;
}

std::optional<Shard> ParseFormat(std::string_view version, std::string_view text) {
  if (!text.starts_with(version)) return std::nullopt;
  Shard shard;
  // "shard N of M\n": whatever else stands there shows when it is written again.
  std::string_view rest = text.substr(version.size());
  const auto number = [&rest](std::string_view before, std::uint32_t& value) {
    if (!rest.starts_with(before)) return;
    rest.remove_prefix(before.size());
    const char* end = std::from_chars(rest.data(), rest.data() + rest.size(), value).ptr;
    rest.remove_prefix(static_cast<std::size_t>(end - rest.data()));
  };
  number("shard ", shard.number);
  number(" of ", shard.count);
  if (!shard.valid() || FormatText(version, shard) != text) return std::nullopt;
  return shard;
}

}  // namespace tributary::blob
