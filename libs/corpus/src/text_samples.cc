#include "text_samples.h"

#include <algorithm>
#include <vector>

namespace tributary::corpus {
namespace {

constexpr std::int32_t kIdMask = ~kMarked;

// Tokens, each with its successor as the target; REQUIRES room for ids.size() - 1 of both.
void Lay(std::span<const std::int32_t> ids, std::int32_t* tokens, std::int32_t* targets) {
  for (std::size_t i = 0; i + 1 < ids.size(); ++i) {
    tokens[i] = ids[i] & kIdMask;
    targets[i] = (ids[i + 1] & kMarked) != 0 ? train::kIgnore : ids[i + 1];
  }
}

void Shape(train::Batch& batch, std::size_t rows, std::uint32_t columns) {
  batch.rows = static_cast<std::uint32_t>(rows);
  batch.columns = columns;
  batch.tokens.assign(rows * columns, 0);
  batch.targets.assign(rows * columns, train::kIgnore);
}

class Windows final : public Samples {
 public:
  Windows(std::shared_ptr<const TokenFile> tokens, std::uint32_t max_length, bool whole)
      : tokens_(std::move(tokens)), max_length_(max_length), whole_(whole) {}

  std::uint64_t tokens() const override { return tokens_->counts().tokens; }
  std::uint64_t size() const override {
    const std::uint64_t predicted = tokens() == 0 ? 0 : tokens() - 1;
    return whole_ ? predicted / max_length_ : (predicted + max_length_ - 1) / max_length_;
  }

  Status Fill(std::span<const std::uint64_t> numbers, std::uint64_t, bool,
              train::Batch& batch) const override {
    Shape(batch, numbers.size(), max_length_);
    std::vector<std::int32_t> ids;
    for (std::size_t row = 0; row < numbers.size(); ++row) {
      const std::uint64_t begin = numbers[row] * max_length_;
      ids.resize(std::min<std::uint64_t>(max_length_ + 1ull, tokens() - begin));
      TRIBUTARY_TRY(tokens_->Read(begin, ids));
      Lay(ids, batch.tokens.data() + row * max_length_, batch.targets.data() + row * max_length_);
    }
    return Ok();
  }

 private:
  std::shared_ptr<const TokenFile> tokens_;
  std::uint32_t max_length_;
  bool whole_;
};

class Rows final : public Samples {
 public:
  Rows(std::shared_ptr<const TokenFile> tokens, std::uint32_t max_length)
      : tokens_(std::move(tokens)), max_length_(max_length) {}

  std::uint64_t tokens() const override { return tokens_->counts().tokens; }
  std::uint64_t size() const override { return tokens_->counts().rows; }

  Status Fill(std::span<const std::uint64_t> numbers, std::uint64_t, bool,
              train::Batch& batch) const override {
    std::vector<TokenFile::Row> rows;
    std::uint64_t longest = 0;
    for (const std::uint64_t number : numbers) {
      TRIBUTARY_ASSIGN(const auto row, tokens_->ReadRow(number));
      const std::uint64_t length = row.end - row.begin;
      if (length < 2 || length > max_length_ + 1ull) {
        return MakeError(Code::kDataLoss, "row {} of a token file has {} tokens, expected 2 to {}",
                         number, length, max_length_ + 1ull);
      }
      longest = std::max(longest, length);
      rows.push_back(row);
    }
    const auto columns = static_cast<std::uint32_t>(longest - 1);
    Shape(batch, rows.size(), columns);
    std::vector<std::int32_t> ids;
    for (std::size_t i = 0; i < rows.size(); ++i) {
      ids.resize(rows[i].end - rows[i].begin);
      TRIBUTARY_TRY(tokens_->Read(rows[i].begin, ids));
      Lay(ids, batch.tokens.data() + i * columns, batch.targets.data() + i * columns);
    }
    return Ok();
  }

 private:
  std::shared_ptr<const TokenFile> tokens_;
  std::uint32_t max_length_;
};

}  // namespace

std::shared_ptr<const Samples> MakeWindows(std::shared_ptr<const TokenFile> tokens,
                                           std::uint32_t max_length, bool whole) {
  return std::make_shared<Windows>(std::move(tokens), max_length, whole);
}

std::shared_ptr<const Samples> MakeRows(std::shared_ptr<const TokenFile> tokens,
                                        std::uint32_t max_length) {
  return std::make_shared<Rows>(std::move(tokens), max_length);
}

}  // namespace tributary::corpus
