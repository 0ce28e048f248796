#include "tokenizer_json_steps.h"

#include <algorithm>
#include <functional>

#include "tributary/text/utf8.h"
#include "unicode_classes.h"

namespace tributary::text {
namespace {

constexpr std::size_t kMaxSteps = 32;
constexpr std::size_t kMaxStepText = 64;
constexpr std::size_t kMaxGrowth = 64;

using TakeStep = std::function<Status(const JsonPlace&)>;

Status EachOf(const JsonPlace& place, const std::string& list, std::size_t& count,
              const TakeStep& step) {
  if (++count > kMaxSteps) {
    return MakeError(Code::kInvalidArgument, "{} is one too many; at most {} steps are possible",
                     place.name, kMaxSteps);
  }
  if (place.Type() != "Sequence") return step(place);
  const JsonPlace steps = place.Member(list);
  if (!steps.value.is_array())
    return MakeError(Code::kInvalidArgument, "{} is not a list", steps.name);
  for (std::size_t i = 0; i < steps.value.size(); ++i)
    TRIBUTARY_TRY(EachOf(steps.At(i), list, count, step));
  return Ok();
}

// The step itself, or those of a Sequence one by one, in order; nested ones too.
Status EachStep(const JsonPlace& place, const std::string& list, const TakeStep& step) {
  std::size_t count = 0;
  return place.value.is_null() ? Ok() : EachOf(place, list, count, step);
}

// Steps may multiply: a few bytes in a file must not make terabytes of a text.
Status CheckGrowth(const JsonPlace& place, std::size_t pattern, std::size_t content,
                   std::size_t& growth) {
  growth *= std::max<std::size_t>(1, (content + pattern - 1) / pattern);
  if (growth <= kMaxGrowth) return Ok();
  return MakeError(Code::kInvalidArgument, "{} makes text more than {} times as long", place.name,
                   kMaxGrowth);
}

// Short, so that text grows by a bounded factor.
Result<std::string> ShortText(const JsonPlace& place, const std::string& key, bool may_be_empty) {
  TRIBUTARY_ASSIGN(std::string text, place.Text(key));
  if (text.size() > kMaxStepText || (text.empty() && !may_be_empty)) {
    return MakeError(Code::kInvalidArgument, "{}.{} has {} bytes; {} to {} are possible",
                     place.name, key, text.size(), may_be_empty ? 0 : 1, kMaxStepText);
  }
  return text;
}

Result<std::string> OneCharacter(const JsonPlace& place, const std::string& key) {
  TRIBUTARY_ASSIGN(std::string text, ShortText(place, key, false));
  if (Utf8Length(text[0]) != text.size())
    return MakeError(Code::kInvalidArgument, "{}.{} is not one character", place.name, key);
  return text;
}

Result<std::string> StringPattern(const JsonPlace& place) {
  const JsonPlace pattern = place.Member("pattern");
  if (!pattern.Member("String").value.is_string()) {
    return MakeError(Code::kInvalidArgument, "{} is not supported; only {{\"String\": ...}} is",
                     pattern.name);
  }
  return ShortText(pattern, "String", false);
}

Status AddSplit(const JsonPlace& step, TokenizerSpec& spec) {
  const JsonPlace pattern = step.Member("pattern");
  SplitStep split{.kind = SplitStep::kExpression};
  const Json& regex = pattern.Member("Regex").value;
  if (regex.is_string()) {
    split.expression = regex.get<std::string>();
    if (KnownPattern(split.expression, &split.pattern)) split.kind = SplitStep::kWords;
  } else {
    TRIBUTARY_ASSIGN(const std::string text, StringPattern(step));
    for (const char c : text) {
      const bool plain = static_cast<std::uint8_t>(c) >= 0x80 || (c >= '0' && c <= '9') ||
                         (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
      if (!plain) split.expression += '\\';
      split.expression += c;
    }
  }
  TRIBUTARY_ASSIGN(const std::string behavior, step.Text("behavior"));
  TRIBUTARY_ASSIGN(const bool invert, step.Flag("invert", false));
  // Where the expression matches everywhere, removing what lies between removes nothing.
  const bool covering = split.kind == SplitStep::kWords && behavior == "Removed" && invert;
  if (!(behavior == "Isolated" && !invert) && !covering) {
    return MakeError(Code::kInvalidArgument,
                     "{}: behavior '{}'{} is not supported; only 'Isolated' is", step.name,
                     behavior.substr(0, 40), invert ? " inverted" : "");
  }
  spec.pretokenizer.push_back(std::move(split));
  return Ok();
}

Status AddMetaspace(const JsonPlace& step, TokenizerSpec& spec) {
  SplitStep split{.kind = SplitStep::kMetaspace};
  TRIBUTARY_ASSIGN(split.mark, OneCharacter(step, "replacement"));
  TRIBUTARY_ASSIGN(split.split, step.Flag("split", true));
  TRIBUTARY_ASSIGN(const bool prefix, step.Flag("add_prefix_space", true));
  const JsonPlace scheme = step.Member("prepend_scheme");
  if (scheme.value.is_null()) {
    split.prepend = prefix ? SplitStep::kAlways : SplitStep::kNever;
  } else if (scheme.value == "always" && prefix) {
    split.prepend = SplitStep::kAlways;
  } else if (scheme.value == "first" && prefix) {
    split.prepend = SplitStep::kFirst;
  } else if (scheme.value == "never") {
    split.prepend = SplitStep::kNever;
  } else {
    return MakeError(Code::kInvalidArgument,
                     "{} is not 'always', 'first' or 'never', or add_prefix_space contradicts it",
                     scheme.name);
  }
  spec.pretokenizer.push_back(std::move(split));
  return Ok();
}

Status AddByteLevel(const JsonPlace& step, TokenizerSpec& spec) {
  TRIBUTARY_ASSIGN(const bool prefix, step.Flag("add_prefix_space", true));
  TRIBUTARY_ASSIGN(const bool use_regex, step.Flag("use_regex", true));
  if (prefix) spec.pretokenizer.push_back({.kind = SplitStep::kPrefixSpace});
  if (use_regex) {
    spec.pretokenizer.push_back({.kind = SplitStep::kWords, .pattern = WordPattern::kGpt2});
  }
  spec.model.byte_level = true;
  return Ok();
}

Result<std::int32_t> IdInVocabulary(const JsonPlace& id, const TokenizerSpec& spec) {
  if (!id.value.is_number_integer() || id.value < 0 || id.value >= spec.model.tokens.size()) {
    return MakeError(Code::kInvalidArgument, "{} is not an id of the vocabulary, which has {}",
                     id.name, spec.model.tokens.size());
  }
  return id.value.get<std::int32_t>();
}

Status AddTemplate(const JsonPlace& step, TokenizerSpec& spec) {
  const JsonPlace single = step.Member("single");
  if (!single.value.is_array() || single.value.size() > kMaxSteps)
    return MakeError(Code::kInvalidArgument, "{} is not a list of at most {} parts", single.name,
                     kMaxSteps);
  std::vector<std::int32_t> before;
  std::vector<std::int32_t> behind;
  int texts = 0;
  for (std::size_t i = 0; i < single.value.size(); ++i) {
    const JsonPlace part = single.At(i);
    const JsonPlace special = part.Member("SpecialToken");
    if (special.value.is_null()) {
      if (part.Member("Sequence").Member("id").value != "A" || ++texts > 1)
        return MakeError(Code::kInvalidArgument, "{} is neither a special token nor the one text A",
                         part.name);
      continue;
    }
    TRIBUTARY_ASSIGN(const std::string name, special.Text("id"));
    const JsonPlace ids = step.Member("special_tokens").Member(name).Member("ids");
    if (!ids.value.is_array() || ids.value.size() > kMaxSteps)
      return MakeError(Code::kInvalidArgument, "{} is not a list of ids", ids.name);
    for (std::size_t k = 0; k < ids.value.size(); ++k) {
      TRIBUTARY_ASSIGN(const std::int32_t id, IdInVocabulary(ids.At(k), spec));
      (texts == 0 ? before : behind).push_back(id);
    }
  }
  if (texts == 0) return MakeError(Code::kInvalidArgument, "{} leaves the text out", single.name);
  // A later step goes around what earlier ones made.
  spec.prefix.insert(spec.prefix.begin(), before.begin(), before.end());
  spec.suffix.insert(spec.suffix.end(), behind.begin(), behind.end());
  return Ok();
}

// {"cls": ["<s>", 0], "sep": ["</s>", 2]}
Status AddPairOfTokens(const JsonPlace& step, TokenizerSpec& spec) {
  for (const char* key : {"cls", "sep"}) {
    const JsonPlace token = step.Member(key);
    if (!token.value.is_array() || token.value.size() != 2)
      return MakeError(Code::kInvalidArgument, "{} is not a token with its id", token.name);
    TRIBUTARY_ASSIGN(const std::int32_t id, IdInVocabulary(token.At(1), spec));
    if (key == std::string("cls")) {
      spec.prefix.insert(spec.prefix.begin(), id);
    } else {
      spec.suffix.push_back(id);
    }
  }
  return Ok();
}

Result<std::size_t> Count(const JsonPlace& place) {
  if (!place.value.is_number_unsigned() || place.value > 1000)
    return MakeError(Code::kInvalidArgument, "{} is not a number of at most 1000", place.name);
  return place.value.get<std::size_t>();
}

Status AddDecodeStep(const JsonPlace& step, std::size_t& growth, TokenizerSpec& spec) {
  const std::string type = step.Type();
  DecodeStep decode{};
  if (type == "Replace") {
    decode.kind = DecodeStep::kReplace;
    TRIBUTARY_ASSIGN(decode.pattern, StringPattern(step));
    TRIBUTARY_ASSIGN(decode.content, ShortText(step, "content", true));
    TRIBUTARY_TRY(CheckGrowth(step, decode.pattern.size(), decode.content.size(), growth));
  } else if (type == "ByteFallback") {
    decode.kind = DecodeStep::kByteFallback;
  } else if (type == "Fuse") {
    decode.kind = DecodeStep::kFuse;
  } else if (type == "Strip") {
    decode.kind = DecodeStep::kStrip;
    TRIBUTARY_ASSIGN(decode.content, OneCharacter(step, "content"));
    TRIBUTARY_ASSIGN(decode.start, Count(step.Member("start")));
    TRIBUTARY_ASSIGN(decode.stop, Count(step.Member("stop")));
  } else if (type == "Metaspace") {
    decode.kind = DecodeStep::kMetaspace;
    TRIBUTARY_ASSIGN(decode.pattern, OneCharacter(step, "replacement"));
    TRIBUTARY_ASSIGN(const bool prefix, step.Flag("add_prefix_space", true));
    decode.first = prefix && step.Member("prepend_scheme").value != "never";
  } else {
    return NotSupported(step,
                        "a decoder is made of ByteLevel, Replace, ByteFallback, Fuse, Strip "
                        "and Metaspace");
  }
  spec.decoder.push_back(std::move(decode));
  return Ok();
}

}  // namespace

Status ReadNormalizer(const JsonPlace& place, TokenizerSpec& spec) {
  std::size_t growth = 1;
  return EachStep(place, "normalizers", [&](const JsonPlace& step) -> Status {
    const std::string type = step.Type();
    NormalizerStep normalizer{};
    if (type == "Prepend") {
      normalizer.kind = NormalizerStep::kPrepend;
      TRIBUTARY_ASSIGN(normalizer.content, ShortText(step, "prepend", true));
    } else if (type == "Replace") {
      normalizer.kind = NormalizerStep::kReplace;
      TRIBUTARY_ASSIGN(normalizer.pattern, StringPattern(step));
      TRIBUTARY_ASSIGN(normalizer.content, ShortText(step, "content", true));
      TRIBUTARY_TRY(
          CheckGrowth(step, normalizer.pattern.size(), normalizer.content.size(), growth));
    } else {
      return NotSupported(step, "a normalizer is made of Prepend and Replace");
    }
    spec.normalizer.push_back(std::move(normalizer));
    return Ok();
  });
}

Status ReadPretokenizer(const JsonPlace& place, TokenizerSpec& spec) {
  spec.model.byte_level = false;
  bool metaspace = false;
  return EachStep(place, "pretokenizers", [&](const JsonPlace& step) -> Status {
    const std::string type = step.Type();
    if (spec.model.byte_level || (metaspace && type == "ByteLevel")) {
      return MakeError(Code::kInvalidArgument,
                       "{}: '{}' is not supported there; ByteLevel comes last and not with "
                       "Metaspace",
                       step.name, type);
    }
    if (type == "Split") return AddSplit(step, spec);
    if (type == "ByteLevel") return AddByteLevel(step, spec);
    if (type == "Metaspace") {
      metaspace = true;
      return AddMetaspace(step, spec);
    }
    if (type == "Digits") {
      TRIBUTARY_ASSIGN(const bool alone, step.Flag("individual_digits", false));
      spec.pretokenizer.push_back({.kind = alone ? SplitStep::kDigits : SplitStep::kDigitRuns});
      return Ok();
    }
    return NotSupported(step, "a pre_tokenizer is made of Split, Digits, Metaspace and ByteLevel");
  });
}

Status ReadPostprocessor(const JsonPlace& place, TokenizerSpec& spec) {
  return EachStep(place, "processors", [&](const JsonPlace& step) -> Status {
    const std::string type = step.Type();
    if (type == "ByteLevel") return Ok();  // about offsets, not ids
    if (type == "TemplateProcessing") return AddTemplate(step, spec);
    if (type == "BertProcessing" || type == "RobertaProcessing") return AddPairOfTokens(step, spec);
    return NotSupported(step,
                        "a post_processor is made of TemplateProcessing, BertProcessing, "
                        "RobertaProcessing and ByteLevel");
  });
}

Status ReadDecoder(const JsonPlace& place, TokenizerSpec& spec) {
  bool first = true;
  std::size_t growth = 1;
  return EachStep(place, "decoders", [&](const JsonPlace& step) -> Status {
    const bool bytes = step.Type() == "ByteLevel";
    if (bytes != (first && spec.model.byte_level)) {
      return MakeError(Code::kInvalidArgument,
                       "{}: '{}' is not supported there; ByteLevel comes first, and only where "
                       "pre_tokenizer has it too",
                       step.name, step.Type());
    }
    first = false;
    // Tokens of the model are bytes already.
    return bytes ? Ok() : AddDecodeStep(step, growth, spec);
  });
}

}  // namespace tributary::text
