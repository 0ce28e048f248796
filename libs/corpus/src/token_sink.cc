#include "token_sink.h"

#include <algorithm>

#include "tributary/text/utf8.h"

namespace tributary::corpus {
namespace {

constexpr std::size_t kPieceBytes = 1u << 20;
constexpr std::size_t kMostBytes = 4 * kPieceBytes;
constexpr std::uint64_t kTellEvery = 1u << 20;
constexpr const char* kPartNames[] = {"training", "validation"};

}  // namespace

unsigned TokenForm::Width(const text::Tokenizer& tokenizer) const {
  return mark_prompts || tokenizer.VocabularySize() > 65536 ? 4 : 2;
}

Result<std::unique_ptr<TokenSink>> TokenSink::Create(
    const std::string& directory, const TokenForm& form, const text::Tokenizer& tokenizer,
    const std::function<Status(std::uint64_t)>& on_progress) {
  std::unique_ptr<TokenSink> sink(new TokenSink(form, tokenizer, on_progress));
  for (const char* part : kPartNames) {
    TRIBUTARY_ASSIGN(auto writer,
                     TokenFileWriter::Create(directory + "/" + part, form.Width(tokenizer)));
    sink->parts_.push_back(Open{std::move(writer), {}, {}, false, false});
  }
  return sink;
}

bool TokenSink::RowIsFull(const Open& open) const {
  return !form_.packing && open.row.size() > form_.max_length;
}

Status TokenSink::Tell(std::size_t bytes) {
  encoded_ += bytes;
  if (!on_progress_ || encoded_ - told_ < kTellEvery) return Ok();
  told_ = encoded_;
  return on_progress_(encoded_);
}

Status TokenSink::Take(Open& open, std::span<const std::int32_t> ids) {
  if (form_.packing) return open.writer.Append(ids);
  const std::size_t room = form_.max_length + 1 - open.row.size();
  ids = ids.first(std::min(room, ids.size()));
  open.row.insert(open.row.end(), ids.begin(), ids.end());
  return Ok();
}

// Encodes the first `bytes` of the text that waits.
Status TokenSink::Encode(Open& open, std::size_t bytes) {
  text::EncodeOptions options;
  options.continues = open.begun;
  TRIBUTARY_ASSIGN(const auto ids, tokenizer_.Encode(std::string_view(open.text).substr(0, bytes), options));
  open.begun = true;
  TRIBUTARY_TRY(Take(open, ids));
  open.text.erase(0, bytes);
  return Tell(bytes);
}

Status TokenSink::Add(Part part, std::string_view text) {
  if (part == Part::kValidation && !form_.with_validation) return Ok();
  Open& open = parts_[static_cast<std::size_t>(part)];
  open.any = open.any || !text.empty();
  if (RowIsFull(open)) return Ok();
  open.text += text;
  while (open.text.size() > kPieceBytes && !RowIsFull(open)) {
    const std::size_t newline = open.text.find('\n', kPieceBytes);
    if (newline != std::string::npos) {
      TRIBUTARY_TRY(Encode(open, newline + 1));
    } else if (open.text.size() >= kMostBytes) {
      TRIBUTARY_TRY(Encode(open, text::CompleteUtf8Prefix(open.text)));
    } else {
      break;
    }
  }
  if (RowIsFull(open)) open.text.clear();
  return Ok();
}

Status TokenSink::End(Part part) {
  if (part == Part::kValidation && !form_.with_validation) return Ok();
  Open& open = parts_[static_cast<std::size_t>(part)];
  if (!open.text.empty()) TRIBUTARY_TRY(Encode(open, open.text.size()));
  open.begun = false;
  return Close(open);
}

Status TokenSink::AddPair(Part part, std::string_view prompt, std::string_view completion) {
  if (part == Part::kValidation && !form_.with_validation) return Ok();
  Open& open = parts_[static_cast<std::size_t>(part)];
  // Encoded together, as the model reads them; the prompt by itself says how many tokens are its
  // own.
  std::string both(prompt);
  both += completion;
  TRIBUTARY_ASSIGN(auto ids, tokenizer_.Encode(both));
  if (form_.mark_prompts) {
    TRIBUTARY_ASSIGN(const auto asked, tokenizer_.Encode(prompt));
    for (std::size_t i = 0; i < std::min(asked.size(), ids.size()); ++i) ids[i] |= kMarked;
  }
  open.any = !ids.empty();
  TRIBUTARY_TRY(Take(open, ids));
  TRIBUTARY_TRY(Tell(both.size()));
  return Close(open);
}

Status TokenSink::Close(Open& open) {
  const std::int32_t end = tokenizer_.EndOfText();
  if (open.any && end >= 0 && !RowIsFull(open)) TRIBUTARY_TRY(Take(open, std::span(&end, 1)));
  open.any = false;
  if (form_.packing) return Ok();
  // The first token of a row is predicted by nothing.
  const bool learns =
      open.row.size() > 1 && std::any_of(open.row.begin() + 1, open.row.end(),
                                         [](std::int32_t id) { return (id & kMarked) == 0; });
  if (learns) {
    TRIBUTARY_TRY(open.writer.BeginRow());
    TRIBUTARY_TRY(open.writer.Append(open.row));
  } else {
    ++left_out_;
  }
  open.row.clear();
  return Ok();
}

Status TokenSink::Finish() {
  for (Open& open : parts_) TRIBUTARY_TRY(open.writer.Finish());
  return Ok();
}

TokenCounts TokenSink::counts(Part part) const {
  return parts_[static_cast<std::size_t>(part)].writer.counts();
}

}  // namespace tributary::corpus
