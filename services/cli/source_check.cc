#include "services/cli/source_check.h"

#include <algorithm>
#include <string>

#include "tributary/corpus/corpus.h"
#include "tributary/json/json.h"
#include "tributary/text/tokenizer.h"
#include "tributary/train/model_types.h"

namespace tributary::cli {
namespace {

constexpr std::size_t kShown = 60;

// A stranger's word within a line of ours.
std::string Shown(std::string word) {
  if (word.size() > kShown) word = word.substr(0, kShown) + "...";
  std::replace_if(word.begin(), word.end(), [](unsigned char c) { return c < ' ' || c == 0x7f; }, '?');
  return word;
}

// " (Qwen2ForCausalLM)" of "architectures": the name that people know a model by.
std::string Architecture(const Json& config) {
  const auto names = config.find("architectures");
  if (names == config.end() || !names->is_array() || names->empty() || !names->front().is_string()) return "";
  return " (" + Shown(names->front().get<std::string>()) + ")";
}

Status CheckModelType(const std::string& config_json, const std::string& file) {
  TRIBUTARY_ASSIGN(const Json config, ParseJson(config_json, file));
  const auto type = config.is_object() ? config.find("model_type") : config.end();
  if (type == config.end() || !type->is_string()) {
    return MakeError(Code::kInvalidArgument, "{} has no model_type, which says how its weights are computed with; supported: {}", file, train::ModelTypeNames());
  }
  const std::string name = type->get<std::string>();
  if (train::IsModelType(name)) return Ok();
  if (name == train::kScriptModelType) {
    return MakeError(Code::kInvalidArgument, "{} is of a TorchScript module, which is not loaded from a directory: put the weights into the module with "
                     "load_state_dict, save it, and set model.script", file);
  }
  return MakeError(Code::kInvalidArgument, "{}: model_type '{}'{} is not supported; supported: {}", file, Shown(name), Architecture(config),
                   train::ModelTypeNames());
}

Status CheckTokenizer(const std::string& directory) {
  const auto opened = text::OpenTokenizer(directory);
  if (opened.ok()) return Ok();
  return Error(opened.error().code(), opened.error().message() + "; byte-pair encoding is read, out of tokenizer.json or vocab.json and merges.txt "
                                      "(docs/tokenizers.md), and model.tokenizer: PATH takes another tokenizer");
}

}  // namespace

bool ReadsText(const job::Job& job) { return job.reads_data() && !corpus::IsImageFormat(job.data.format); }

Status CheckSource(const job::Job& job, const modeldir::ModelDirectory& source) {
  if (const Status known = CheckModelType(source.config_json, source.path + "/config.json"); !known.ok()) return known.error().Wrap("model.source");
  // One that the job does not use may be as it likes.
  if (!source.has_tokenizer || job.model.tokenizer_given || !ReadsText(job)) return Ok();
  const Status readable = CheckTokenizer(source.path);
  return readable.ok() ? readable : Status(readable.error().Wrap("model.source"));
}

}  // namespace tributary::cli
