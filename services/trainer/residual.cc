#include "services/trainer/residual.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstddef>
#include <cstring>
#include <filesystem>
#include <optional>
#include <vector>

#include "tributary/digest/digest.h"

namespace tributary::trainer {
namespace {

namespace fs = std::filesystem;

// In front of the numbers, 64 bytes. `complete` is written by itself, last.
struct Header {
  char magic[8] = {'T', 'R', 'I', 'B', 'R', 'E', 'S', '1'};
  digest::Sha256 key{};
  std::uint64_t elements = 0;
  std::uint64_t complete = 0;
  std::uint64_t reserved = 0;
};
static_assert(sizeof(Header) == 64);

digest::Sha256 KeyOf(const ResidualOptions& options) {
  const std::string text = fmt::format("{}\n{}\n{}", options.job, options.ordinal, options.job_text);
  return digest::ComputeSha256(std::as_bytes(std::span(text)));
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

// The header of a file of the same job, seat and size; none of any other.
std::optional<Header> HeaderOf(int file, const ResidualOptions& options) {
  Header header, expected;
  if (file < 0 || !ReadAll(file, &header, sizeof header, 0, "").ok()) return std::nullopt;
  const bool ours = std::memcmp(header.magic, expected.magic, sizeof header.magic) == 0 && header.key == KeyOf(options) &&
                    header.elements == options.elements;
  return ours ? std::optional(header) : std::nullopt;
}

std::string PathOf(const ResidualOptions& options, std::uint64_t round) {
  return fmt::format("{}/{}/{}.r{}", options.directory, options.job, options.ordinal, round);
}

// The round in "ORDINAL.rROUND"; none for the files of other seats.
std::optional<std::uint64_t> RoundOf(const std::string& name, std::uint32_t ordinal) {
  const std::string prefix = fmt::format("{}.r", ordinal);
  if (!name.starts_with(prefix)) return std::nullopt;
  std::uint64_t round = 0;
  const auto [end, error] = std::from_chars(name.data() + prefix.size(), name.data() + name.size(), round);
  return error == std::errc() && end == name.data() + name.size() ? std::optional(round) : std::nullopt;
}

std::vector<std::string> NamesIn(const fs::path& folder) {
  std::vector<std::string> names;
  std::error_code error;
  for (fs::directory_iterator it(folder, error); !error && it != fs::directory_iterator(); it.increment(error)) {
    names.push_back(it->path().filename());
  }
  return names;
}

}  // namespace

Result<std::unique_ptr<Residual>> Residual::Open(const ResidualOptions& options) {
  const fs::path folder = fs::path(options.directory) / options.job;
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) return ErrnoError(error.value(), "making " + folder.string());
  for (const std::string& name : NamesIn(options.directory)) {
    if (name != options.job) fs::remove_all(fs::path(options.directory) / name, error);
  }

  std::unique_ptr<Residual> residual(new Residual());
  std::uint64_t newest = 0;
  const auto names = NamesIn(folder);
  for (const std::string& name : names) {
    const auto round = RoundOf(name, options.ordinal);
    if (!round || *round >= options.round || (residual->before_ >= 0 && *round < newest)) continue;
    const int file = open((folder / name).c_str(), O_RDONLY | O_CLOEXEC);
    const auto header = HeaderOf(file, options);
    if (!header || header->complete == 0) {
      if (file >= 0) close(file);
      continue;
    }
    if (residual->before_ >= 0) close(residual->before_);
    residual->before_ = file;
    residual->path_before_ = folder / name;
    newest = *round;
  }
  for (const std::string& name : names) {
    const auto round = RoundOf(name, options.ordinal);
    if (round && *round != options.round && (residual->before_ < 0 || *round != newest)) fs::remove(folder / name, error);
  }

  residual->path_ = PathOf(options, options.round);
  residual->file_ = open(residual->path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (residual->file_ < 0) return ErrnoError(errno, "opening " + residual->path_);
  residual->resumed_ = HeaderOf(residual->file_, options).has_value();
  if (!residual->resumed_) {
    Header header;
    header.key = KeyOf(options);
    header.elements = options.elements;
    const auto bytes = static_cast<off_t>(sizeof header + options.elements * sizeof(float));
    if (ftruncate(residual->file_, 0) != 0 || ftruncate(residual->file_, bytes) != 0) {
      return ErrnoError(errno, "making " + residual->path_);
    }
    TRIBUTARY_TRY(WriteAll(residual->file_, &header, sizeof header, 0, residual->path_));
  }
  return residual;
}

Residual::~Residual() {
  if (before_ >= 0) close(before_);
  if (file_ >= 0) close(file_);
}

Status Residual::Read(std::uint64_t first, std::span<float> values) const {
  if (before_ < 0) {
    std::fill(values.begin(), values.end(), 0.0f);
    return Ok();
  }
  return ReadAll(before_, values.data(), values.size_bytes(), sizeof(Header) + first * sizeof(float), path_before_);
}

Status Residual::Write(std::uint64_t first, std::span<const float> values) {
  return WriteAll(file_, values.data(), values.size_bytes(), sizeof(Header) + first * sizeof(float), path_);
}

Status Residual::Complete() {
  const std::uint64_t complete = 1;
  return WriteAll(file_, &complete, sizeof complete, offsetof(Header, complete), path_);
}

void Residual::Sealed(bool last) {
  std::error_code ignored;
  if (before_ >= 0) fs::remove(path_before_, ignored);
  if (last) fs::remove(path_, ignored);
}

}  // namespace tributary::trainer
