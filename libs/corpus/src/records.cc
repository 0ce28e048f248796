#include "tributary/corpus/records.h"

#include <cstring>
#include <optional>

#include "file_reader.h"
#include "sources.h"

namespace tributary::corpus {
namespace {

constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
constexpr std::string_view kBlank = " \t\r\n";

Error Broken(const DataFile& file, std::uint64_t line, std::string_view what) {
  return MakeError(Code::kInvalidArgument, "{}:{}: {}", file.path, line, what);
}

Error TooLong(const DataFile& file, std::uint64_t line) {
  return Broken(file, line,
                fmt::format("a record has more than {} bytes, the most that one may have",
                            kMaxDocumentBytes));
}

// The objects of one JSON array, cut out by their brackets; what is inside is the parser's.
class ArrayCutter {
 public:
  ArrayCutter(const DataFile& file, const TakeRecord& take) : file_(file), take_(take) {}

  Result<bool> Feed(std::string_view block) {
    for (std::size_t i = 0; i < block.size(); ++i) {
      const char c = block[i];
      if (c == '\n') ++line_;
      if (depth_ > 0) {
        if (record_.size() >= kMaxDocumentBytes) return TooLong(file_, begin_line_);
        record_.push_back(c);
        if (Inside(c)) continue;
        TRIBUTARY_ASSIGN(const bool more, take_(record_, begin_line_));
        record_.clear();
        if (!more) return false;
      } else if (kBlank.find(c) == std::string_view::npos) {
        TRIBUTARY_TRY(Between(c));
      }
    }
    return true;
  }

  Status Finish() const {
    if (state_ == State::kDone) return Ok();
    return Broken(file_, line_, "the JSON array is not closed; is the file complete?");
  }

 private:
  enum class State : std::uint8_t { kBefore, kFirst, kNext, kComma, kDone };

  // False: this character closes the object.
  bool Inside(char c) {
    if (in_string_) {
      if (escaped_) {
        escaped_ = false;
      } else if (c == '\\') {
        escaped_ = true;
      } else if (c == '"') {
        in_string_ = false;
      }
    } else if (c == '"') {
      in_string_ = true;
    } else if (c == '{' || c == '[') {
      ++depth_;
    } else if ((c == '}' || c == ']') && --depth_ == 0) {
      return false;
    }
    return true;
  }

  Status Between(char c) {
    const bool value = state_ == State::kFirst || state_ == State::kNext;
    if (state_ == State::kBefore && c == '[') {
      state_ = State::kFirst;
    } else if (value && c == '{') {
      state_ = State::kComma;
      depth_ = 1;
      begin_line_ = line_;
      record_.assign(1, '{');
    } else if (state_ == State::kComma && c == ',') {
      state_ = State::kNext;
    } else if ((state_ == State::kComma || state_ == State::kFirst) && c == ']') {
      state_ = State::kDone;
    } else {
      const char* const expected = state_ == State::kDone ? "nothing behind the JSON array"
                                   : value                ? "an object {...} in the JSON array"
                                           : "',' or ']' behind an object of the JSON array";
      return Broken(file_, line_, fmt::format("expected {}", expected));
    }
    return Ok();
  }

  const DataFile& file_;
  const TakeRecord& take_;
  State state_ = State::kBefore;
  int depth_ = 0;
  bool in_string_ = false;
  bool escaped_ = false;
  std::uint64_t line_ = 1;
  std::uint64_t begin_line_ = 1;
  std::string record_;
};

class CsvCutter {
 public:
  CsvCutter(const DataFile& file, const TakeRow& take) : file_(file), take_(take) {}

  Result<bool> Feed(std::string_view block) {
    for (const char c : block) {
      TRIBUTARY_ASSIGN(const bool more, Take(c));
      if (!more) return false;
    }
    return true;
  }

  Result<bool> Finish() {
    if (state_ == State::kQuoted) {
      return Broken(file_, row_line_,
                    "a quoted field is not closed; a quote inside one is written \"\"");
    }
    if (fields_.empty() && field_.empty() && state_ == State::kStart) return true;
    return EndRow();
  }

 private:
  enum class State : std::uint8_t { kStart, kPlain, kQuoted, kQuote, kReturn };

  Result<bool> Take(char c) {
    if (++row_bytes_ > kMaxDocumentBytes) return TooLong(file_, row_line_);
    if (state_ == State::kReturn) {
      if (c != '\n') return Broken(file_, line_, "a carriage return is not followed by a newline");
      return EndRow();
    }
    if (state_ == State::kQuoted) {
      if (c == '\n') ++line_;
      if (c == '"') {
        state_ = State::kQuote;
      } else {
        field_.push_back(c);
      }
      return true;
    }
    if (c == '"') {
      if (state_ == State::kQuote) {
        field_.push_back('"');
      } else if (state_ == State::kPlain) {
        return Broken(
            file_, line_,
            "a quote inside a field that is not quoted; quote the field and double the quote");
      }
      state_ = State::kQuoted;
      return true;
    }
    if (c == ',') {
      EndField();
      return true;
    }
    if (c == '\n') return EndRow();
    if (c == '\r') {
      state_ = State::kReturn;
      return true;
    }
    if (state_ == State::kQuote)
      return Broken(file_, line_, "text behind the closing quote of a field");
    state_ = State::kPlain;
    field_.push_back(c);
    return true;
  }

