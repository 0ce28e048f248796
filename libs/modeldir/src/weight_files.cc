#include "weight_files.h"

#include <utility>

#include "tributary/base/units.h"
#include "tributary/json/json.h"
#include "tributary/tensor/safetensors.h"

namespace tributary::modeldir {
namespace {

constexpr std::size_t kMostShards = 99'999;  // what five digits tell
constexpr std::string_view kWhole = "model.safetensors";
constexpr std::string_view kIndex = "model.safetensors.index.json";

std::uint64_t BytesOf(const tensor::TensorSpec& spec) { return *tensor::ElementCount(spec.shape) * tensor::ElementBytes(spec.dtype); }

// The first tensor of each file. As transformers does it, sizes are those of tensors, without headers.
std::vector<std::size_t> CutIntoShards(const std::vector<tensor::TensorSpec>& tensors, std::uint64_t max_shard_bytes) {
  std::vector<std::size_t> firsts{0};
  if (max_shard_bytes == 0) return firsts;
  std::uint64_t held = 0;
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    const std::uint64_t bytes = BytesOf(tensors[i]);
    if (i > firsts.back() && (bytes > max_shard_bytes || held > max_shard_bytes - bytes)) {
      firsts.push_back(i);
      held = 0;
    }
    held += bytes;
  }
  return firsts;
}

bool Digits(std::string_view text) { return text.size() == 5 && text.find_first_not_of("0123456789") == std::string_view::npos; }

}  // namespace

Result<WeightFiles> WeightFiles::Make(const std::string& directory, const std::string& prefix, const std::vector<tensor::TensorSpec>& tensors,
                                      std::uint64_t max_shard_bytes) {
  const std::vector<std::size_t> firsts = CutIntoShards(tensors, max_shard_bytes);
  if (firsts.size() > kMostShards) {
    return MakeError(Code::kInvalidArgument, "shards of {} would be {} files, more than {}; give a larger size", FormatBytes(max_shard_bytes), firsts.size(), kMostShards);
  }
  WeightFiles files;
  files.directory_ = directory;
  Json map = Json::object();
  std::uint64_t total = 0;
  for (std::size_t shard = 0; shard < firsts.size(); ++shard) {
    const std::size_t end = shard + 1 < firsts.size() ? firsts[shard + 1] : tensors.size();
    const std::vector<tensor::TensorSpec> held(tensors.begin() + static_cast<std::ptrdiff_t>(firsts[shard]), tensors.begin() + static_cast<std::ptrdiff_t>(end));
    files.names_.push_back(firsts.size() == 1 ? fmt::format("{}{}", prefix, kWhole)
                                              : fmt::format("{}model-{:05}-of-{:05}.safetensors", prefix, shard + 1, firsts.size()));
    const std::string header = tensor::MakeSafetensorsHeader(held, {{"format", "pt"}});
    std::uint64_t offset = header.size();
    for (const tensor::TensorSpec& spec : held) {
      files.places_.push_back({shard, offset});
      offset += BytesOf(spec);
      total += BytesOf(spec);
      map[spec.name] = files.names_.back();
    }
    TRIBUTARY_ASSIGN(const NewFile file, NewFile::Make(directory + "/" + files.names_.back()));
    TRIBUTARY_TRY(file.WriteAt(std::as_bytes(std::span(header)), 0));
  }
  if (firsts.size() > 1) {
    files.index_ = fmt::format("{}/{}{}", directory, prefix, kIndex);
    files.index_text_ = Json({{"metadata", {{"total_size", total}}}, {"weight_map", std::move(map)}}).dump(2) + "\n";
  }
  return files;
}

Status WeightFiles::Open(std::size_t file) {
  if (open_ && open_file_ == file) return Ok();
  StartWriting();
  TRIBUTARY_ASSIGN(open_, NewFile::Again(directory_ + "/" + names_[file]));
  open_file_ = file;
  return Ok();
}

Status WeightFiles::Write(std::uint32_t tensor, std::uint64_t offset, std::span<const std::byte> bytes) {
  const Place& place = places_[tensor];
  TRIBUTARY_TRY(Open(place.file));
  return open_->WriteAt(bytes, place.offset + offset);
}

void WeightFiles::StartWriting() const {
  if (open_) open_->StartWriting();
}

Status WeightFiles::Finish() {
  for (std::size_t file = 0; file < names_.size(); ++file) {
    TRIBUTARY_TRY(Open(file));
    TRIBUTARY_TRY(open_->Sync());
  }
  open_.reset();
  if (index_.empty()) return Ok();
  TRIBUTARY_ASSIGN(const NewFile index, NewFile::Make(index_));
  TRIBUTARY_TRY(index.WriteAt(std::as_bytes(std::span(index_text_)), 0));
  return index.Sync();
}

bool WeightFiles::IsOurs(const std::string& name) {
  constexpr std::string_view kBegin = "model-", kMiddle = "-of-", kEnd = ".safetensors";
  const std::string_view text = name;
  if (text == kWhole || text == kIndex || text == "adapter_model.safetensors") return true;
  return text.size() == kBegin.size() + 5 + kMiddle.size() + 5 + kEnd.size() && text.starts_with(kBegin) && text.ends_with(kEnd) &&
         Digits(text.substr(kBegin.size(), 5)) && text.substr(kBegin.size() + 5, kMiddle.size()) == kMiddle &&
         Digits(text.substr(kBegin.size() + 5 + kMiddle.size(), 5));
}

}  // namespace tributary::modeldir
