// Documents into token files: encoded piece by piece, one file for each part.
#pragma once

#include <array>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "sources.h"
#include "token_file.h"
#include "tributary/text/tokenizer.h"

namespace tributary::corpus {

struct TokenForm {
  bool packing = true;  // documents end to end; else a row each, max_length + 1 tokens at most
  bool mark_prompts = false;     // their tokens carry no loss
  std::uint32_t max_length = 0;  // of rows
  bool with_validation = true;

  unsigned Width(const text::Tokenizer& tokenizer) const;
};

// Long text is encoded in pieces of about 1 MiB that end at a line where there is one (at a
// character where there is none within 4 MiB), so that memory is bounded. An end-of-text token
// follows each document where the tokenizer has one and, in rows, where there is room. Rows without
// a token that is predicted with loss are left out.
class TokenSink final : public DocumentSink {
 public:
  static Result<std::unique_ptr<TokenSink>> Create(
      const std::string& directory, const TokenForm& form, const text::Tokenizer& tokenizer,
      const std::function<Status(std::uint64_t)>& on_progress);

  Status Add(Part part, std::string_view text) override;
  Status End(Part part) override;
  Status AddPair(Part part, std::string_view prompt, std::string_view completion) override;

  Status Finish();
  TokenCounts counts(Part part) const;
  // Documents whose row had nothing to learn: too short, or a prompt that fills max_length.
  std::uint64_t left_out() const { return left_out_; }

 private:
  struct Open {
    TokenFileWriter writer;
    std::string text;               // of the document, not encoded yet
    std::vector<std::int32_t> row;  // of the document, in rows
    bool any = false;               // the document has text
    bool begun = false;             // a piece of it is encoded
  };

  TokenSink(const TokenForm& form, const text::Tokenizer& tokenizer,
            const std::function<Status(std::uint64_t)>& on_progress)
      : form_(form), tokenizer_(tokenizer), on_progress_(on_progress) {}

  Status Encode(Open& open, std::size_t bytes);
  Status Take(Open& open, std::span<const std::int32_t> ids);
  Status Close(Open& open);
  Status Tell(std::size_t bytes);
  bool RowIsFull(const Open& open) const;

  TokenForm form_;
  const text::Tokenizer& tokenizer_;
  const std::function<Status(std::uint64_t)>& on_progress_;
  std::vector<Open> parts_;
  std::uint64_t left_out_ = 0;
  std::uint64_t encoded_ = 0;
  std::uint64_t told_ = 0;
};

}  // namespace tributary::corpus
