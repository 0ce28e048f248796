// GPT-2's way of writing bytes as printable characters: "Ġ" is a space.
//
// Pure functions; any thread; they do not fail.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace tributary::text {

// The bytes that a token of the alphabet stands for; none where a character is outside of it.
std::optional<std::string> BytesOfToken(std::string_view token);

}  // namespace tributary::text
