#include "bpe_tokenizer.h"

#include "tributary/text/utf8.h"

namespace tributary::text {
namespace {

constexpr std::size_t kMaxTextBytes = std::size_t{1} << 30;

// Tokens with the text that is looked for: their content, or what the normalizer makes of it.
std::vector<AddedToken> AddedWhere(const TokenizerSpec& spec, bool normalized) {
  std::vector<AddedToken> tokens;
  for (AddedToken token : spec.added) {
    if (token.normalized != normalized) continue;
    if (normalized) token.content = Normalize(spec.normalizer, token.content);
    tokens.push_back(std::move(token));
  }
  return tokens;
}

class BpeTokenizer final : public Tokenizer {
 public:
  BpeTokenizer(TokenizerSpec spec, std::unique_ptr<Bpe> bpe,
               std::unique_ptr<Pretokenizer> pretokenizer)
      : bpe_(std::move(bpe)),
        pretokenizer_(std::move(pretokenizer)),
        raw_added_(AddedWhere(spec, false)),
        normalized_added_(AddedWhere(spec, true)),
        any_normalized_added_(!AddedWhere(spec, true).empty()),
        special_(bpe_->tokens().size()),
        contents_(bpe_->tokens().size(), -1) {
    for (std::size_t i = 0; i < spec.added.size(); ++i) {
      special_[spec.added[i].id] = spec.added[i].special;
      contents_[spec.added[i].id] = static_cast<std::int32_t>(i);
    }
    if (spec.end_of_text >= 0) special_[spec.end_of_text] = true;
    spec.model = {};
    spec_ = std::move(spec);
  }

  Result<std::vector<std::int32_t>> Encode(std::string_view text,
                                           const EncodeOptions& options) const override {
    if (text.size() > kMaxTextBytes) {
      return MakeError(Code::kInvalidArgument, "a text of {} bytes; at most {} are encoded at once",
                       text.size(), kMaxTextBytes);
    }
    std::string replaced;
    if (!IsValidUtf8(text)) {
      replaced = ReplaceInvalidUtf8(text);
      text = replaced;
    }
    std::vector<std::int32_t> ids;
    ids.reserve(text.size() / 3 + 4);
    if (options.add_special_tokens) ids = spec_.prefix;
    Sink sink(*bpe_, caches_.Take(), ids);
    Status status;
    raw_added_.Split(
        text, options.parse_special_tokens, [&](std::int32_t id) { ids.push_back(id); },
        [&](std::string_view part) {
          const Place place{part.data() == text.data(), options.continues};
          if (status.ok()) status = EncodePart(part, place, options.parse_special_tokens, sink);
        });
    caches_.Return(sink.GiveCacheBack());
    if (!status.ok()) return status.error();
    if (options.add_special_tokens) ids.insert(ids.end(), spec_.suffix.begin(), spec_.suffix.end());
    return ids;
  }

  std::string DecodeBytes(std::span<const std::int32_t> ids, bool continues) const override {
    return DecodeAs(ids, {.continues = continues, .replace_invalid = false});
  }
  std::string Decode(std::span<const std::int32_t> ids) const override {
    return ReplaceInvalidUtf8(DecodeAs(ids, {.continues = false, .replace_invalid = true}));
  }

  std::uint32_t VocabularySize() const override {
    return static_cast<std::uint32_t>(bpe_->tokens().size());
  }
  std::int32_t EndOfText() const override { return spec_.end_of_text; }
  std::int32_t Bos() const override { return spec_.bos; }
  std::int32_t Eos() const override { return spec_.eos; }
  std::int32_t Pad() const override { return spec_.pad; }
  bool IsSpecial(std::int32_t id) const override { return Known(id) && special_[id]; }
  std::int32_t TokenId(std::string_view content) const override {
    for (const AddedToken& token : spec_.added) {
      if (token.content == content) return token.id;
    }
    return bpe_->tokens().Find(content);
  }

 private:
  class Sink final : public PieceSink {
   public:
    Sink(const Bpe& bpe, std::unique_ptr<WordCache> cache, std::vector<std::int32_t>& ids)
        : bpe_(bpe), cache_(std::move(cache)), ids_(ids) {
      scratch_.cache = cache_.get();
    }
    void Take(std::string_view piece) override { bpe_.Encode(piece, scratch_, ids_); }
    void TakeId(std::int32_t id) { ids_.push_back(id); }
    std::unique_ptr<WordCache> GiveCacheBack() { return std::move(cache_); }

   private:
    const Bpe& bpe_;
    std::unique_ptr<WordCache> cache_;
    Bpe::Scratch scratch_;
    std::vector<std::int32_t>& ids_;
  };

  bool Known(std::int32_t id) const {
    return id >= 0 && static_cast<std::size_t>(id) < special_.size();
  }

  Status EncodePart(std::string_view part, const Place& place, bool parse_special,
                    Sink& sink) const {
    std::string normalized;
    if (!spec_.normalizer.empty()) {
      normalized = Normalize(spec_.normalizer, part, !(place.first && place.continues));
      part = normalized;
    }
    if (!any_normalized_added_) return pretokenizer_->Split(part, place, sink);
    Status status;
    normalized_added_.Split(
        part, parse_special, [&](std::int32_t id) { sink.TakeId(id); },
        [&](std::string_view between) {
          const Place inner{place.first && between.data() == part.data(), place.continues};
          if (status.ok()) status = pretokenizer_->Split(between, inner, sink);
        });
    return status;
  }

  std::string DecodeAs(std::span<const std::int32_t> ids, const DecodeMode& mode) const {
    if (spec_.decoder.empty()) {
      std::string text;
      for (const std::int32_t id : ids) {
        if (Known(id) && !special_[id]) text += Text(id);
      }
      return text;
    }
    std::vector<std::string> tokens;
    tokens.reserve(ids.size());
    for (const std::int32_t id : ids) {
      if (Known(id) && !special_[id]) tokens.emplace_back(Text(id));
    }
    return DecodeTokens(spec_.decoder, std::move(tokens), mode);
  }

  std::string_view Text(std::int32_t id) const {
    return contents_[id] >= 0 ? std::string_view(spec_.added[contents_[id]].content)
                              : bpe_->tokens().Bytes(id);
  }

  std::unique_ptr<Bpe> bpe_;
  std::unique_ptr<Pretokenizer> pretokenizer_;
  AddedTokens raw_added_;
  AddedTokens normalized_added_;
  bool any_normalized_added_;
  TokenizerSpec spec_;  // without the model
  std::vector<bool> special_;
  std::vector<std::int32_t> contents_;  // index into spec_.added, or -1
  mutable WordCachePool caches_;
};

}  // namespace

Result<std::unique_ptr<Tokenizer>> MakeBpeTokenizer(TokenizerSpec spec, const std::string& what) {
  TRIBUTARY_ASSIGN(auto bpe, Bpe::Make(std::move(spec.model), what));
  auto pretokenizer = Pretokenizer::Make(spec.pretokenizer);
  if (!pretokenizer.ok()) return pretokenizer.error().Wrap(what + ": pre_tokenizer");
  return std::unique_ptr<Tokenizer>(std::make_unique<BpeTokenizer>(
      std::move(spec), std::move(bpe), std::move(pretokenizer).value()));
}

}  // namespace tributary::text
