// A tokenizer out of its checked parts.
#pragma once

#include <memory>
#include <string>

#include "tokenizer_spec.h"
#include "tributary/text/tokenizer.h"

namespace tributary::text {

// `what` names the tables in errors.
Result<std::unique_ptr<Tokenizer>> MakeBpeTokenizer(TokenizerSpec spec, const std::string& what);

}  // namespace tributary::text
