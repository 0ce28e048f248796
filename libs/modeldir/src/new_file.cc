#include "new_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

namespace tributary::modeldir {

NewFile::NewFile(int fd, std::string path) : fd_(fd), path_(std::move(path)) {}
NewFile::NewFile(NewFile&& other) noexcept : fd_(std::exchange(other.fd_, -1)), path_(std::move(other.path_)) {}
NewFile& NewFile::operator=(NewFile&& other) noexcept {
  std::swap(fd_, other.fd_);
  std::swap(path_, other.path_);
  return *this;
}
NewFile::~NewFile() {
  if (fd_ >= 0) close(fd_);
}

Result<NewFile> NewFile::Make(const std::string& path) {
  const int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
  if (fd < 0) return ErrnoError(errno, "making " + path);
  return NewFile(fd, path);
}

Result<NewFile> NewFile::Again(const std::string& path) {
  const int fd = open(path.c_str(), O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
  if (fd < 0) return ErrnoError(errno, "opening " + path);
  return NewFile(fd, path);
}

Status NewFile::WriteAt(std::span<const std::byte> bytes, std::uint64_t offset) const {
  while (!bytes.empty()) {
    const ssize_t n = pwrite(fd_, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return ErrnoError(errno, "writing " + path_);
    bytes = bytes.subspan(static_cast<std::size_t>(n));
    offset += static_cast<std::uint64_t>(n);
  }
  return Ok();
}

void NewFile::StartWriting() const { (void)sync_file_range(fd_, 0, 0, SYNC_FILE_RANGE_WRITE); }

Status NewFile::Sync() const { return fsync(fd_) == 0 ? Ok() : Status(ErrnoError(errno, "syncing " + path_)); }

Status SyncDirectory(const std::string& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return ErrnoError(errno, "opening " + path);
  const int result = fsync(fd);
  const int error = errno;
  close(fd);
  return result == 0 ? Ok() : Status(ErrnoError(error, "syncing " + path));
}

}  // namespace tributary::modeldir
