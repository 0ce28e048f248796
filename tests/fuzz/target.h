// A fuzz target: one decoder that strangers' bytes reach, in libFuzzer's form.
//
// The same file serves libFuzzer (clang, -DTRIBUTARY_LIBFUZZER=ON: coverage-guided, for as long as one likes) and the tests, where driver.cc
// feeds it a fixed number of mutated seeds, the same ones each time. A target aborts when a promise is broken: what decodes must encode to
// what decodes the same.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <span>
#include <string>
#include <string_view>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace tributary::fuzz {

// Good inputs to begin from.
std::vector<std::string> Seeds();

inline std::span<const std::byte> Bytes(const std::uint8_t* data, std::size_t size) {
  return {reinterpret_cast<const std::byte*>(data), size};
}
inline std::string_view Text(const std::uint8_t* data, std::size_t size) { return {reinterpret_cast<const char*>(data), size}; }

inline void Promise(bool kept, const char* what) {
  if (kept) return;
  std::fprintf(stderr, "broken promise: %s\n", what);
  std::abort();
}

}  // namespace tributary::fuzz
