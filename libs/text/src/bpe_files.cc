#include "bpe_files.h"

#include <array>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string_view>

#include "tributary/json/json.h"
#include "tributary/text/utf8.h"

namespace tributary::text {
namespace {

constexpr std::uint64_t kMaxFileBytes = 64u << 20;
constexpr std::size_t kMaxMerges = 2u << 20;
constexpr std::size_t kMaxTokenBytes = 4096;

// GPT-2 writes bytes as printable characters: those that are printable in Latin-1 stand for
// themselves, the others are U+0100 upwards in order.
const std::unordered_map<std::string, char>& ByteAlphabet() {
  static const auto* alphabet = [] {
    auto* map = new std::unordered_map<std::string, char>;
    char32_t next = 0x100;
    for (int byte = 0; byte < 256; ++byte) {
      const bool printable =
          (byte >= '!' && byte <= '~') || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
      map->emplace(EncodeUtf8(printable ? static_cast<char32_t>(byte) : next++),
                   static_cast<char>(byte));
    }
    return map;
  }();
  return *alphabet;
}

std::optional<std::string> BytesOfToken(std::string_view token) {
  std::string bytes;
  for (std::size_t i = 0; i < token.size();) {
    const std::size_t length = (static_cast<std::uint8_t>(token[i]) & 0x80) == 0 ? 1 : 2;
    const auto found = ByteAlphabet().find(std::string(token.substr(i, length)));
    if (found == ByteAlphabet().end()) return std::nullopt;
    bytes.push_back(found->second);
    i += length;
  }
  return bytes;
}

Result<std::pair<std::string, std::string>> MakeMerge(std::string_view left, std::string_view right,
                                                      const std::string& path, std::size_t number) {
  const auto left_bytes = BytesOfToken(left);
  const auto right_bytes = BytesOfToken(right);
  if (!left_bytes || !right_bytes || left_bytes->empty() || right_bytes->empty()) {
    return MakeError(Code::kInvalidArgument,
                     "{}: merge {} is not two tokens of GPT-2's byte alphabet with a space between",
                     path, number);
  }
  return std::pair(*left_bytes, *right_bytes);
}

// A token's id, checked: ids are dense, so `total` bounds them before anything is sized by one.
Result<std::size_t> CheckId(const Json& value, const std::string& token, std::size_t total,
                            const std::string& path) {
  if (!value.is_number_integer() || value < 0 || value >= total) {
    return MakeError(Code::kInvalidArgument,
                     "{}: the id of token '{}' is not an integer below {}, the number of tokens",
                     path, token.substr(0, 40), total);
  }
  return value.get<std::size_t>();
}

Status CheckCount(std::size_t count, const std::string& path) {
  if (count == 0 || count > kMaxVocabulary) {
    return MakeError(Code::kInvalidArgument, "{}: {} tokens; a vocabulary has 1 to {}", path, count,
                     kMaxVocabulary);
  }
  return Ok();
}

// Fills tokens by id. `extra` further ids are expected outside (added tokens).
Status AddVocabulary(const Json& vocabulary, std::size_t total, const std::string& path,
                     BpeTables& tables, std::vector<bool>& taken) {
  for (const auto& [token, value] : vocabulary.items()) {
    TRIBUTARY_ASSIGN(const std::size_t id, CheckId(value, token, total, path));
    if (taken[id])
      return MakeError(Code::kInvalidArgument, "{}: id {} is given to two tokens", path, id);
    if (token.empty() || token.size() > kMaxTokenBytes) {
      return MakeError(Code::kInvalidArgument,
                       "{}: the token of id {} has {} bytes; 1 to {} are possible", path, id,
                       token.size(), kMaxTokenBytes);
    }
    taken[id] = true;
    if (token == "<|endoftext|>") {
      tables.end_of_text = static_cast<std::int32_t>(id);
      continue;
    }
    auto bytes = BytesOfToken(token);
    if (!bytes) {
      return MakeError(Code::kInvalidArgument,
                       "{}: token '{}' has characters outside GPT-2's byte alphabet; only "
                       "byte-level BPE is supported",
                       path, token.substr(0, 40));
    }
    tables.tokens[id] = std::move(*bytes);
  }
  return Ok();
}

Status ReadMergeLines(const std::string& path, BpeTables& tables) {
  std::error_code ec;
  const auto size = std::filesystem::file_size(path, ec);
  if (ec) return ErrnoError(ec.value(), path);
  if (size > kMaxFileBytes) {
    return MakeError(Code::kInvalidArgument,
                     "{}: {} bytes is more than a merges file may have ({})", path, size,
                     kMaxFileBytes);
  }
  std::ifstream in(path, std::ios::binary);
  if (!in) return ErrnoError(errno, path);
  std::string line;
  for (std::size_t number = 1; std::getline(in, line); ++number) {
    if (!line.empty() && line.back() == '\r') line.pop_back();
    if (line.empty() || (number == 1 && line.starts_with("#version"))) continue;
    const std::size_t space = line.find(' ');
    if (space == std::string::npos || tables.merges.size() == kMaxMerges) {
      return MakeError(Code::kInvalidArgument,
                       "{}: line {} is not two tokens with a space between, or there are too many",
                       path, number);
    }
    const std::string_view view(line);
    TRIBUTARY_ASSIGN(auto merge,
                     MakeMerge(view.substr(0, space), view.substr(space + 1), path, number));
    tables.merges.push_back(std::move(merge));
  }
  return Ok();
}

Status ReadJsonMerges(const Json& merges, const std::string& path, BpeTables& tables) {
  if (merges.size() > kMaxMerges) {
    return MakeError(Code::kInvalidArgument, "{}: {} merges; at most {} are possible", path,
                     merges.size(), kMaxMerges);
  }
  for (std::size_t i = 0; i < merges.size(); ++i) {
    const Json& merge = merges[i];
    std::string left;
    std::string right;
    if (merge.is_string()) {
      const auto& text = merge.get_ref<const std::string&>();
      const std::size_t space = text.find(' ');
      left = text.substr(0, space);
      if (space != std::string::npos) right = text.substr(space + 1);
    } else if (merge.is_array() && merge.size() == 2 && merge[0].is_string() &&
               merge[1].is_string()) {
      left = merge[0].get<std::string>();
      right = merge[1].get<std::string>();
    }
    TRIBUTARY_ASSIGN(auto pair, MakeMerge(left, right, path, i + 1));
    tables.merges.push_back(std::move(pair));
  }
  return Ok();
}

std::string TypeOf(const Json& value) {
  if (value.is_object() && value.contains("type") && value["type"].is_string())
    return value["type"];
  return value.is_null() ? "none" : "unknown";
}

bool Flag(const Json& object, const char* key, bool otherwise) {
  return object.contains(key) && object[key].is_boolean() ? object[key].get<bool>() : otherwise;
}

Status ReadPretokenizer(const Json& value, const std::string& path, BpeTables& tables) {
  Json steps = Json::array({value});
  if (TypeOf(value) == "Sequence" && value.contains("pretokenizers") &&
      value["pretokenizers"].is_array()) {
    steps = value["pretokenizers"];
  }
  bool byte_level = false;
  for (std::size_t i = 0; i < steps.size(); ++i) {
    const Json& step = steps[i];
    const std::string type = TypeOf(step);
    const bool last = i + 1 == steps.size();
    if (type == "ByteLevel" && last) {
      byte_level = true;
      tables.add_prefix_space = Flag(step, "add_prefix_space", true);
      tables.pretokenizer.use_regex = Flag(step, "use_regex", true);
    } else if (type == "Digits" && !last && Flag(step, "individual_digits", false)) {
      tables.pretokenizer.split_digits = true;
    } else {
      return MakeError(Code::kInvalidArgument,
                       "{}: pre_tokenizer '{}' is not supported; only ByteLevel, or Digits "
                       "(individual) then ByteLevel",
                       path, type);
    }
  }
  if (!byte_level || (tables.add_prefix_space && tables.pretokenizer.split_digits)) {
    return MakeError(Code::kInvalidArgument, "{}: pre_tokenizer has to end with ByteLevel", path);
  }
  return Ok();
}

Status CheckModelKind(const Json& file, const std::string& path) {
  if (!file.is_object() || !file.contains("model") || !file["model"].is_object()) {
    return MakeError(Code::kInvalidArgument, "{}: 'model' is missing; this is not a tokenizer.json",
                     path);
  }
  const Json& model = file["model"];
  // Old files leave the type out when it is BPE.
  const std::string type = model.contains("type") ? TypeOf(model) : "BPE";
  if (type != "BPE") {
    return MakeError(Code::kInvalidArgument,
                     "{}: tokenizer model '{}' is not supported; only byte-level BPE is", path,
                     type);
  }
  for (const char* key : {"byte_fallback", "ignore_merges"}) {
    if (Flag(model, key, false)) {
      return MakeError(Code::kInvalidArgument,
                       "{}: model.{} is not supported; only GPT-2's byte-level BPE is", path, key);
    }
  }
  for (const char* key : {"continuing_subword_prefix", "end_of_word_suffix"}) {
    if (model.contains(key) && model[key].is_string() && model[key] != "") {
      return MakeError(Code::kInvalidArgument,
                       "{}: model.{} is not supported; only GPT-2's byte-level BPE is", path, key);
    }
  }
  if (!model.contains("vocab") || !model["vocab"].is_object() || !model.contains("merges") ||
      !model["merges"].is_array()) {
    return MakeError(Code::kInvalidArgument, "{}: model.vocab or model.merges is missing", path);
  }
  if (file.contains("normalizer") && !file["normalizer"].is_null()) {
    return MakeError(Code::kInvalidArgument,
                     "{}: normalizer '{}' is not supported; byte-level BPE has none", path,
                     TypeOf(file["normalizer"]));
  }
  return Ok();
}

}  // namespace

Result<BpeTables> ReadBpePair(const std::string& vocabulary_path, const std::string& merges_path) {
  TRIBUTARY_ASSIGN(const Json vocabulary, ReadJsonFile(vocabulary_path, kMaxFileBytes));
  if (!vocabulary.is_object()) {
    return MakeError(Code::kInvalidArgument, "{}: expected an object of token to id",
                     vocabulary_path);
  }
  TRIBUTARY_TRY(CheckCount(vocabulary.size(), vocabulary_path));
  BpeTables tables;
  tables.tokens.resize(vocabulary.size());
  std::vector<bool> taken(vocabulary.size());
  TRIBUTARY_TRY(AddVocabulary(vocabulary, vocabulary.size(), vocabulary_path, tables, taken));
  TRIBUTARY_TRY(ReadMergeLines(merges_path, tables));
  return tables;
}

Result<BpeTables> ReadTokenizerJson(const std::string& path) {
  TRIBUTARY_ASSIGN(const Json file, ReadJsonFile(path, kMaxFileBytes));
  TRIBUTARY_TRY(CheckModelKind(file, path));
  const Json& vocabulary = file["model"]["vocab"];
  const Json added = file.value("added_tokens", Json::array());
  if (!added.is_array())
    return MakeError(Code::kInvalidArgument, "{}: added_tokens is not a list", path);

  std::size_t total = vocabulary.size();
  for (const Json& token : added) {
    TRIBUTARY_ASSIGN(const std::string content,
                     GetString(token, "content", path + ": added_tokens"));
    if (!vocabulary.contains(content)) ++total;
  }
  TRIBUTARY_TRY(CheckCount(total, path));
  BpeTables tables;
  tables.tokens.resize(total);
  std::vector<bool> taken(total);
  TRIBUTARY_TRY(AddVocabulary(vocabulary, total, path, tables, taken));
  for (const Json& token : added) {
    TRIBUTARY_ASSIGN(const std::string content,
                     GetString(token, "content", path + ": added_tokens"));
    if (!token.contains("id"))
      return MakeError(Code::kInvalidArgument, "{}: added token without id", path);
    TRIBUTARY_ASSIGN(const std::size_t id, CheckId(token["id"], content, total, path));
    const bool known = vocabulary.contains(content);
    if (known ? vocabulary[content] != token["id"] : taken[id]) {
      return MakeError(Code::kInvalidArgument, "{}: id {} is given to two tokens", path, id);
    }
    taken[id] = true;
    if (content == "<|endoftext|>") tables.end_of_text = static_cast<std::int32_t>(id);
    // Specials say nothing when decoded; other added tokens are plain text.
    tables.tokens[id] = Flag(token, "special", false) ? "" : content;
  }
  TRIBUTARY_TRY(ReadPretokenizer(file.value("pre_tokenizer", Json()), path, tables));
  TRIBUTARY_TRY(ReadJsonMerges(file["model"]["merges"], path, tables));
  return tables;
}

}  // namespace tributary::text
