// Private: POSIX files with errors as values. All calls loop over EINTR and short transfers; paths stand in the errors.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <utility>

#include "tributary/base/result.h"

namespace tributary::blob {

class Fd {
 public:
  Fd() = default;
  explicit Fd(int fd) : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Fd();
  int get() const { return fd_; }

 private:
  int fd_ = -1;
};

Result<Fd> OpenFile(const std::filesystem::path& path, int flags);
// Bytes read: fewer than asked only at the end of the file.
Result<std::size_t> ReadAt(const Fd& fd, std::span<std::byte> out, std::uint64_t offset, const std::filesystem::path& path);
Status WriteAt(const Fd& fd, std::span<const std::byte> bytes, std::uint64_t offset, const std::filesystem::path& path);
Result<std::uint64_t> FileBytes(const std::filesystem::path& path);
// A file of exactly out.size() bytes; kUnavailable when it has another size.
Status ReadExactly(const std::filesystem::path& path, std::span<std::byte> out);
// The next reads come from the disk, where the system allows it.
void DropCached(const Fd& fd);
// A file of at most `limit` bytes.
Result<std::string> ReadWholeFile(const std::filesystem::path& path, std::uint64_t limit);
Status WriteWholeFile(const std::filesystem::path& path, std::span<const std::byte> bytes, bool sync);
Status SyncData(const std::filesystem::path& path);
Status SyncDirectory(const std::filesystem::path& path);
Status RenamePath(const std::filesystem::path& from, const std::filesystem::path& to);
Status MakeDirectory(const std::filesystem::path& path);  // with parents; existing is fine
Result<bool> Exists(const std::filesystem::path& path);

// Nothing where the system does not tell.
std::optional<std::uint64_t> FreeBytes(const std::filesystem::path& directory);
Status CutFile(const Fd& fd, std::uint64_t bytes, const std::filesystem::path& path);

// Makes a file of `bytes` zeros with its blocks reserved, sparse where the file system cannot reserve. When there is no room:
// kResourceExhausted that names directory, need and free space.
Status MakeReserved(const std::filesystem::path& path, std::uint64_t bytes);

}  // namespace tributary::blob
