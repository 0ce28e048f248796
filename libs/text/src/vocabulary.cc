#include "vocabulary.h"

#include <cerrno>
#include <filesystem>
#include <fstream>

#include "byte_alphabet.h"
#include "tributary/text/tokenizer.h"

namespace tributary::text {
namespace {

constexpr std::size_t kMaxMerges = 2u << 20;
constexpr std::size_t kMaxTokenBytes = 4096;

Status AddMerge(std::string_view left, std::string_view right, const std::string& where,
                BpeTables& tables) {
  std::string left_bytes(left);
  std::string right_bytes(right);
  if (tables.byte_level) {
    left_bytes = BytesOfToken(left).value_or("");
    right_bytes = BytesOfToken(right).value_or("");
  }
  if (left_bytes.empty() || right_bytes.empty()) {
    return MakeError(Code::kInvalidArgument, "{} is not two tokens{} with a space between", where,
                     tables.byte_level ? " of GPT-2's byte alphabet" : "");
  }
  if (left_bytes.size() + right_bytes.size() > kMaxTokenBytes) {
    return MakeError(Code::kInvalidArgument, "{} makes a token of more than {} bytes", where,
                     kMaxTokenBytes);
  }
  if (tables.merges.size() == kMaxMerges) {
    return MakeError(Code::kInvalidArgument, "{} is one too many; at most {} are possible", where,
                     kMaxMerges);
  }
  tables.merges.emplace_back(std::move(left_bytes), std::move(right_bytes));
  return Ok();
}

// One space, so that nothing is guessed.
Status AddMergeText(std::string_view text, const std::string& where, BpeTables& tables) {
  const std::size_t space = text.find(' ');
  if (space == std::string_view::npos || text.find(' ', space + 1) != std::string_view::npos)
    return AddMerge("", "", where, tables);
  return AddMerge(text.substr(0, space), text.substr(space + 1), where, tables);
}

}  // namespace

Status CheckTokenCount(std::size_t count, const std::string& path) {
  if (count == 0 || count > kMaxVocabulary) {
    return MakeError(Code::kInvalidArgument, "{}: {} tokens; a vocabulary has 1 to {}", path, count,
                     kMaxVocabulary);
  }
  return Ok();
}

Result<std::size_t> CheckTokenId(const Json& value, const std::string& token, std::size_t total,
                                 const std::string& path) {
  if (!value.is_number_integer() || value < 0 || value >= total) {
    return MakeError(Code::kInvalidArgument,
                     "{}: the id of token '{}' is not an integer below {}, the number of tokens",
                     path, token.substr(0, 40), total);
  }
  return value.get<std::size_t>();
}

Status AddVocabulary(const Json& vocabulary, const std::unordered_set<std::string>& added,
                     const std::string& path, BpeTables& tables, std::vector<bool>& taken) {
  const std::size_t total = tables.tokens.size();
  for (const auto& [token, value] : vocabulary.items()) {
    TRIBUTARY_ASSIGN(const std::size_t id, CheckTokenId(value, token, total, path));
    if (taken[id])
      return MakeError(Code::kInvalidArgument, "{}: id {} is given to two tokens", path, id);
    if (token.empty() || token.size() > kMaxTokenBytes) {
      return MakeError(Code::kInvalidArgument,
                       "{}: the token of id {} has {} bytes; 1 to {} are possible", path, id,
                       token.size(), kMaxTokenBytes);
    }
    taken[id] = true;
    if (!tables.byte_level) {
      tables.tokens[id] = token;
      continue;
    }
    auto bytes = BytesOfToken(token);
    if (!bytes && !added.contains(token)) {
      return MakeError(Code::kInvalidArgument,
                       "{}: token '{}' has characters outside GPT-2's byte alphabet, and it is no "
                       "added token; a vocabulary without that alphabet needs a tokenizer.json "
                       "without ByteLevel",
                       path, token.substr(0, 40));
    }
    // Text does not become what only added tokens can be.
    if (bytes) tables.tokens[id] = std::move(*bytes);
  }
  return Ok();
}

Status AddMerges(const Json& merges, const std::string& path, BpeTables& tables) {
  for (std::size_t i = 0; i < merges.size(); ++i) {
    const Json& merge = merges[i];
    const std::string where = fmt::format("{}: model.merges: merge {}", path, i + 1);
    if (merge.is_string()) {
      TRIBUTARY_TRY(AddMergeText(merge.get_ref<const std::string&>(), where, tables));
    } else if (merge.is_array() && merge.size() == 2 && merge[0].is_string() &&
               merge[1].is_string()) {
      TRIBUTARY_TRY(AddMerge(merge[0].get_ref<const std::string&>(),
                             merge[1].get_ref<const std::string&>(), where, tables));
    } else {
      return AddMerge("", "", where, tables);
    }
  }
  return Ok();
}

Status ReadMergeLines(const std::string& path, BpeTables& tables) {
  std::error_code ec;
  const auto size = std::filesystem::file_size(path, ec);
  if (ec) return ErrnoError(ec.value(), path);
  if (size > kMaxTokenizerFileBytes) {
    return MakeError(Code::kInvalidArgument,
                     "{}: {} bytes is more than a merges file may have ({})", path, size,
                     kMaxTokenizerFileBytes);
  }
  std::ifstream in(path, std::ios::binary);
  if (!in) return ErrnoError(errno, path);
  std::string line;
  for (std::size_t number = 1; std::getline(in, line); ++number) {
    if (!line.empty() && line.back() == '\r') line.pop_back();
    if (line.empty() || (number == 1 && line.starts_with("#version"))) continue;
    TRIBUTARY_TRY(AddMergeText(line, fmt::format("{}: line {}", path, number), tables));
  }
  return Ok();
}

}  // namespace tributary::text
