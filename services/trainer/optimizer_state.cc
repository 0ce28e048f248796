#include "services/trainer/optimizer_state.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <optional>
#include <string_view>

#include "services/trainer/seat_files.h"
#include "tributary/base/log.h"
#include "tributary/digest/digest.h"

namespace tributary::trainer {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kBegun = ".tmp";

// In front of the table of arrays, 96 bytes; then the arrays. `digest` is of header (without it) and table.
struct Header {
  char magic[8] = {'T', 'R', 'I', 'B', 'O', 'P', 'T', '1'};
  digest::Sha256 key{};
  std::uint64_t round = 0;
  std::uint64_t steps = 0;
  std::uint64_t arrays = 0;
  std::uint64_t reserved[2] = {0, 0};
  digest::Xxh128 digest{};
};
static_assert(sizeof(Header) == 96);

struct Entry {
  std::uint64_t elements = 0;
  digest::Xxh128 digest{};
};
static_assert(sizeof(Entry) == 24);

digest::Xxh128 DigestOf(Header header, const std::vector<Entry>& table) {
  header.digest = {};
  std::vector<std::byte> bytes(sizeof header + table.size() * sizeof(Entry));
  std::memcpy(bytes.data(), &header, sizeof header);
  if (!table.empty()) std::memcpy(bytes.data() + sizeof header, table.data(), table.size() * sizeof(Entry));
  return digest::ComputeXxh128(bytes);
}

digest::Sha256 KeyOf(const OptimizerStateOptions& options) {
  std::string text = fmt::format("{}\n{}\n", options.job, options.ordinal);
  for (const auto& tensor : options.tensors) {
    text += fmt::format("{} {}", tensor.name, tensor::DTypeName(tensor.dtype));
    for (const std::uint64_t size : tensor.shape) text += fmt::format(" {}", size);
    text += "\n";
  }
  text += options.job_text;
  return digest::ComputeSha256(std::as_bytes(std::span(text)));
}

class File {
 public:
  explicit File(int number) : number_(number) {}
  ~File() {
    if (number_ >= 0) close(number_);
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  int number() const { return number_; }

 private:
  int number_;
};

Status SyncFolder(const std::string& folder) {
  const File file(open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (file.number() < 0 || fsync(file.number()) != 0) return ErrnoError(errno, "syncing " + folder);
  return Ok();
}

bool Sound(std::span<const float> values, bool squares) {
  return std::all_of(values.begin(), values.end(), [squares](float value) { return std::isfinite(value) && !(squares && value < 0); });
}

}  // namespace

Result<std::unique_ptr<DiskOptimizerState>> DiskOptimizerState::Open(const OptimizerStateOptions& options) {
  TRIBUTARY_ASSIGN(const fs::path folder, OpenJobFolder(options.directory, options.job));
  std::unique_ptr<DiskOptimizerState> state(new DiskOptimizerState());
  state->folder_ = folder;
  state->who_ = fmt::format("job {}: optimizer state of seat {}, round {}", options.job, options.ordinal, options.round);
  state->path_ = folder / SeatFileName(options.ordinal, options.round);
  state->round_ = options.round;
  const auto key = KeyOf(options);
  state->key_.assign(key.begin(), key.end());
  std::optional<std::uint64_t> newest;
  const auto names = NamesIn(folder);
  for (const std::string& name : names) {
    const auto round = RoundOf(name, options.ordinal);
    if (round && *round < options.round && (!newest || *round > *newest)) newest = round;
  }
  for (const std::string& name : names) {
    std::string_view seat_file = name;
    const bool begun = seat_file.ends_with(kBegun);  // by a trainer that was killed
    if (begun) seat_file.remove_suffix(kBegun.size());
    const auto round = RoundOf(std::string(seat_file), options.ordinal);
    std::error_code ignored;
    if (round && (begun || (*round != options.round && round != newest))) fs::remove(folder / name, ignored);
  }
  if (newest) state->before_ = folder / SeatFileName(options.ordinal, *newest);
  return state;
}

Result<std::uint64_t> DiskOptimizerState::Load(const std::vector<std::span<float>>& moments) {
  if (before_.empty()) {
    // Of the first round nothing else is expected.
    if (round_ > 1) log::Info("{}: begins fresh, since no earlier round left one on this disk", who_);
    return std::uint64_t{0};
  }
  const File file(open(before_.c_str(), O_RDONLY | O_CLOEXEC));
  const auto steps = file.number() < 0 ? Result<std::uint64_t>(ErrnoError(errno, "opening it")) : Read(file.number(), moments);
  if (steps.ok()) return *steps;
  log::Warning("{}: begins fresh, since {} is not used: {}", who_, before_, steps.error().message());
  return std::uint64_t{0};
}

Result<std::uint64_t> DiskOptimizerState::Read(int file, const std::vector<std::span<float>>& moments) const {
  const auto unusable = [](std::string_view why) { return MakeError(Code::kInvalidArgument, "{}", why); };
  Header header;
  const Header expected;
  std::uint64_t at = 0;
  const auto read = [&](void* data, std::size_t bytes) {
    const bool whole = ReadAll(file, data, bytes, at, before_).ok();
    at += bytes;
    return whole;
  };
  if (!read(&header, sizeof header)) return unusable("it is shorter than its header");
  if (std::memcmp(header.magic, expected.magic, sizeof header.magic) != 0) return unusable("it is of another version");
  if (!std::equal(header.key.begin(), header.key.end(), key_.begin())) return unusable("it is of another job, seat or model");
  if (header.arrays != moments.size()) return unusable("it has other arrays");
  std::vector<Entry> table(moments.size());
  if (!read(table.data(), table.size() * sizeof(Entry)) || header.digest != DigestOf(header, table)) {
    return unusable("its table is broken");
  }
  std::uint64_t bytes = at;
  for (std::size_t i = 0; i < moments.size(); ++i) {
    if (table[i].elements != moments[i].size()) return unusable("its arrays have other sizes");
    bytes += moments[i].size_bytes();
  }
  struct stat status = {};
  if (fstat(file, &status) != 0 || static_cast<std::uint64_t>(status.st_size) != bytes) return unusable("it has another size than it says");
  if (header.steps == 0) return unusable("it is of no step");
  for (std::size_t i = 0; i < moments.size(); ++i) {
    if (!read(moments[i].data(), moments[i].size_bytes())) return unusable("reading it failed");
    if (digest::ComputeXxh128(std::as_bytes(moments[i])) != table[i].digest) return unusable("its numbers are not those that were written");
    if (!Sound(moments[i], i % 2 == 1)) return unusable("it has numbers that are no moments");
  }
  return header.steps;
}

Status DiskOptimizerState::Save(std::uint64_t steps, const std::vector<std::span<float>>& moments) {
  Header header;
  std::copy(key_.begin(), key_.end(), header.key.begin());
  header.round = round_;
  header.steps = steps;
  header.arrays = moments.size();
  std::vector<Entry> table;
  for (const auto moment : moments) table.push_back({moment.size(), digest::ComputeXxh128(std::as_bytes(moment))});
  header.digest = DigestOf(header, table);
  const std::string temporary = path_ + std::string(kBegun);
  {
    const File file(open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    if (file.number() < 0) return ErrnoError(errno, "opening " + temporary);
    std::uint64_t at = 0;
    const auto write = [&](const void* data, std::size_t bytes) {
      at += bytes;
      return WriteAll(file.number(), data, bytes, at - bytes, temporary);
    };
    TRIBUTARY_TRY(write(&header, sizeof header));
    TRIBUTARY_TRY(write(table.data(), table.size() * sizeof(Entry)));
    for (const auto moment : moments) TRIBUTARY_TRY(write(moment.data(), moment.size_bytes()));
    if (fsync(file.number()) != 0) return ErrnoError(errno, "syncing " + temporary);
  }
  if (rename(temporary.c_str(), path_.c_str()) != 0) return ErrnoError(errno, "renaming " + temporary);
  return SyncFolder(folder_);
}

void DiskOptimizerState::Remove() {
  std::error_code ignored;
  if (!before_.empty()) fs::remove(before_, ignored);
  fs::remove(path_, ignored);
}

Result<std::uint64_t> MemoryOptimizerState::Load(const std::vector<std::span<float>>& moments) {
  if (moments_.size() != moments.size()) return std::uint64_t{0};
  for (std::size_t i = 0; i < moments.size(); ++i) {
    if (moments_[i].size() != moments[i].size()) return std::uint64_t{0};
    std::copy(moments_[i].begin(), moments_[i].end(), moments[i].begin());
    std::vector<float>().swap(moments_[i]);  // held once while the optimizer has it
  }
  moments_.clear();
  return steps_;
}

Status MemoryOptimizerState::Save(std::uint64_t steps, const std::vector<std::span<float>>& moments) {
  moments_.clear();
  for (const auto moment : moments) moments_.emplace_back(moment.begin(), moment.end());
  steps_ = steps;
  return Ok();
}

}  // namespace tributary::trainer
