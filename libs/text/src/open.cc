#include <filesystem>

#include "bpe_files.h"
#include "bpe_tokenizer.h"
#include "tributary/text/tokenizer.h"

namespace tributary::text {
namespace {

namespace fs = std::filesystem;

Result<std::unique_ptr<Tokenizer>> OpenDirectory(const fs::path& directory) {
  std::error_code ec;
  if (fs::exists(directory / "tokenizer.json", ec)) {
    const std::string file = (directory / "tokenizer.json").string();
    TRIBUTARY_ASSIGN(TokenizerSpec spec, ReadTokenizerJson(file));
    TRIBUTARY_TRY(ReadTokenRoles(directory.string(), false, spec));
    ChooseEndOfText(spec);
    return MakeBpeTokenizer(std::move(spec), file);
  }
  for (const auto& [vocabulary, merges] :
       {std::pair("vocab.json", "merges.txt"), std::pair("encoder.json", "vocab.bpe")}) {
    if (!fs::exists(directory / vocabulary, ec)) continue;
    TRIBUTARY_ASSIGN(TokenizerSpec spec,
                     ReadBpePair((directory / vocabulary).string(), (directory / merges).string()));
    TRIBUTARY_TRY(ReadTokenRoles(directory.string(), true, spec));
    ChooseEndOfText(spec);
    return MakeBpeTokenizer(std::move(spec), directory.string());
  }
  return MakeError(Code::kNotFound,
                   "tokenizer {}: neither tokenizer.json nor vocab.json (encoder.json) is in it; "
                   "leave the tokenizer out for bytes",
                   directory.string());
}

}  // namespace

Result<std::unique_ptr<Tokenizer>> OpenTokenizer(const std::string& path) {
  if (path.empty()) return MakeByteTokenizer();
  std::error_code ec;
  const auto status = fs::status(path, ec);
  if (!fs::exists(status)) {
    return MakeError(Code::kNotFound,
                     "tokenizer {}: no such file or directory; give a directory with vocab.json "
                     "and merges.txt, a tokenizer.json, or leave it out for bytes",
                     path);
  }
  if (fs::is_directory(status)) return OpenDirectory(path);
  TRIBUTARY_ASSIGN(TokenizerSpec spec, ReadTokenizerJson(path));
  ChooseEndOfText(spec);
  return MakeBpeTokenizer(std::move(spec), path);
}

}  // namespace tributary::text
