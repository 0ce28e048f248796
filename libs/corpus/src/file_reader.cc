#include "file_reader.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

namespace tributary::corpus {
namespace {

constexpr std::size_t kBlockBytes = 256u << 10;

}  // namespace

Result<FileReader> FileReader::Open(const DataFile& what) {
  const int file = open(what.path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return ErrnoError(errno, what.path);
  (void)posix_fadvise(file, 0, 0, POSIX_FADV_SEQUENTIAL);
  return FileReader(file, what);
}

FileReader::FileReader(int file, const DataFile& what)
    : file_(file), path_(what.path), bytes_(what.bytes), block_(new char[kBlockBytes]) {}

FileReader::FileReader(FileReader&& other) noexcept
    : file_(std::exchange(other.file_, -1)),
      path_(std::move(other.path_)),
      bytes_(other.bytes_),
      at_(other.at_),
      block_(std::move(other.block_)) {}

FileReader::~FileReader() {
  if (file_ >= 0) close(file_);
}

Result<std::string_view> FileReader::Next() {
  const std::uint64_t wanted = std::min<std::uint64_t>(kBlockBytes, bytes_ - at_);
  if (wanted == 0) return std::string_view();
  ssize_t got;
  do {
    got = read(file_, block_.get(), wanted);
  } while (got < 0 && errno == EINTR);
  if (got < 0) return ErrnoError(errno, "reading " + path_);
  if (got == 0) {
    return MakeError(Code::kIo, "{}: {} of {} bytes could be read; is another program writing it?",
                     path_, at_, bytes_);
  }
  at_ += static_cast<std::uint64_t>(got);
  return std::string_view(block_.get(), static_cast<std::size_t>(got));
}

Result<std::string> ReadSmallFile(const std::string& path, std::uint64_t most) {
  TRIBUTARY_ASSIGN(const DataFile file, DescribeFile(path));
  if (file.bytes > most) {
    return MakeError(Code::kInvalidArgument, "{}: {} bytes is more than a document may have ({})",
                     path, file.bytes, most);
  }
  const int descriptor = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) return ErrnoError(errno, path);
  std::string text(file.bytes, '\0');
  std::size_t at = 0;
  while (at < text.size()) {
    const ssize_t got = read(descriptor, text.data() + at, text.size() - at);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) {
      const int reason = got < 0 ? errno : EIO;
      close(descriptor);
      return ErrnoError(reason, "reading " + path);
    }
    at += static_cast<std::size_t>(got);
  }
  close(descriptor);
  return text;
}

}  // namespace tributary::corpus
