// Reads a tokenizer's files. Failures: errors that name file, place and what was expected.
#pragma once

#include <string>

#include "tokenizer_spec.h"

namespace tributary::text {

Result<TokenizerSpec> ReadBpePair(const std::string& vocabulary_path,
                                  const std::string& merges_path);
Result<TokenizerSpec> ReadTokenizerJson(const std::string& path);

// Beginning, end and padding as the other files of the directory name them; a directory without
// such files changes nothing. `all_special`: what has a role is special, and add_bos_token counts;
// a tokenizer.json says both itself.
Status ReadTokenRoles(const std::string& directory, bool all_special, TokenizerSpec& spec);
// REQUIRES: roles were read, where there are any.
void ChooseEndOfText(TokenizerSpec& spec);

}  // namespace tributary::text
