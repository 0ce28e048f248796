#include "pretokenizer.h"

#include "normalizer.h"
#include "unicode_classes.h"

namespace tributary::text {

Result<std::unique_ptr<Pretokenizer>> Pretokenizer::Make(std::vector<SplitStep> steps) {
  auto made = std::make_unique<Pretokenizer>();
  made->expressions_.resize(steps.size());
  for (std::size_t i = 0; i < steps.size(); ++i) {
    if (steps[i].kind != SplitStep::kExpression) continue;
    TRIBUTARY_ASSIGN(made->expressions_[i], Regex::Make(steps[i].expression));
  }
  made->steps_ = std::move(steps);
  return made;
}

Status Pretokenizer::Split(std::string_view utf8, const Place& place, PieceSink& sink) const {
  return Run(0, utf8, place, sink);
}

Status Pretokenizer::Run(std::size_t index, std::string_view text, const Place& place,
                         PieceSink& sink) const {
  if (text.empty()) return Ok();
  if (index == steps_.size()) {
    sink.Take(text);
    return Ok();
  }
  const SplitStep& step = steps_[index];
  const bool last = index + 1 == steps_.size();
  switch (step.kind) {
    case SplitStep::kWords:
      for (std::size_t at = 0; at < text.size();) {
        const std::size_t length = PieceLength(step.pattern, text.substr(at));
        if (last) {
          sink.Take(text.substr(at, length));
        } else {
          TRIBUTARY_TRY(Run(index + 1, text.substr(at, length),
                            {place.first && at == 0, place.continues}, sink));
        }
        at += length;
      }
      return Ok();
    case SplitStep::kExpression: {
      Status inner;
      std::size_t at = 0;
      TRIBUTARY_TRY(expressions_[index]->Split(text, [&](std::string_view piece) {
        if (inner.ok())
          inner = Run(index + 1, piece, {place.first && at == 0, place.continues}, sink);
        at += piece.size();
      }));
      return inner;
    }
    case SplitStep::kDigits:
    case SplitStep::kDigitRuns:
      return Digits(index, text, place, sink);
    case SplitStep::kPrefixSpace:
      if (text[0] == ' ' || (place.first && place.continues))
        return Run(index + 1, text, place, sink);
      return Run(index + 1, " " + std::string(text), place, sink);
    case SplitStep::kMetaspace:
      return Metaspace(index, text, place, sink);
  }
  return Ok();
}

Status Pretokenizer::Digits(std::size_t index, std::string_view text, const Place& place,
                            PieceSink& sink) const {
  const ClassTable& classes = ClassTable::Get();
  const bool alone = steps_[index].kind == SplitStep::kDigits;
  std::size_t begin = 0;
  bool digits = false;  // what text[begin ...] is
  for (std::size_t at = 0; at < text.size();) {
    const auto byte = static_cast<std::uint8_t>(text[at]);
    const std::uint8_t mask =
        byte < 0x80 ? classes.OfAscii(byte) : classes.Of(DecodeUtf8(text.data() + at));
    const bool digit = (mask & kNumeric) != 0;
    if (at > begin && (digit != digits || (digit && alone))) {
      TRIBUTARY_TRY(Run(index + 1, text.substr(begin, at - begin),
                        {place.first && begin == 0, place.continues}, sink));
      begin = at;
    }
    digits = digit;
    at += byte < 0x80 ? 1 : Utf8Length(text[at]);
  }
  return Run(index + 1, text.substr(begin), {place.first && begin == 0, place.continues}, sink);
}

Status Pretokenizer::Metaspace(std::size_t index, std::string_view text, const Place& place,
                               PieceSink& sink) const {
  const SplitStep& step = steps_[index];
  std::string marked = ReplaceAll(text, " ", step.mark);
  const bool wanted =
      step.prepend == SplitStep::kAlways || (step.prepend == SplitStep::kFirst && place.first);
  if (wanted && !(place.first && place.continues) && !marked.starts_with(step.mark)) {
    marked.insert(0, step.mark);
  }
  const std::string_view view(marked);
  if (!step.split) return Run(index + 1, view, place, sink);
  for (std::size_t begin = 0; begin < view.size();) {
    const std::size_t end = std::min(view.find(step.mark, begin + 1), view.size());
    TRIBUTARY_TRY(Run(index + 1, view.substr(begin, end - begin),
                      {place.first && begin == 0, place.continues}, sink));
    begin = end;
  }
  return Ok();
}

}  // namespace tributary::text
