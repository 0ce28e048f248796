#include <unordered_set>

#include "bpe_files.h"
#include "json_fields.h"
#include "tokenizer_json_steps.h"
#include "vocabulary.h"

namespace tributary::text {
namespace {

constexpr std::size_t kMaxAddedTokens = 65536;
constexpr std::size_t kMaxAddedBytes = 1u << 20;

Status CheckModel(const JsonPlace& model) {
  if (!model.value.is_object())
    return MakeError(Code::kInvalidArgument, "{} is missing; this is not a tokenizer.json",
                     model.name);
  // Old files leave the type out when it is BPE.
  if (model.value.contains("type") && model.Type() != "BPE")
    return NotSupported(model, "only BPE is");
  for (const char* key : {"continuing_subword_prefix", "end_of_word_suffix"}) {
    const JsonPlace member = model.Member(key);
    if (!member.value.is_null() && member.value != "")
      return MakeError(Code::kInvalidArgument, "{} is not supported; leave it null", member.name);
  }
  const JsonPlace dropout = model.Member("dropout");
  if (!dropout.value.is_null() && dropout.value != 0)
    return MakeError(Code::kInvalidArgument,
                     "{} is not supported: the same text would give other ids each time",
                     dropout.name);
  if (!model.Member("vocab").value.is_object() || !model.Member("merges").value.is_array())
    return MakeError(Code::kInvalidArgument, "{}.vocab or {}.merges is missing", model.name,
                     "model");
  return Ok();
}

Status ReadModelFlags(const JsonPlace& model, BpeTables& tables) {
  TRIBUTARY_ASSIGN(tables.byte_fallback, model.Flag("byte_fallback", false));
  TRIBUTARY_ASSIGN(tables.fuse_unknown, model.Flag("fuse_unk", false));
  TRIBUTARY_ASSIGN(tables.ignore_merges, model.Flag("ignore_merges", false));
  const JsonPlace unknown = model.Member("unk_token");
  if (unknown.value.is_null()) return Ok();
  const Json& vocabulary = model.Member("vocab").value;
  if (!unknown.value.is_string() || !vocabulary.contains(unknown.value.get<std::string>()))
    return MakeError(Code::kInvalidArgument, "{} is not a token of model.vocab", unknown.name);
  tables.unknown = vocabulary[unknown.value.get<std::string>()].get<std::int32_t>();
  return Ok();
}

Result<AddedToken> ReadAddedToken(const JsonPlace& place) {
  AddedToken token;
  TRIBUTARY_ASSIGN(token.content, place.Text("content"));
  if (token.content.empty() || token.content.size() > kMaxAddedTokenBytes)
    return MakeError(Code::kInvalidArgument, "{}.content has {} bytes; 1 to {} are possible",
                     place.name, token.content.size(), kMaxAddedTokenBytes);
  TRIBUTARY_ASSIGN(token.special, place.Flag("special", false));
  TRIBUTARY_ASSIGN(token.single_word, place.Flag("single_word", false));
  TRIBUTARY_ASSIGN(token.lstrip, place.Flag("lstrip", false));
  TRIBUTARY_ASSIGN(token.rstrip, place.Flag("rstrip", false));
  TRIBUTARY_ASSIGN(token.normalized, place.Flag("normalized", !token.special));
  if (place.Member("id").value.is_null())
    return MakeError(Code::kInvalidArgument, "{} has no id", place.name);
  return token;
}

Status ReadAddedTokens(const JsonPlace& added, TokenizerSpec& spec,
                       std::unordered_set<std::string>& contents) {
  if (added.value.is_null()) return Ok();
  if (!added.value.is_array() || added.value.size() > kMaxAddedTokens)
    return MakeError(Code::kInvalidArgument, "{} is not a list of at most {} tokens", added.name,
                     kMaxAddedTokens);
  std::size_t bytes = 0;
  for (std::size_t i = 0; i < added.value.size(); ++i) {
    TRIBUTARY_ASSIGN(AddedToken token, ReadAddedToken(added.At(i)));
    if (!contents.insert(token.content).second)
      return MakeError(Code::kInvalidArgument, "{}: '{}' is there twice", added.At(i).name,
                       token.content.substr(0, 40));
    bytes += token.content.size();
    if (bytes > kMaxAddedBytes)
      return MakeError(Code::kInvalidArgument, "{} has more than {} bytes of text", added.name,
                       kMaxAddedBytes);
    spec.added.push_back(std::move(token));
  }
  return Ok();
}

// Gives ids to the added tokens: that of the vocabulary where it has them, else one of their own.
Status PlaceAddedTokens(const Json& added, const Json& vocabulary, const std::string& path,
                        TokenizerSpec& spec, std::vector<bool>& taken) {
  spec.model.special.resize(spec.model.tokens.size());
  for (std::size_t i = 0; i < spec.added.size(); ++i) {
    AddedToken& token = spec.added[i];
    const Json& value = added[i]["id"];
    TRIBUTARY_ASSIGN(const std::size_t id, CheckTokenId(value, token.content, taken.size(), path));
    const auto known = vocabulary.find(token.content);
    if (known != vocabulary.end() ? *known != value : taken[id])
      return MakeError(Code::kInvalidArgument, "{}: id {} is given to two tokens", path, id);
    taken[id] = true;
    token.id = static_cast<std::int32_t>(id);
    spec.model.special[id] = token.special;
  }
  return Ok();
}

}  // namespace

Result<TokenizerSpec> ReadTokenizerJson(const std::string& path) {
  TRIBUTARY_ASSIGN(const Json file, ReadJsonFile(path, kMaxTokenizerFileBytes));
  const JsonPlace root{file, path + ": "};
  const JsonPlace model = root.Member("model");
  TRIBUTARY_TRY(CheckModel(model));
  TokenizerSpec spec;
  TRIBUTARY_TRY(ReadNormalizer(root.Member("normalizer"), spec));
  TRIBUTARY_TRY(ReadPretokenizer(root.Member("pre_tokenizer"), spec));
  std::unordered_set<std::string> contents;
  TRIBUTARY_TRY(ReadAddedTokens(root.Member("added_tokens"), spec, contents));

  const Json& vocabulary = model.Member("vocab").value;
  std::size_t total = vocabulary.size();
  for (const AddedToken& token : spec.added) total += vocabulary.contains(token.content) ? 0 : 1;
  TRIBUTARY_TRY(CheckTokenCount(total, path));
  spec.model.tokens.resize(total);
  std::vector<bool> taken(total);
  TRIBUTARY_TRY(AddVocabulary(vocabulary, contents, path, spec.model, taken));
  TRIBUTARY_TRY(ReadModelFlags(model, spec.model));
  TRIBUTARY_TRY(PlaceAddedTokens(root.Member("added_tokens").value, vocabulary, path, spec, taken));
  TRIBUTARY_TRY(AddMerges(model.Member("merges").value, path, spec.model));
  TRIBUTARY_TRY(ReadPostprocessor(root.Member("post_processor"), spec));
  TRIBUTARY_TRY(ReadDecoder(root.Member("decoder"), spec));
  return spec;
}

}  // namespace tributary::text
