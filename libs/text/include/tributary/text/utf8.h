// UTF-8 as Python reads it with errors='replace'.
//
// Text from files and models is hostile until checked: PCRE2 may only be given valid UTF-8. Pure
// functions on the caller's bytes; any thread; they do not fail.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace tributary::text {

bool IsValidUtf8(std::string_view bytes);

// One U+FFFD for each maximal invalid part, as Unicode recommends and Python does.
std::string ReplaceInvalidUtf8(std::string_view bytes);

// Length of the longest prefix that does not end inside a character: what can be printed now while
// the rest of a character is still to come. Invalid bytes count as complete.
std::size_t CompleteUtf8Prefix(std::string_view bytes);

// UTF-8 bytes of a code point below 0x110000.
std::string EncodeUtf8(char32_t code_point);

}  // namespace tributary::text
