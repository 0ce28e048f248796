#include "services/trainer/script_model.h"

#include <array>
#include <filesystem>
#include <fstream>
#include <span>

#include "services/trainer/local_data.h"
#include "tributary/digest/digest.h"
#include "tributary/json/json.h"

namespace tributary::trainer {
namespace {

constexpr const char* kType = "torchscript";

std::string AbsolutePath(const std::string& path) {
  std::error_code error;
  const auto absolute = std::filesystem::absolute(path, error);
  return error ? path : absolute.lexically_normal().string();
}

std::string ConfigOf(const std::string& path, const std::string& sha256) {
  OrderedJson config;
  config["model_type"] = kType;
  config["script"] = AbsolutePath(path);
  config["sha256"] = sha256;
  return config.dump(2) + "\n";
}

Result<std::string> DigestOf(const std::string& path) {
  std::error_code error;
  std::ifstream in(path, std::ios::binary);
  if (!in || !std::filesystem::is_regular_file(path, error)) {
    return MakeError(Code::kNotFound, "model.script: {} is no file that can be read here; the file must lie there on every trainer's machine", path);
  }
  digest::Sha256Stream stream;
  std::vector<char> block(1u << 20);
  while (in) {
    in.read(block.data(), static_cast<std::streamsize>(block.size()));
    stream.Update(std::as_bytes(std::span(block).first(static_cast<std::size_t>(in.gcount()))));
  }
  if (in.bad()) return MakeError(Code::kIo, "model.script: reading {} failed", path);
  return digest::Hex(stream.Finish());
}

}  // namespace

bool IsScriptConfig(const std::string& config_json) {
  const auto config = ParseJson(config_json, "config.json");
  if (!config.ok()) return false;  // said where it is used
  const auto type = GetString(*config, "model_type", "config.json");
  return type.ok() && *type == kType;
}

Result<std::string> FirstConfig(const job::Model& model) {
  if (model.script.empty()) return MakeConfigJson(model);
  TRIBUTARY_ASSIGN(const std::string sha256, DigestOf(model.script));
  return ConfigOf(model.script, sha256);
}

Result<std::string> LocalConfig(const std::string& config_json, const job::Model& model) {
  const bool script = IsScriptConfig(config_json);
  if (model.script.empty()) {
    if (!script) return config_json;
    return MakeError(Code::kInvalidArgument, "the model's config.json asks for a TorchScript file, and the job names none: set model.script");
  }
  if (!script) return MakeError(Code::kInvalidArgument, "the model is none of model.script: its config.json has another model_type");
  TRIBUTARY_ASSIGN(const Json config, ParseJson(config_json, "config.json"));
  TRIBUTARY_ASSIGN(const std::string sha256, GetString(config, "sha256", "config.json"));
  TRIBUTARY_TRY(digest::ParseSha256(sha256).status());
  return ConfigOf(model.script, sha256);
}

}  // namespace tributary::trainer
