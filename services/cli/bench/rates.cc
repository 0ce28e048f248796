#include "services/cli/bench/rates.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <vector>

#include "services/cli/bench/pair.h"
#include "tributary/digest/digest.h"

namespace tributary::cli {
namespace {

constexpr std::size_t kChunk = 1 << 20;
constexpr std::size_t kSourceChunks = 8;

// User and system time of this thread.
double CpuSeconds() {
  rusage use{};
  getrusage(RUSAGE_THREAD, &use);
  const auto seconds = [](const timeval& time) { return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6; };
  return seconds(use.ru_utime) + seconds(use.ru_stime);
}

class File {
 public:
  static Result<File> Make(const std::string& path, std::uint64_t bytes) {
    const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0) return ErrnoError(errno, "making " + path);
    File file(fd, path);
    if (const int error = posix_fallocate(fd, 0, static_cast<off_t>(bytes)); error != 0) return ErrnoError(error, "room for " + path);
    return file;
  }
  File(File&& other) noexcept : fd_(std::exchange(other.fd_, -1)), path_(std::move(other.path_)) {}
  File& operator=(File&&) = delete;
  ~File() {
    if (fd_ < 0) return;
    close(fd_);
    unlink(path_.c_str());
  }
  Status Write(std::span<const std::byte> bytes, std::uint64_t at) const {
    if (pwrite(fd_, bytes.data(), bytes.size(), static_cast<off_t>(at)) == static_cast<ssize_t>(bytes.size())) return Ok();
    return ErrnoError(errno, "writing " + path_);
  }
  Status Read(std::span<std::byte> bytes, std::uint64_t at) const {
    if (pread(fd_, bytes.data(), bytes.size(), static_cast<off_t>(at)) == static_cast<ssize_t>(bytes.size())) return Ok();
    return ErrnoError(errno, "reading " + path_);
  }
  Status Sync() const { return fdatasync(fd_) == 0 ? Ok() : Status(ErrnoError(errno, "syncing " + path_)); }

 private:
  File(int fd, std::string path) : fd_(fd), path_(std::move(path)) {}
  int fd_;
  std::string path_;
};

Status MeasureDisk(const Scratch& scratch, std::uint64_t chunks, const std::vector<std::byte>& source, Rates* rates) {
  TRIBUTARY_ASSIGN(const File file, File::Make(scratch.File("disk"), chunks * kChunk));
  const double bytes = static_cast<double>(chunks * kChunk);
  const auto piece = [&](std::uint64_t i) { return std::span(source).subspan(i % kSourceChunks * kChunk, kChunk); };
  const Stopwatch durable;
  double begun = CpuSeconds();
  for (std::uint64_t i = 0; i < chunks; ++i) TRIBUTARY_TRY(file.Write(piece(i), i * kChunk));
  rates->write_cpu = (CpuSeconds() - begun) / bytes;
  TRIBUTARY_TRY(file.Sync());
  rates->sync_wall = durable.Seconds() / bytes;
  std::vector<std::byte> into(kSourceChunks * kChunk);
  begun = CpuSeconds();
  for (std::uint64_t i = 0; i < chunks; ++i) TRIBUTARY_TRY(file.Read(std::span(into).subspan(i % kSourceChunks * kChunk, kChunk), i * kChunk));
  rates->read_cpu = (CpuSeconds() - begun) / bytes;
  return Ok();
}

}  // namespace

Result<Rates> MeasureRates(const Scratch& scratch, std::uint64_t bytes) {
  const std::uint64_t chunks = std::max<std::uint64_t>(1, bytes / kChunk);
  Rates rates;
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  if (sched_getaffinity(0, sizeof allowed, &allowed) == 0) rates.cores = static_cast<unsigned>(std::max(1, CPU_COUNT(&allowed)));

  transport::BarePair pair;
  pair.messages = chunks;
  TRIBUTARY_ASSIGN(const PairRun run, RunPair("ipc://" + scratch.File("pair"), pair, false));
  rates.socket_cpu = run.cpu_seconds / static_cast<double>(chunks * kChunk);

  std::vector<std::byte> source(kSourceChunks * kChunk);
  for (std::size_t i = 0; i < source.size(); ++i) source[i] = static_cast<std::byte>(i * 2654435761u >> 13);
  const double begun = CpuSeconds();
  std::byte sink{};
  for (std::uint64_t i = 0; i < chunks; ++i) {
    sink ^= digest::ComputeSha256(std::span<const std::byte>(source).subspan(i % kSourceChunks * kChunk, kChunk))[0];
  }
  rates.sha256_cpu = (CpuSeconds() - begun) / static_cast<double>(chunks * kChunk);
  source[0] ^= sink;  // used, so that nobody leaves the work out
  TRIBUTARY_TRY(MeasureDisk(scratch, chunks, source, &rates));
  return rates;
}

JobBytes BytesOfJob(std::uint64_t model_bytes, std::uint64_t trainers, std::uint64_t rounds) {
  JobBytes bytes;
  // The first model, then in each round the updates and their mean.
  bytes.hashed = model_bytes * (1 + rounds * (trainers + 1));
  // What is put, what trainers and the aggregator get, and the export.
  const std::uint64_t got = model_bytes * (rounds * 2 * trainers + 1);
  bytes.moved = bytes.hashed + got;
  bytes.read = got;
  bytes.written = bytes.hashed + model_bytes;
  // Each round's model, the first one, the export; updates need not survive power loss.
  bytes.synced = model_bytes * (rounds + 2);
  return bytes;
}

Floor FloorOf(const JobBytes& bytes, const Rates& rates) {
  const auto times = [](std::uint64_t count, double cost) { return static_cast<double>(count) * cost; };
  Floor floor;
  floor.cpu_seconds = (times(bytes.moved, rates.socket_cpu) + times(bytes.hashed, rates.sha256_cpu) + times(bytes.written, rates.write_cpu) +
                       times(bytes.read, rates.read_cpu)) / rates.cores;
  floor.disk_seconds = times(bytes.synced, rates.sync_wall);
  return floor;
}

}  // namespace tributary::cli
