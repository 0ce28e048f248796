// Private: the text of a `format`, which says what wrote a directory or bucket and which shard of a store it belongs to.
//
// Pure functions. A text that is parsed comes from a disk or bucket and is hostile.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "tributary/blob/shard.h"

namespace tributary::blob {

// `version`, a line with its end, alone where there is one shard; else with a second line.
std::string FormatText(std::string_view version, const Shard& shard);
// Nothing unless FormatText gives this text for some shard.
std::optional<Shard> ParseFormat(std::string_view version, std::string_view text);
// "shard 1 of 2", or that there is one alone.
std::string ShardText(const Shard& shard);

}  // namespace tributary::blob
