// The tokens of one part of a partition on disk, and where its rows begin.
//
// Two files: `tokens`, ids of 2 bytes (4 where the vocabulary is above 65536 or tokens carry a
// mark), and `rows`, 8 bytes for each document where documents are rows of their own, else empty.
// Numbers are in the machine's byte order: the files are never moved. A marked token is predicted
// without loss (it belongs to a prompt). Written from front to back, then read with pread, so that
// what is resident is the caller's buffer alone and a file that shrinks is an error, not a signal.
// A reader may be used by several threads; a writer belongs to one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "tributary/base/result.h"

namespace tributary::corpus {

// A descriptor that closes itself.
class Descriptor {
 public:
  explicit Descriptor(int file = -1) : file_(file) {}
  Descriptor(Descriptor&& other) noexcept;
  Descriptor& operator=(Descriptor&& other) noexcept;
  ~Descriptor();
  int get() const { return file_; }

 private:
  int file_;
};

struct TokenCounts {
  std::uint64_t tokens = 0;
  std::uint64_t rows = 0;
  bool operator==(const TokenCounts&) const = default;
};

constexpr std::int32_t kMarked = INT32_MIN;  // the highest bit of an id of 4 bytes

class TokenFile {
 public:
  // PATH.tokens and PATH.rows; kDataLoss where their sizes are not those of `counts`.
  static Result<std::shared_ptr<const TokenFile>> Open(const std::string& path, unsigned width,
                                                       const TokenCounts& counts);

  const TokenCounts& counts() const { return counts_; }
  // Ids with their marks. REQUIRES: begin + out.size() <= counts().tokens
  Status Read(std::uint64_t begin, std::span<std::int32_t> out) const;
  struct Row {
    std::uint64_t begin = 0;
    std::uint64_t end = 0;
  };
  // REQUIRES: row < counts().rows
  Result<Row> ReadRow(std::uint64_t row) const;

 private:
  TokenFile() = default;
  Status ReadAll(const Descriptor& file, void* out, std::size_t bytes, std::uint64_t offset) const;

  std::string path_;
  unsigned width_ = 2;
  TokenCounts counts_;
  Descriptor tokens_;
  Descriptor rows_;
};

class TokenFileWriter {
 public:
  static Result<TokenFileWriter> Create(const std::string& path, unsigned width);

  // REQUIRES: ids fit the width.
  Status Append(std::span<const std::int32_t> ids);
  // The next token begins a row.
  Status BeginRow();
  const TokenCounts& counts() const { return counts_; }
  Status Finish();

 private:
  class Output {
   public:
    Status Write(const void* data, std::size_t bytes, const std::string& path);
    Status Flush(const std::string& path);
    Descriptor file;

   private:
    std::vector<char> buffer_;
  };

  TokenFileWriter() = default;

  std::string path_;
  unsigned width_ = 2;
  TokenCounts counts_;
  Output tokens_;
  Output rows_;
};

}  // namespace tributary::corpus
