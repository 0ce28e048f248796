#include "bpe_files.h"

#include "tributary/json/json.h"
#include "vocabulary.h"

namespace tributary::text {

Result<TokenizerSpec> ReadBpePair(const std::string& vocabulary_path,
                                  const std::string& merges_path) {
  TRIBUTARY_ASSIGN(const Json vocabulary, ReadJsonFile(vocabulary_path, kMaxTokenizerFileBytes));
  if (!vocabulary.is_object()) {
    return MakeError(Code::kInvalidArgument, "{}: expected an object of token to id",
                     vocabulary_path);
  }
  TRIBUTARY_TRY(CheckTokenCount(vocabulary.size(), vocabulary_path));
  TokenizerSpec spec;
  spec.model.byte_level = true;
  spec.model.tokens.resize(vocabulary.size());
  spec.model.special.resize(vocabulary.size());
  std::vector<bool> taken(vocabulary.size());
  TRIBUTARY_TRY(AddVocabulary(vocabulary, {}, vocabulary_path, spec.model, taken));
  TRIBUTARY_TRY(ReadMergeLines(merges_path, spec.model));
  spec.pretokenizer.push_back({.kind = SplitStep::kWords, .pattern = WordPattern::kGpt2});
  // These files do not say what is special; this spelling is, wherever it is met.
  const auto end = vocabulary.find("<|endoftext|>");
  if (end != vocabulary.end()) {
    spec.added.push_back(
        {.content = "<|endoftext|>", .id = end->get<std::int32_t>(), .special = true});
    spec.model.special[end->get<std::size_t>()] = true;
  }
  return spec;
}

}  // namespace tributary::text
