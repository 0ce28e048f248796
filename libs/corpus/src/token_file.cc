#include "token_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

namespace tributary::corpus {
namespace {

constexpr std::size_t kBufferBytes = 64u << 10;
constexpr std::size_t kIdsAtOnce = 1024;

Result<Descriptor> OpenFile(const std::string& path, int flags) {
  const int file = open(path.c_str(), flags | O_CLOEXEC, 0600);
  if (file < 0) return ErrnoError(errno, path);
  return Descriptor(file);
}

Status CheckSize(const Descriptor& file, std::uint64_t bytes, const std::string& path) {
  struct stat status;
  if (fstat(file.get(), &status) != 0) return ErrnoError(errno, path);
  if (static_cast<std::uint64_t>(status.st_size) != bytes) {
    return MakeError(Code::kDataLoss, "{}: has {} bytes and should have {}", path, status.st_size,
                     bytes);
  }
  return Ok();
}

}  // namespace

Descriptor::Descriptor(Descriptor&& other) noexcept : file_(std::exchange(other.file_, -1)) {}
Descriptor& Descriptor::operator=(Descriptor&& other) noexcept {
  std::swap(file_, other.file_);
  return *this;
}
Descriptor::~Descriptor() {
  if (file_ >= 0) close(file_);
}

Result<std::shared_ptr<const TokenFile>> TokenFile::Open(const std::string& path, unsigned width,
                                                         const TokenCounts& counts) {
  std::shared_ptr<TokenFile> file(new TokenFile());
  file->path_ = path;
  file->width_ = width;
  file->counts_ = counts;
  TRIBUTARY_ASSIGN(file->tokens_, OpenFile(path + ".tokens", O_RDONLY));
  TRIBUTARY_TRY(CheckSize(file->tokens_, counts.tokens * width, path + ".tokens"));
  TRIBUTARY_ASSIGN(file->rows_, OpenFile(path + ".rows", O_RDONLY));
  TRIBUTARY_TRY(CheckSize(file->rows_, counts.rows * sizeof(std::uint64_t), path + ".rows"));
  return std::shared_ptr<const TokenFile>(std::move(file));
}

Status TokenFile::ReadAll(const Descriptor& file, void* out, std::size_t bytes,
                          std::uint64_t offset) const {
  auto* at = static_cast<char*>(out);
  while (bytes > 0) {
    const ssize_t got = pread(file.get(), at, bytes, static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return ErrnoError(errno, "reading " + path_);
    if (got == 0) return MakeError(Code::kDataLoss, "{}: ends at byte {}", path_, offset);
    at += got;
    offset += static_cast<std::uint64_t>(got);
    bytes -= static_cast<std::size_t>(got);
  }
  return Ok();
}

Status TokenFile::Read(std::uint64_t begin, std::span<std::int32_t> out) const {
  if (width_ == 4) {
    return ReadAll(tokens_, out.data(), out.size() * 4, begin * 4);
  }
  std::array<std::uint16_t, kIdsAtOnce> ids;
  while (!out.empty()) {
    const std::size_t count = std::min(out.size(), ids.size());
    TRIBUTARY_TRY(ReadAll(tokens_, ids.data(), count * 2, begin * 2));
    std::copy_n(ids.begin(), count, out.begin());
    out = out.subspan(count);
    begin += count;
  }
  return Ok();
}

Result<TokenFile::Row> TokenFile::ReadRow(std::uint64_t row) const {
  std::array<std::uint64_t, 2> bounds = {0, counts_.tokens};
  const std::size_t stored = row + 1 < counts_.rows ? 2 : 1;
  TRIBUTARY_TRY(ReadAll(rows_, bounds.data(), stored * 8, row * 8));
  if (bounds[0] >= bounds[1] || bounds[1] > counts_.tokens) {
    return MakeError(Code::kDataLoss, "{}: row {} is from token {} to {}", path_, row, bounds[0],
                     bounds[1]);
  }
  return Row{bounds[0], bounds[1]};
}

Status TokenFileWriter::Output::Write(const void* data, std::size_t bytes,
                                      const std::string& path) {
  const char* const begin = static_cast<const char*>(data);
  buffer_.insert(buffer_.end(), begin, begin + bytes);
  return buffer_.size() >= kBufferBytes ? Flush(path) : Ok();
}

Status TokenFileWriter::Output::Flush(const std::string& path) {
  std::size_t at = 0;
  while (at < buffer_.size()) {
    const ssize_t wrote = write(file.get(), buffer_.data() + at, buffer_.size() - at);
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote <= 0) return ErrnoError(wrote < 0 ? errno : ENOSPC, "writing tokens to " + path);
    at += static_cast<std::size_t>(wrote);
  }
  buffer_.clear();
  return Ok();
}

Result<TokenFileWriter> TokenFileWriter::Create(const std::string& path, unsigned width) {
  TokenFileWriter writer;
  writer.path_ = path;
  writer.width_ = width;
  constexpr int kFlags = O_WRONLY | O_CREAT | O_TRUNC;
  TRIBUTARY_ASSIGN(writer.tokens_.file, OpenFile(path + ".tokens", kFlags));
  TRIBUTARY_ASSIGN(writer.rows_.file, OpenFile(path + ".rows", kFlags));
  return writer;
}

Status TokenFileWriter::Append(std::span<const std::int32_t> ids) {
  counts_.tokens += ids.size();
  if (width_ == 4) return tokens_.Write(ids.data(), ids.size_bytes(), path_);
  std::array<std::uint16_t, kIdsAtOnce> narrow;
  while (!ids.empty()) {
    const std::size_t count = std::min(ids.size(), narrow.size());
    std::transform(ids.begin(), ids.begin() + static_cast<std::ptrdiff_t>(count), narrow.begin(),
                   [](std::int32_t id) { return static_cast<std::uint16_t>(id); });
    TRIBUTARY_TRY(tokens_.Write(narrow.data(), count * 2, path_));
    ids = ids.subspan(count);
  }
  return Ok();
}

Status TokenFileWriter::BeginRow() {
  ++counts_.rows;
  return rows_.Write(&counts_.tokens, sizeof(counts_.tokens), path_);
}

Status TokenFileWriter::Finish() {
  for (Output* output : {&tokens_, &rows_}) {
    TRIBUTARY_TRY(output->Flush(path_));
    // The rename that follows must not be on disk before what it names.
    if (fdatasync(output->file.get()) != 0) return ErrnoError(errno, "writing tokens to " + path_);
  }
  return Ok();
}

}  // namespace tributary::corpus
