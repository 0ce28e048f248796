// A file from its beginning to its end, in blocks, with one block in memory.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "tributary/base/result.h"
#include "tributary/corpus/files.h"

namespace tributary::corpus {

class FileReader {
 public:
  static Result<FileReader> Open(const DataFile& file);
  FileReader(FileReader&& other) noexcept;
  FileReader& operator=(FileReader&&) = delete;
  ~FileReader();

  // The next block; empty at the end. It lives until the next call. kIo when the file is shorter
  // than it was when it was listed; what was added since is not read.
  Result<std::string_view> Next();

 private:
  FileReader(int file, const DataFile& what);

  int file_;
  std::string path_;
  std::uint64_t bytes_;
  std::uint64_t at_ = 0;
  std::unique_ptr<char[]> block_;
};

// The whole of a small file. kInvalidArgument above `most` bytes.
Result<std::string> ReadSmallFile(const std::string& path, std::uint64_t most);

}  // namespace tributary::corpus
