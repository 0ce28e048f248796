// BpeTables out of files: GPT-2's pair (vocabulary as JSON, merges as lines) or a tokenizer.json.
#pragma once

#include <string>

#include "bpe.h"

namespace tributary::text {

Result<BpeTables> ReadBpePair(const std::string& vocabulary_path, const std::string& merges_path);
Result<BpeTables> ReadTokenizerJson(const std::string& path);

}  // namespace tributary::text
