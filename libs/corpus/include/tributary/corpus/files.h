// The text files of a data directory, in one order that every site computes alike.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "tributary/base/result.h"

namespace tributary::corpus {

// A file's text is in memory while it is cut and encoded, so its size is bounded.
constexpr std::uint64_t kMaxTextFileBytes = 1ull << 30;

struct TextFile {
  std::string path;
  std::uint64_t bytes = 0;
};

// `path` is a file, or a directory whose regular files (not those of its subdirectories) are listed
// by name. Left out there: hidden and empty files, files with a NUL in their first 8000 bytes
// (fortune's *.dat and other binaries), and symbolic links to a file that is listed already. Errors
// name the path and `--data NAME=PATH`, with `name`. It stops at `at_most` files, for who only asks whether there are any.
Result<std::vector<TextFile>> ListTextFiles(const std::string& path, const std::string& name,
                                            std::size_t at_most = SIZE_MAX);

Result<std::string> ReadTextFile(const TextFile& file);

}  // namespace tributary::corpus
