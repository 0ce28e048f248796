#include "services/trainer/seat_files.h"

#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <filesystem>

namespace tributary::trainer {

namespace fs = std::filesystem;

Result<std::string> OpenJobFolder(const std::string& directory, const std::string& job) {
  const fs::path folder = fs::path(directory) / job;
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) return ErrnoError(error.value(), "making " + folder.string());
  for (const std::string& name : NamesIn(directory)) {
    if (name != job) fs::remove_all(fs::path(directory) / name, error);
  }
  return folder.string();
}

std::vector<std::string> NamesIn(const std::string& folder) {
  std::vector<std::string> names;
  std::error_code error;
  for (fs::directory_iterator it(folder, error); !error && it != fs::directory_iterator(); it.increment(error)) {
    names.push_back(it->path().filename());
  }
  return names;
}

std::string SeatFileName(std::uint32_t ordinal, std::uint64_t round) { return fmt::format("{}.r{}", ordinal, round); }

std::optional<std::uint64_t> RoundOf(const std::string& name, std::uint32_t ordinal) {
  const std::string prefix = fmt::format("{}.r", ordinal);
  if (!name.starts_with(prefix)) return std::nullopt;
  std::uint64_t round = 0;
  const auto [end, error] = std::from_chars(name.data() + prefix.size(), name.data() + name.size(), round);
  return error == std::errc() && end == name.data() + name.size() ? std::optional(round) : std::nullopt;
}

Status WriteAll(int file, const void* data, std::size_t bytes, std::uint64_t offset, const std::string& path) {
  const char* at = static_cast<const char*>(data);
  while (bytes > 0) {
    const ssize_t written = pwrite(file, at, bytes, static_cast<off_t>(offset));
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return ErrnoError(written < 0 ? errno : ENOSPC, "writing " + path);
    at += written;
    bytes -= static_cast<std::size_t>(written);
    offset += static_cast<std::uint64_t>(written);
  }
  return Ok();
}

Status ReadAll(int file, void* data, std::size_t bytes, std::uint64_t offset, const std::string& path) {
  char* at = static_cast<char*>(data);
  while (bytes > 0) {
    const ssize_t got = pread(file, at, bytes, static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return ErrnoError(got < 0 ? errno : EIO, "reading " + path);
    at += got;
    bytes -= static_cast<std::size_t>(got);
    offset += static_cast<std::uint64_t>(got);
  }
  return Ok();
}

}  // namespace tributary::trainer
