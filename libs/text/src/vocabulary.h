// Vocabularies and merges as files have them: into BpeTables, checked.
//
// Failures: errors that name the file and the token, merge or line.
#pragma once

#include <string>
#include <unordered_set>
#include <vector>

#include "bpe.h"
#include "tributary/json/json.h"

namespace tributary::text {

constexpr std::uint64_t kMaxTokenizerFileBytes = 64u << 20;

Status CheckTokenCount(std::size_t count, const std::string& path);
// A token's id: ids are dense, so `total` bounds them before anything is sized by one.
Result<std::size_t> CheckTokenId(const Json& value, const std::string& token, std::size_t total,
                                 const std::string& path);

// Fills tables.tokens, which has `total` places. Tokens of `added` may be outside of the byte
// alphabet. `taken` tells afterwards which ids are given.
Status AddVocabulary(const Json& vocabulary, const std::unordered_set<std::string>& added,
                     const std::string& path, BpeTables& tables, std::vector<bool>& taken);
// "a b" or ["a", "b"] each.
Status AddMerges(const Json& merges, const std::string& path, BpeTables& tables);
// merges.txt.
Status ReadMergeLines(const std::string& path, BpeTables& tables);

}  // namespace tributary::text
