#include "services/trainer/residual.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <filesystem>
#include <optional>
#include <vector>

#include "services/trainer/seat_files.h"
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

// The header of a file of the same job, seat and size; none of any other.
std::optional<Header> HeaderOf(int file, const ResidualOptions& options) {
  Header header, expected;
  if (file < 0 || !ReadAll(file, &header, sizeof header, 0, "").ok()) return std::nullopt;
  const bool ours = std::memcmp(header.magic, expected.magic, sizeof header.magic) == 0 && header.key == KeyOf(options) &&
                    header.elements == options.elements;
  return ours ? std::optional(header) : std::nullopt;
}

}  // namespace

Result<std::unique_ptr<Residual>> Residual::Open(const ResidualOptions& options) {
  TRIBUTARY_ASSIGN(const fs::path folder, OpenJobFolder(options.directory, options.job));
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
    std::error_code ignored;
    if (round && *round != options.round && (residual->before_ < 0 || *round != newest)) fs::remove(folder / name, ignored);
  }

  residual->path_ = folder / SeatFileName(options.ordinal, options.round);
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