  void EndField() {
    fields_.push_back(std::move(field_));
    field_.clear();
    state_ = State::kStart;
  }

  Result<bool> EndRow() {
    const std::uint64_t line = row_line_;
    const bool quoted = state_ == State::kQuote;
    EndField();
    std::vector<std::string> fields;
    fields.swap(fields_);
    row_line_ = ++line_;
    row_bytes_ = 0;
    const bool blank = fields.size() == 1 && fields[0].empty() && !quoted;
    if (blank) return true;
    if (!columns_) columns_ = fields.size();
    if (fields.size() != *columns_) {
      return Broken(
          file_, line,
          fmt::format("{} fields, and the first row has {}", fields.size(), *columns_));
    }
    return take_(fields, line);
  }

  const DataFile& file_;
  const TakeRow& take_;
  State state_ = State::kStart;
  std::vector<std::string> fields_;
  std::string field_;
  std::optional<std::size_t> columns_;
  std::uint64_t line_ = 1;
  std::uint64_t row_line_ = 1;
  std::uint64_t row_bytes_ = 0;
};

// The blocks of a file, without a byte-order mark.
template <class Take>
Status EachBlock(const DataFile& file, Take&& take) {
  TRIBUTARY_ASSIGN(auto reader, FileReader::Open(file));
  for (bool first = true;; first = false) {
    TRIBUTARY_ASSIGN(std::string_view block, reader.Next());
    if (block.empty()) return Ok();
    if (first && block.starts_with(kByteOrderMark)) block.remove_prefix(kByteOrderMark.size());
    TRIBUTARY_ASSIGN(const bool more, take(block));
    if (!more) return Ok();
  }
}

// The first byte that is not blank; 0 where the file's first block has none.
Result<char> FirstByte(const DataFile& file) {
  TRIBUTARY_ASSIGN(auto reader, FileReader::Open(file));
  TRIBUTARY_ASSIGN(std::string_view block, reader.Next());
  if (block.starts_with(kByteOrderMark)) block.remove_prefix(kByteOrderMark.size());
  const std::size_t at = block.find_first_not_of(kBlank);
  return at == std::string_view::npos ? '\0' : block[at];
}

}  // namespace

Status EachLine(const DataFile& file, const TakeRecord& take) {
  std::string line;
  std::uint64_t number = 1;
  bool stopped = false;
  const auto hand = [&]() -> Result<bool> {
    if (line.ends_with('\r')) line.pop_back();
    Result<bool> more = true;
    if (line.find_first_not_of(kBlank) != std::string::npos) more = take(line, number);
    line.clear();
    ++number;
    return more;
  };
  TRIBUTARY_TRY(EachBlock(file, [&](std::string_view block) -> Result<bool> {
    while (!block.empty()) {
      const std::size_t newline = block.find('\n');
      const std::string_view part = block.substr(0, newline);
      if (line.size() + part.size() > kMaxDocumentBytes) return TooLong(file, number);
      line += part;
      if (newline == std::string_view::npos) return true;
      block.remove_prefix(newline + 1);
      TRIBUTARY_ASSIGN(const bool more, hand());
      stopped = !more;
      if (stopped) return false;
    }
    return true;
  }));
  if (stopped || line.empty()) return Ok();
  return hand().status();
}

Status EachJsonRecord(const DataFile& file, const TakeRecord& take) {
  TRIBUTARY_ASSIGN(const char first, FirstByte(file));
  if (first == '{') return EachLine(file, take);
  if (first != '[') {
    return Broken(file, 1, "expected a JSON array of objects, or an object on each line");
  }
  ArrayCutter cutter(file, take);
  bool stopped = false;
  TRIBUTARY_TRY(EachBlock(file, [&](std::string_view block) -> Result<bool> {
    TRIBUTARY_ASSIGN(const bool more, cutter.Feed(block));
    stopped = !more;
    return more;
  }));
  return stopped ? Ok() : cutter.Finish();
}

Status EachCsvRow(const DataFile& file, const TakeRow& take) {
  CsvCutter cutter(file, take);
  bool stopped = false;
  TRIBUTARY_TRY(EachBlock(file, [&](std::string_view block) -> Result<bool> {
    TRIBUTARY_ASSIGN(const bool more, cutter.Feed(block));
    stopped = !more;
    return more;
  }));
  return stopped ? Ok() : cutter.Finish().status();
}

}  // namespace tributary::corpus
