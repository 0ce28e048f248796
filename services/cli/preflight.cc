#include "services/cli/preflight.h"

#include <algorithm>
#include <cerrno>
#include <filesystem>

#include "tributary/base/suggest.h"
#include "tributary/base/units.h"
#include "tributary/corpus/corpus.h"

namespace tributary::cli {
namespace {

// Less than a log, a journal and a table of memory need to go on.
constexpr std::uint64_t kNothing = 1u << 20;
constexpr std::uint64_t kBytesPerSlot = 128 + 48;

}  // namespace

std::uint64_t TrainedBytes(const job::Job& job, const std::vector<modeldir::StoredWeight>& weights) {
  std::uint64_t elements = 0;
  for (const auto& weight : weights) {
    const auto& shape = weight.spec.shape;
    if (!job.adapted()) {
      elements += weight.bytes / tensor::ElementBytes(weight.spec.dtype);
    } else if (shape.size() == 2) {
      elements += job.adapter.rank * (shape[0] + shape[1]);
    }
  }
  return elements * sizeof(float);
}

std::uint64_t StagedBytes(const job::Job& job, std::uint64_t model_bytes, std::uint64_t source_bytes) {
  // On disk at once: two models, and, while a round's updates are being removed, those of two rounds.
  const std::uint64_t objects = 2 * std::uint64_t{job.data.count} + 2 + (job.checkpoint.every > 0 ? job.checkpoint.keep : 0) + (job.checkpoint.best ? 1 : 0);
  const job::SyntheticModel& synthetic = job.model.synthetic;
  std::uint64_t each = model_bytes;
  // Equal chunks of an object are stored once. Whole tensors seldom are.
  const bool chunks = job.transfer.cut() == tensor::Cut::kChunks;
  if (chunks && job.synthetic() && synthetic.fill == job::FillKind::kTiled) {
    each = synthetic.distinct % job.transfer.chunk_bytes == 0 ? synthetic.distinct : model_bytes;
  }
  if (chunks && job.synthetic() && synthetic.fill == job::FillKind::kConstant) each = std::min(each, job.transfer.chunk_bytes);
  // A record and a digest of each slot.
  each += model_bytes / job.transfer.chunk_bytes * kBytesPerSlot;
  return source_bytes + each * objects + (job.checkpoint.export_model ? model_bytes : 0);
}

Result<modeldir::ModelDirectory> OpenSource(const job::Job& job) {
  auto directory = modeldir::OpenModelDirectory(job.model.source);
  if (!directory.ok()) return directory.error().Wrap("model.source");
  if (directory->weights.empty()) {
    return MakeError(Code::kNotFound, "model.source: {} has neither model.safetensors nor model.safetensors.index.json; other formats are not read",
                     job.model.source);
  }
  return directory;
}

Result<ScriptPlace> FindScript(const job::Job& job) {
  std::error_code ec;
  const auto bytes = std::filesystem::file_size(job.model.script, ec);
  if (ec) return MakeError(Code::kNotFound, "model.script: {} is no file that can be read ({})", job.model.script, ec.message());
  return ScriptPlace{std::filesystem::absolute(job.model.script).lexically_normal().string(), bytes};
}

Result<std::map<std::string, std::string>> FindData(const job::Job& job, const std::vector<std::string>& data_flags) {
  std::map<std::string, std::string> data;
  if (!job.reads_data()) {
    if (data_flags.empty()) return data;
    return MakeError(Code::kInvalidArgument, "--data {}: a synthetic job reads no data; leave the flag out", data_flags.front());
  }
  if (!job.data.path.empty()) data[job.data.name] = job.data.path;
  for (const std::string& flag : data_flags) {
    const auto equals = flag.find('=');
    if (equals == std::string::npos || equals == 0) {
      return MakeError(Code::kInvalidArgument, "--data '{}': write --data {}=PATH", flag, job.data.name);
    }
    const std::string name = flag.substr(0, equals);
    if (name != job.data.name) {
      const std::string meant = DidYouMean(name, {job.data.name});
      return MakeError(Code::kInvalidArgument, "--data {}: the job has no data '{}'{}", flag, name,
                       meant.empty() ? fmt::format("; it reads '{}': --data {}=PATH", job.data.name, job.data.name) : meant);
    }
    data[name] = flag.substr(equals + 1);
  }
  const auto it = data.find(job.data.name);
  if (it == data.end()) {
    return MakeError(Code::kNotFound, "the job's data '{}' has no place here; add --data {}=PATH", job.data.name, job.data.name);
  }
  std::error_code ec;
  if (!std::filesystem::exists(it->second, ec)) {
    return MakeError(Code::kNotFound, "the job's data '{}' should lie at {}, but nothing is there; install it or say --data {}=PATH",
                     job.data.name, it->second, job.data.name);
  }
  // One file is enough to know that it is the right directory; the trainers read the others.
  if (const Status found = corpus::LookForData(job.data.format, it->second, job.data.name); !found.ok()) {
    return Error(Code::kNotFound, found.error().message());  // what lies there is no fault of the flags
  }
  return data;
}

bool DiskIsFull(const std::string& directory) {
  std::error_code ec;
  const auto space = std::filesystem::space(directory, ec);
  return !ec && space.available < kNothing;
}

Status CheckRoom(const std::string& directory, std::uint64_t bytes) {
  std::error_code ec;
  const auto space = std::filesystem::space(directory, ec);
  if (ec) return ErrnoError(ec.value(), directory);
  if (space.available < bytes) {
    return MakeError(Code::kResourceExhausted, "{} has room for {}, but this job stages up to {}; free some, or choose another --work-dir",
                     directory, FormatBytes(space.available), FormatBytes(bytes));
  }
  return Ok();
}

}  // namespace tributary::cli
