// Reading one value of the tree: true when it is of the type and in the bounds. The error is written in one place,
// from the row of the schema (schema.cc).
#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <string_view>

#include "tree.h"
#include "tributary/base/units.h"

namespace tributary::job {

bool ReadUint64(const Node& node, std::uint64_t& out, std::uint64_t min = 0,
                std::uint64_t max = std::numeric_limits<std::uint64_t>::max());
bool ReadUint32(const Node& node, std::uint32_t& out, std::uint32_t min, std::uint32_t max);
bool ReadBool(const Node& node, bool& out);  // true or false alone
// Bounds inclusive; not-a-number and infinities are refused.
bool ReadDouble(const Node& node, double& out, double min, double max);
bool ReadBytes(const Node& node, std::uint64_t& out, std::uint64_t min, std::uint64_t max);
bool ReadDuration(const Node& node, Duration& out, Duration min, Duration max);
// Any scalar, at most `longest` bytes, not empty.
bool ReadText(const Node& node, std::string& out, std::size_t longest = 4096);
// A path segment: letters, digits, '.', '_', '-'.
bool ReadName(const Node& node, std::string& out);
// One of the words in "a|b|c".
bool ReadWord(const Node& node, std::string& out, std::string_view words);
bool IsWord(std::string_view word, std::string_view words);

}  // namespace tributary::job
