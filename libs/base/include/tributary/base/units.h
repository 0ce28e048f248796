// Sizes and durations as people write them: 64MiB, 1GB, 30s, 5m.
//
// Bytes are uint64_t; durations are std::chrono::milliseconds. Parsing refuses what it does not
// know, with the text and an example in the error. Pure functions, any thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "tributary/base/result.h"

namespace tributary {

inline namespace literals {
constexpr std::uint64_t operator""_KiB(unsigned long long n) { return n << 10; }
constexpr std::uint64_t operator""_MiB(unsigned long long n) { return n << 20; }
constexpr std::uint64_t operator""_GiB(unsigned long long n) { return n << 30; }
}  // namespace literals

using Duration = std::chrono::milliseconds;

// "64MiB", "1.5GiB", "1GB" (decimal), "4096". Units: B, KB, MB, GB, TB, KiB, MiB, GiB, TiB.
Result<std::uint64_t> ParseBytes(std::string_view text);
// "250ms", "30s", "5m", "2h", "1.5s"; "0" is zero. Other bare numbers are refused.
Result<Duration> ParseDuration(std::string_view text);

std::string FormatBytes(std::uint64_t bytes);    // "1.5 GiB"
std::string FormatDuration(Duration duration);   // "250 ms", "3.2 s", "4 m 10 s"

}  // namespace tributary
