#include "services/trainer/model_directory.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <span>
#include <utility>

#include "tributary/base/names.h"
#include "tributary/json/json.h"
#include "tributary/tensor/safetensors.h"

namespace tributary::trainer {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kMaxConfigBytes = 1u << 20;
constexpr std::string_view kPrefix = "transformer.";
constexpr std::size_t kNamed = 5;  // tensors that an error lists

struct Source {
  std::string file;
  tensor::StoredTensor tensor;
};
using Sources = std::map<std::string, Source>;  // by name without prefix

std::string Bare(const std::string& name) {
  return name.compare(0, kPrefix.size(), kPrefix) == 0 ? name.substr(kPrefix.size()) : name;
}

// Saved by older versions though no weights: masks, and the output layer that is tied to the embedding.
bool IsDerived(const std::string& bare) {
  const auto ends = [&](std::string_view tail) {
    return bare.size() >= tail.size() && bare.compare(bare.size() - tail.size(), tail.size(), tail) == 0;
  };
  return bare == "lm_head.weight" || ends(".attn.bias") || ends(".attn.masked_bias");
}

Result<std::string> ReadConfig(const std::string& directory) {
  const std::string path = directory + "/config.json";
  std::error_code ec;
  const auto size = fs::file_size(path, ec);
  if (ec) {
    return MakeError(Code::kNotFound, "{} has no readable config.json ({}): expected a model directory as Hugging Face writes it",
                     directory, ec.message());
  }
  if (size > kMaxConfigBytes) return MakeError(Code::kInvalidArgument, "{} is over 1 MiB: that is no config.json", path);
  std::ifstream file(path, std::ios::binary);
  std::string text(size, '\0');
  if (!file.read(text.data(), static_cast<std::streamsize>(size))) return MakeError(Code::kIo, "reading {} failed", path);
  TRIBUTARY_TRY(ParseJson(text, path).status());
  return text;
}

Result<std::set<std::string>> WeightFiles(const std::string& directory) {
  if (fs::exists(directory + "/model.safetensors")) return std::set<std::string>{"model.safetensors"};
  const std::string index = directory + "/model.safetensors.index.json";
  if (!fs::exists(index)) {
    return MakeError(Code::kNotFound, "{} has neither model.safetensors nor model.safetensors.index.json; other formats are not read",
                     directory);
  }
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

Result<Sources> FindTensors(const std::string& directory) {
  TRIBUTARY_ASSIGN(const auto files, WeightFiles(directory));
  Sources sources;
  for (const auto& file : files) {
    const std::string path = directory + "/" + file;
    TRIBUTARY_ASSIGN(auto header, tensor::ReadSafetensorsHeader(path));
    for (auto& stored : header.tensors) {
      const std::string bare = Bare(stored.spec.name);
      if (IsDerived(bare)) continue;
      if (!sources.emplace(bare, Source{path, std::move(stored)}).second) {
        return MakeError(Code::kInvalidArgument, "{}: tensor '{}' stands twice", path, bare);
      }
    }
  }
  return sources;
}

std::string Shape(const tensor::TensorSpec& spec) {
  std::string text = fmt::format("{} [", tensor::DTypeName(spec.dtype));
  for (std::size_t i = 0; i < spec.shape.size(); ++i) text += fmt::format("{}{}", i == 0 ? "" : ", ", spec.shape[i]);
  return text + "]";
}

std::string Some(const std::vector<std::string>& names) {
  std::string text;
  for (std::size_t i = 0; i < names.size() && i < kNamed; ++i) text += (i == 0 ? "" : ", ") + names[i];
  if (names.size() > kNamed) text += fmt::format(" and {} more", names.size() - kNamed);
  return text;
}

Status CheckNames(const std::string& directory, const train::Model& model, const Sources& sources) {
  std::vector<std::string> missing;
  std::set<std::string> wanted;
  for (const auto& parameter : model.Parameters()) {
    const std::string bare = Bare(parameter.name);
    wanted.insert(bare);
    const auto source = sources.find(bare);
    if (source == sources.end()) {
      missing.push_back(parameter.name);
      continue;
    }
    const auto& stored = source->second.tensor.spec;
    if (stored.dtype != parameter.dtype || stored.shape != parameter.shape) {
      return MakeError(Code::kInvalidArgument, "{}: tensor '{}' is {}, its config.json asks for {}", source->second.file,
                       stored.name, Shape(stored), Shape(parameter));
    }
  }
  if (!missing.empty()) {
    return MakeError(Code::kInvalidArgument, "{} lacks tensors that its config.json asks for: {}", directory, Some(missing));
  }
  std::vector<std::string> extra;
  for (const auto& [bare, source] : sources) {
    if (!wanted.contains(bare)) extra.push_back(source.tensor.spec.name);
  }
  if (!extra.empty()) {
    return MakeError(Code::kInvalidArgument, "{} has tensors that its config.json does not know: {}", directory, Some(extra));
  }
  return Ok();
}

Status ReadInto(int file, const Source& source, std::span<std::byte> out) {
  std::uint64_t offset = source.tensor.file_offset;
  while (!out.empty()) {
    const ssize_t n = pread(file, out.data(), out.size(), static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return ErrnoError(errno, "reading " + source.file);
    if (n == 0) return MakeError(Code::kDataLoss, "{} ended while tensor '{}' was read", source.file, source.tensor.spec.name);
    out = out.subspan(static_cast<std::size_t>(n));
    offset += static_cast<std::uint64_t>(n);
  }
  return Ok();
}

}  // namespace

Status CheckModelDirectory(const std::string& directory) {
  TRIBUTARY_TRY(ReadConfig(directory).status());
  return FindTensors(directory).status();
}

Result<std::unique_ptr<train::Model>> LoadModelDirectory(const std::string& directory, train::Module& module) {
  TRIBUTARY_ASSIGN(const std::string config, ReadConfig(directory));
  TRIBUTARY_ASSIGN(const Sources sources, FindTensors(directory));
  auto made = module.CreateModel({config});
  if (!made.ok()) return made.error().Wrap(directory);
  std::unique_ptr<train::Model> model = std::move(*made);
  TRIBUTARY_TRY(CheckNames(directory, *model, sources));
  for (std::uint32_t i = 0; i < model->Parameters().size(); ++i) {
    const Source& source = sources.at(Bare(model->Parameters()[i].name));
    const int file = open(source.file.c_str(), O_RDONLY | O_CLOEXEC);
    if (file < 0) return ErrnoError(errno, "opening " + source.file);
    auto status = ReadInto(file, source, model->ParameterBytes(i));
    close(file);
    if (!status.ok()) return status.error();
  }
  return model;
}

}  // namespace tributary::trainer
