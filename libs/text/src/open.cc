#include <filesystem>

#include "bpe.h"
#include "bpe_files.h"
#include "tributary/text/tokenizer.h"

namespace tributary::text {

Result<std::unique_ptr<Tokenizer>> OpenTokenizer(const std::string& path) {
  namespace fs = std::filesystem;
  if (path.empty()) return MakeByteTokenizer();
  std::error_code ec;
  const auto status = fs::status(path, ec);
  if (!fs::exists(status)) {
    return MakeError(Code::kNotFound,
                     "tokenizer {}: no such file or directory; give a directory with vocab.json "
                     "and merges.txt, a "
                     "tokenizer.json, or leave it out for bytes",
                     path);
  }
  if (!fs::is_directory(status)) {
    TRIBUTARY_ASSIGN(BpeTables tables, ReadTokenizerJson(path));
    return MakeBpeTokenizer(std::move(tables), path);
  }
  const fs::path directory(path);
  if (fs::exists(directory / "tokenizer.json", ec)) {
    const std::string file = (directory / "tokenizer.json").string();
    TRIBUTARY_ASSIGN(BpeTables tables, ReadTokenizerJson(file));
    return MakeBpeTokenizer(std::move(tables), file);
  }
  for (const auto& [vocabulary, merges] :
       {std::pair("vocab.json", "merges.txt"), std::pair("encoder.json", "vocab.bpe")}) {
    if (!fs::exists(directory / vocabulary, ec)) continue;
    TRIBUTARY_ASSIGN(BpeTables tables,
                     ReadBpePair((directory / vocabulary).string(), (directory / merges).string()));
    return MakeBpeTokenizer(std::move(tables), path);
  }
  return MakeError(Code::kNotFound,
                   "tokenizer {}: neither tokenizer.json nor vocab.json (encoder.json) is in it; "
                   "leave the tokenizer "
                   "out for bytes",
                   path);
}

}  // namespace tributary::text
