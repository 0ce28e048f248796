#include "services/trainer/optimizer_state.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <optional>

#include "tributary/base/log.h"
#include "tributary/digest/digest.h"

namespace tributary::trainer {
namespace {

namespace fs = std::filesystem;

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

Status WriteAll(int file, const void* data, std::size_t bytes, const std::string& path) {
  const char* at = static_cast<const char*>(data);
  while (bytes > 0) {
    const ssize_t written = write(file, at, bytes);
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return ErrnoError(written < 0 ? errno : ENOSPC, "writing " + path);
    at += written;
    bytes -= static_cast<std::size_t>(written);
  }
  return Ok();
}

bool ReadAll(int file, void* data, std::size_t bytes) {
  char* at = static_cast<char*>(data);
  while (bytes > 0) {
    const ssize_t got = read(file, at, bytes);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return false;
    at += got;
    bytes -= static_cast<std::size_t>(got);
  }
  return true;
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

struct SeatFile {
  std::optional<std::uint64_t> round;  // none: a temporary file
};
// "ORDINAL.rROUND" and "ORDINAL.rROUND.tmp"; none for the files of other seats.
std::optional<SeatFile> SeatFileOf(const std::string& name, std::uint32_t ordinal) {
  const std::string prefix = fmt::format("{}.r", ordinal);
  if (!name.starts_with(prefix)) return std::nullopt;
  if (name.ends_with(".tmp")) return SeatFile{};
  std::uint64_t round = 0;
  const auto [end, error] = std::from_chars(name.data() + prefix.size(), name.data() + name.size(), round);
  if (error != std::errc() || end != name.data() + name.size()) return std::nullopt;
  return SeatFile{round};
}

std::vector<std::string> NamesIn(const fs::path& folder) {
  std::vector<std::string> names;
  std::error_code error;
  for (fs::directory_iterator it(folder, error); !error && it != fs::directory_iterator(); it.increment(error)) {
    names.push_back(it->path().filename());
  }
  return names;
}

bool Sound(std::span<const float> values, bool squares) {
  return std::all_of(values.begin(), values.end(), [squares](float value) { return std::isfinite(value) && !(squares && value < 0); });
}

}  // namespace

Result<std::unique_ptr<DiskOptimizerState>> DiskOptimizerState::Open(const OptimizerStateOptions& options) {
  const fs::path folder = fs::path(options.directory) / options.job;
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) return ErrnoError(error.value(), "making " + folder.string());
  for (const std::string& name : NamesIn(options.directory)) {
    if (name != options.job) fs::remove_all(fs::path(options.directory) / name, error);
  }
  std::unique_ptr<DiskOptimizerState> state(new DiskOptimizerState());
  state->folder_ = folder;
  state->who_ = fmt::format("job {}: optimizer state of seat {}, round {}", options.job, options.ordinal, options.round);
  state->path_ = (folder / fmt::format("{}.r{}", options.ordinal, options.round)).string();
  state->round_ = options.round;
  const auto key = KeyOf(options);
  state->key_.assign(key.begin(), key.end());
  std::optional<std::uint64_t> newest;
  const auto names = NamesIn(folder);
  for (const std::string& name : names) {
    const auto file = SeatFileOf(name, options.ordinal);
    if (file && file->round && *file->round < options.round && (!newest || *file->round > *newest)) newest = file->round;
  }
  for (const std::string& name : names) {
    const auto file = SeatFileOf(name, options.ordinal);
    if (!file || (file->round && (*file->round == options.round || file->round == newest))) continue;
    fs::remove(folder / name, error);
  }
  if (newest) state->before_ = (folder / fmt::format("{}.r{}", options.ordinal, *newest)).string();
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
  if (!ReadAll(file, &header, sizeof header)) return unusable("it is shorter than its header");
  if (std::memcmp(header.magic, expected.magic, sizeof header.magic) != 0) return unusable("it is of another version");
  if (!std::equal(header.key.begin(), header.key.end(), key_.begin())) return unusable("it is of another job, seat or model");
  if (header.arrays != moments.size()) return unusable("it has other arrays");
  std::vector<Entry> table(moments.size());
  if (!ReadAll(file, table.data(), table.size() * sizeof(Entry)) || header.digest != DigestOf(header, table)) {
    return unusable("its table is broken");
  }
  std::uint64_t bytes = sizeof header + table.size() * sizeof(Entry);
  for (std::size_t i = 0; i < moments.size(); ++i) {
    if (table[i].elements != moments[i].size()) return unusable("its arrays have other sizes");
    bytes += moments[i].size_bytes();
  }
  struct stat status = {};
  if (fstat(file, &status) != 0 || static_cast<std::uint64_t>(status.st_size) != bytes) return unusable("it has another size than it says");
  if (header.steps == 0) return unusable("it is of no step");
  for (std::size_t i = 0; i < moments.size(); ++i) {
    if (!ReadAll(file, moments[i].data(), moments[i].size_bytes())) return unusable("reading it failed");
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
  const std::string temporary = path_ + ".tmp";
  {
    const File file(open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    if (file.number() < 0) return ErrnoError(errno, "opening " + temporary);
    TRIBUTARY_TRY(WriteAll(file.number(), &header, sizeof header, temporary));
    TRIBUTARY_TRY(WriteAll(file.number(), table.data(), table.size() * sizeof(Entry), temporary));
    for (const auto moment : moments) TRIBUTARY_TRY(WriteAll(file.number(), moment.data(), moment.size_bytes(), temporary));
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
