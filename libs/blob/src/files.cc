#include "files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <system_error>

#include "tributary/base/units.h"

namespace tributary::blob {
namespace {

Error PathError(const std::filesystem::path& path, std::string_view what) {
  const int error = errno;
  return ErrnoError(error, fmt::format("{} {}", what, path.string()));
}

Error NoRoom(const std::filesystem::path& directory, std::uint64_t needed) {
  const auto free = FreeBytes(directory);
  return MakeError(Code::kResourceExhausted,
                   "the disk of {} has no room for this object; free some, or give a larger one with --data-dir: "
                   "{} bytes are needed ({}), {} are free",
                   directory.string(), needed, FormatBytes(needed), free.value_or(0));
}

}  // namespace

Fd::~Fd() {
  if (fd_ >= 0) close(fd_);
}

Result<Fd> OpenFile(const std::filesystem::path& path, int flags) {
  int fd;
  do {
    fd = open(path.c_str(), flags | O_CLOEXEC | O_NOFOLLOW, 0644);
  } while (fd < 0 && errno == EINTR);
  if (fd < 0) return PathError(path, "opening");
  return Fd(fd);
}

Result<std::size_t> ReadAt(const Fd& fd, std::span<std::byte> out, std::uint64_t offset,
                           const std::filesystem::path& path) {
  std::size_t done = 0;
  while (done < out.size()) {
    const ssize_t n = pread(fd.get(), out.data() + done, out.size() - done, static_cast<off_t>(offset + done));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return PathError(path, "reading");
    if (n == 0) break;
    done += static_cast<std::size_t>(n);
  }
  return done;
}

Status WriteAt(const Fd& fd, std::span<const std::byte> bytes, std::uint64_t offset,
               const std::filesystem::path& path) {
  std::size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t n = pwrite(fd.get(), bytes.data() + done, bytes.size() - done, static_cast<off_t>(offset + done));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return PathError(path, "writing");
    done += static_cast<std::size_t>(n);
  }
  return Ok();
}

Result<std::uint64_t> FileBytes(const std::filesystem::path& path) {
  struct stat info {};
  if (stat(path.c_str(), &info) != 0) return PathError(path, "looking at");
  return static_cast<std::uint64_t>(info.st_size);
}

Status ReadExactly(const std::filesystem::path& path, std::span<std::byte> out) {
  TRIBUTARY_ASSIGN(const Fd fd, OpenFile(path, O_RDONLY));
  TRIBUTARY_ASSIGN(const std::size_t got, ReadAt(fd, out, 0, path));
  std::byte more;
  TRIBUTARY_ASSIGN(const std::size_t rest, ReadAt(fd, {&more, 1}, got, path));
  if (got == out.size() && rest == 0) return Ok();
  return MakeError(Code::kUnavailable, "{} changed while it was read; ask again", path.string());
}

void DropCached(const Fd& fd) { posix_fadvise(fd.get(), 0, 0, POSIX_FADV_DONTNEED); }

Result<std::string> ReadWholeFile(const std::filesystem::path& path, std::uint64_t limit) {
  TRIBUTARY_ASSIGN(const Fd fd, OpenFile(path, O_RDONLY));
  struct stat info {};
  if (fstat(fd.get(), &info) != 0) return PathError(path, "reading");
  if (info.st_size < 0 || static_cast<std::uint64_t>(info.st_size) > limit) {
    return MakeError(Code::kDataLoss, "{} has {} bytes: at most {} are expected", path.string(), info.st_size, limit);
  }
  std::string text(static_cast<std::size_t>(info.st_size), '\0');
  TRIBUTARY_ASSIGN(const std::size_t got, ReadAt(fd, std::as_writable_bytes(std::span(text)), 0, path));
  text.resize(got);
  return text;
}

Status WriteWholeFile(const std::filesystem::path& path, std::span<const std::byte> bytes, bool sync) {
  TRIBUTARY_ASSIGN(const Fd fd, OpenFile(path, O_WRONLY | O_CREAT | O_TRUNC));
  TRIBUTARY_TRY(WriteAt(fd, bytes, 0, path));
  if (sync && fdatasync(fd.get()) != 0) return PathError(path, "syncing");
  return Ok();
}

Status SyncData(const std::filesystem::path& path) {
  TRIBUTARY_ASSIGN(const Fd fd, OpenFile(path, O_RDONLY));
  if (fdatasync(fd.get()) != 0) return PathError(path, "syncing");
  return Ok();
}

Status SyncDirectory(const std::filesystem::path& path) {
  TRIBUTARY_ASSIGN(const Fd fd, OpenFile(path, O_RDONLY | O_DIRECTORY));
  if (fsync(fd.get()) != 0) return PathError(path, "syncing");
  return Ok();
}

Status RenamePath(const std::filesystem::path& from, const std::filesystem::path& to) {
  if (std::rename(from.c_str(), to.c_str()) != 0) return PathError(to, "renaming to");
  return Ok();
}

Status MakeDirectory(const std::filesystem::path& path) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (error) return ErrnoError(error.value(), "making directory " + path.string());
  return Ok();
}

Result<bool> Exists(const std::filesystem::path& path) {
  struct stat info {};
  if (lstat(path.c_str(), &info) == 0) return true;
  if (errno == ENOENT) return false;
  return PathError(path, "looking at");
}

std::optional<std::uint64_t> FreeBytes(const std::filesystem::path& directory) {
  struct statvfs room {};
  if (statvfs(directory.c_str(), &room) != 0) return std::nullopt;
  return static_cast<std::uint64_t>(room.f_bavail) * room.f_frsize;
}

Status CutFile(const Fd& fd, std::uint64_t bytes, const std::filesystem::path& path) {
  if (ftruncate(fd.get(), static_cast<off_t>(bytes)) != 0) return PathError(path, "cutting");
  return Ok();
}

Status MakeReserved(const std::filesystem::path& path, std::uint64_t bytes) {
  const auto directory = path.parent_path();
  // Asked first, so that an impossible wish does not fill the disk for a moment.
  if (const auto free = FreeBytes(directory); free && *free < bytes) return NoRoom(directory, bytes);
  TRIBUTARY_ASSIGN(const Fd fd, OpenFile(path, O_RDWR | O_CREAT | O_EXCL));
  // fallocate knows no empty files: a shard may have no slot of a small object.
  if (bytes == 0) return Ok();
  int result;
  do {
    // Not posix_fallocate: where the file system cannot reserve, glibc's writes a byte to each block.
    result = fallocate(fd.get(), 0, 0, static_cast<off_t>(bytes));
  } while (result != 0 && errno == EINTR);
  if (result == 0) return Ok();
  if (errno == ENOSPC || errno == EDQUOT || errno == EFBIG) return NoRoom(directory, bytes);
  if (errno != EOPNOTSUPP && errno != ENOSYS) return PathError(path, "reserving room for");
  if (ftruncate(fd.get(), static_cast<off_t>(bytes)) != 0) {
    if (errno == EFBIG || errno == ENOSPC) return NoRoom(directory, bytes);
    return PathError(path, "sizing");
  }
  return Ok();
}

}  // namespace tributary::blob
