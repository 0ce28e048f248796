#include <filesystem>
#include <utility>

#include "bpe_files.h"
#include "byte_alphabet.h"
#include "json_fields.h"

namespace tributary::text {
namespace {

constexpr std::uint64_t kMaxConfigBytes = 4u << 20;

std::int32_t IdOf(const TokenizerSpec& spec, const std::string& content) {
  for (const AddedToken& token : spec.added) {
    if (token.content == content) return token.id;
  }
  const std::string bytes = spec.model.byte_level ? BytesOfToken(content).value_or("") : content;
  if (bytes.empty()) return -1;
  for (std::size_t id = 0; id < spec.model.tokens.size(); ++id) {
    if (spec.model.tokens[id] == bytes) return static_cast<std::int32_t>(id);
  }
  return -1;
}

// The file as an object, or null where it is absent.
Result<Json> ReadOptional(const std::filesystem::path& path) {
  std::error_code ec;
  if (!std::filesystem::exists(path, ec)) return Json();
  TRIBUTARY_ASSIGN(Json file, ReadJsonFile(path.string(), kMaxConfigBytes));
  if (!file.is_object())
    return MakeError(Code::kInvalidArgument, "{}: expected an object", path.string());
  return file;
}

// "<s>" or {"content": "<s>", ...}; -1: not said, or no token of the vocabulary.
std::int32_t NamedToken(const Json& file, const std::string& key, const TokenizerSpec& spec) {
  const JsonPlace token = JsonPlace{file, ""}.Member(key);
  const JsonPlace content = token.Member("content");
  const Json& text = token.value.is_string() ? token.value : content.value;
  return text.is_string() ? IdOf(spec, text.get<std::string>()) : -1;
}

// 2 or [2, 3]; the first counts.
std::int32_t NumberedToken(const Json& file, const std::string& key, const TokenizerSpec& spec) {
  const JsonPlace member = JsonPlace{file, ""}.Member(key);
  const Json& id =
      member.value.is_array() && !member.value.empty() ? member.value[0] : member.value;
  const bool good = id.is_number_integer() && id >= 0 && id < spec.model.tokens.size();
  return good ? id.get<std::int32_t>() : -1;
}

// Without a tokenizer.json the roles are what says that a token is special.
void MakeSpecial(std::int32_t id, const std::string& content, TokenizerSpec& spec) {
  for (const AddedToken& token : spec.added) {
    if (token.id == id) return;
  }
  spec.added.push_back({.content = content, .id = id, .special = true});
  spec.model.special[id] = true;
}

}  // namespace

void ChooseEndOfText(TokenizerSpec& spec) {
  for (const char* spelling : {"<|endoftext|>", "<|end_of_text|>"}) {
    spec.end_of_text = IdOf(spec, spelling);
    if (spec.end_of_text >= 0) return;
  }
  spec.end_of_text = spec.eos >= 0 ? spec.eos : IdOf(spec, "</s>");
}

Status ReadTokenRoles(const std::string& directory, bool all_special, TokenizerSpec& spec) {
  const std::filesystem::path in(directory);
  TRIBUTARY_ASSIGN(const Json tokenizer, ReadOptional(in / "tokenizer_config.json"));
  TRIBUTARY_ASSIGN(const Json map, ReadOptional(in / "special_tokens_map.json"));
  TRIBUTARY_ASSIGN(const Json model, ReadOptional(in / "config.json"));
  for (const auto& [name, role] :
       {std::pair("bos", &spec.bos), std::pair("eos", &spec.eos), std::pair("pad", &spec.pad)}) {
    const std::string key = std::string(name) + "_token";
    *role = NamedToken(tokenizer, key, spec);
    if (*role < 0) *role = NamedToken(map, key, spec);
    if (*role >= 0 && all_special) MakeSpecial(*role, spec.model.tokens[*role], spec);
    if (*role < 0) *role = NumberedToken(model, key + "_id", spec);
  }
  // Where there is no tokenizer.json, this is what says that texts begin with a token.
  if (all_special && spec.bos >= 0 && tokenizer.is_object() &&
      tokenizer.value("add_bos_token", Json()) == true) {
    spec.prefix = {spec.bos};
  }
  return Ok();
}

}  // namespace tributary::text
