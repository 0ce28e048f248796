// The parts of a tokenizer.json around its model: normalizer, pre_tokenizer, post_processor,
// decoder.
//
// Failures: what is not supported is refused with file, place and name.
#pragma once

#include "json_fields.h"
#include "tokenizer_spec.h"

namespace tributary::text {

Status ReadNormalizer(const JsonPlace& place, TokenizerSpec& spec);
// Also sets spec.model.byte_level.
Status ReadPretokenizer(const JsonPlace& place, TokenizerSpec& spec);
// REQUIRES: spec.model.tokens has its size.
Status ReadPostprocessor(const JsonPlace& place, TokenizerSpec& spec);
// REQUIRES: the pre_tokenizer was read.
Status ReadDecoder(const JsonPlace& place, TokenizerSpec& spec);

}  // namespace tributary::text
