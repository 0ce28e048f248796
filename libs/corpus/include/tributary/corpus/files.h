// The files of a data directory, in one order that every site computes alike.
//
// Values and pure functions that look at the disk; any thread. Sizes in bytes. Errors name the path
// and the flag that gives another, `--data NAME=PATH`, with `name`.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "tributary/base/result.h"

namespace tributary::corpus {

// More than any file of text: a size that is a mistake.
constexpr std::uint64_t kMaxFileBytes = 1ull << 40;

struct DataFile {
  std::string path;
  std::uint64_t bytes = 0;
  std::int64_t modified_ns = 0;  // since the file clock's epoch: tells one content from the next
};

struct FileKind {
  std::string_view what;                     // "text file", "*.csv file"
  std::vector<std::string_view> extensions;  // ".csv"; empty: any name
  bool text = true;                          // a file with NUL bytes is not of this kind
};

// `path` is a file (of whatever name), or a directory whose regular files of this kind are listed
// by name. Its subdirectories are not entered, so links that lead in circles are never followed.
// Left out: hidden and empty files, files with a NUL in their first 8000 bytes where `kind.text` is
// set (fortune's *.dat and other binaries), links that lead nowhere, and symbolic links to a file
// that is listed already. It stops at `at_most` files, for who only asks whether there are any.
Result<std::vector<DataFile>> ListFiles(const std::string& path, const std::string& name,
                                        const FileKind& kind, std::size_t at_most = SIZE_MAX);

// Of any name, without NUL bytes.
Result<std::vector<DataFile>> ListTextFiles(const std::string& path, const std::string& name,
                                            std::size_t at_most = SIZE_MAX);

// One file as ListFiles would describe it; size and time only.
Result<DataFile> DescribeFile(const std::string& path);

}  // namespace tributary::corpus
