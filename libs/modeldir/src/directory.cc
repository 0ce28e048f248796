#include "tributary/modeldir/directory.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <set>

#include "tributary/base/names.h"
#include "tributary/json/json.h"
#include "tributary/tensor/safetensors.h"

namespace tributary::modeldir {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kMaxConfigBytes = 1u << 20;

Result<std::string> ReadConfig(const std::string& directory, const std::string& name, const char* expected) {
  const std::string path = directory + "/" + name;
  std::error_code ec;
  const auto size = fs::file_size(path, ec);
  if (ec) {
    return MakeError(Code::kNotFound, "{} has no readable {} ({}): expected {}", directory, name, ec.message(), expected);
  }
  if (size > kMaxConfigBytes) return MakeError(Code::kInvalidArgument, "{} is over 1 MiB: that is no {}", path, name);
  std::ifstream file(path, std::ios::binary);
  std::string text(size, '\0');
  if (!file.read(text.data(), static_cast<std::streamsize>(size))) return MakeError(Code::kIo, "reading {} failed", path);
  TRIBUTARY_TRY(ParseJson(text, path).status());
  return text;
}

// File names of the weights; none where there are none.
Result<std::set<std::string>> WeightFiles(const std::string& directory) {
  std::error_code ec;
  if (fs::exists(directory + "/model.safetensors", ec)) return std::set<std::string>{"model.safetensors"};
  const std::string index = directory + "/model.safetensors.index.json";
  if (!fs::exists(index, ec)) return std::set<std::string>{};
  TRIBUTARY_ASSIGN(const Json json, ReadJsonFile(index));
  std::set<std::string> files;
  if (!json.is_object() || !json.contains("weight_map") || !json["weight_map"].is_object()) {
    return MakeError(Code::kInvalidArgument, "{} has no object weight_map", index);
  }
  for (const auto& [name, file] : json["weight_map"].items()) {
    // The index is a stranger's: it may not lead out of the directory.
    if (!file.is_string() || !CheckSegment(file.get_ref<const std::string&>(), "file name").ok()) {
      return MakeError(Code::kInvalidArgument, "{}: the file of tensor '{}' is not a plain file name", index, name);
    }
    files.insert(file.get<std::string>());
  }
  return files;
}

bool EndsWith(std::string_view name, std::string_view tail) {
  return name.size() >= tail.size() && name.substr(name.size() - tail.size()) == tail;
}

}  // namespace

bool DerivedWeight(std::string_view name) {
  for (const std::string_view tail : {".attn.bias", ".attn.masked_bias", ".attention.bias", ".attention.masked_bias", ".rotary_emb.inv_freq"}) {
    if (EndsWith(name, tail)) return true;
  }
  return name == "lm_head.weight" || EndsWith(name, ".num_batches_tracked") || name == "num_batches_tracked";
}

std::string_view BareWeightName(std::string_view name) {
  for (const std::string_view prefix : {"transformer.", "model."}) {
    if (name.substr(0, prefix.size()) == prefix) return name.substr(prefix.size());
  }
  return name;
}

Result<ModelDirectory> OpenModelDirectory(const std::string& path) {
  ModelDirectory directory;
  directory.path = path;
  TRIBUTARY_ASSIGN(directory.config_json, ReadConfig(path, "config.json", "a model directory as Hugging Face writes it"));
  TRIBUTARY_ASSIGN(const auto files, WeightFiles(path));
  std::set<std::string> names;
  for (const std::string& file : files) {
    const std::string full = path + "/" + file;
    TRIBUTARY_ASSIGN(auto header, tensor::ReadSafetensorsHeader(full));
    for (tensor::StoredTensor& stored : header.tensors) {
      if (!names.insert(stored.spec.name).second) {
        return MakeError(Code::kInvalidArgument, "{}: tensor '{}' stands twice", full, stored.spec.name);
      }
      directory.weights.push_back({std::move(stored.spec), full, stored.file_offset, stored.bytes});
    }
  }
  std::error_code ec;
  for (const char* file : {"tokenizer.json", "vocab.json", "encoder.json"}) {
    directory.has_tokenizer = directory.has_tokenizer || fs::exists(path + "/" + file, ec);
  }
  return directory;
}

std::string WeightsFileOf(const std::string& path) {
  std::error_code ec;
  if (IsAdapterDirectory(path)) return "adapter_model.safetensors";
  const std::string index = "model.safetensors.index.json";
  return !fs::exists(path + "/model.safetensors", ec) && fs::exists(path + "/" + index, ec) ? index : "model.safetensors";
}

bool IsAdapterDirectory(const std::string& path) {
  std::error_code ec;
  return fs::exists(path + "/adapter_config.json", ec);
}

Result<AdapterDirectory> OpenAdapterDirectory(const std::string& path) {
  AdapterDirectory directory;
  directory.path = path;
  TRIBUTARY_ASSIGN(directory.config_json, ReadConfig(path, "adapter_config.json", "an adapter directory as PEFT writes it"));
  const std::string file = path + "/adapter_model.safetensors";
  TRIBUTARY_ASSIGN(auto header, tensor::ReadSafetensorsHeader(file));
  for (tensor::StoredTensor& stored : header.tensors) directory.weights.push_back({std::move(stored.spec), file, stored.file_offset, stored.bytes});
  return directory;
}

Status ReadWeight(const StoredWeight& weight, std::uint64_t offset, std::span<std::byte> out) {
  const int file = open(weight.file.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return ErrnoError(errno, "opening " + weight.file);
  Status status = Ok();
  while (status.ok() && !out.empty()) {
    const ssize_t n = pread(file, out.data(), out.size(), static_cast<off_t>(weight.offset + offset));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) {
      status = ErrnoError(errno, "reading " + weight.file);
    } else if (n == 0) {
      status = MakeError(Code::kDataLoss, "{} ended while tensor '{}' was read", weight.file, weight.spec.name);
    } else {
      out = out.subspan(static_cast<std::size_t>(n));
      offset += static_cast<std::uint64_t>(n);
    }
  }
  close(file);
  return status;
}

}  // namespace tributary::modeldir
