// Where the pieces of a text end, found while the text goes by.
//
// A finder is given the text block by block, in order, and calls back with the offset behind each
// piece as soon as it is known; the end of the whole text need not be among them. One thread.
#pragma once

#include <cstdint>
#include <cstring>
#include <string_view>

namespace tributary::corpus {

enum class PieceKind : std::uint8_t {
  kLine,       // ends behind its newline
  kFortune,    // ends behind a line "%"
  kParagraph,  // ends behind the run of two or more newlines that follows it
};

class PieceFinder {
 public:
  explicit PieceFinder(PieceKind kind) : kind_(kind) {}

  // `on_end` takes the offset and says whether to go on. False: it said no.
  template <class OnEnd>
  bool Feed(std::string_view block, OnEnd&& on_end) {
    const char* const begin = block.data();
    const char* const end = begin + block.size();
    for (const char* at = begin; at < end;) {
      const auto* newline =
          static_cast<const char*>(std::memchr(at, '\n', static_cast<std::size_t>(end - at)));
      const char* const stop = newline == nullptr ? end : newline;
      const auto plain = static_cast<std::uint64_t>(stop - at);
      if (plain > 0) {
        const bool paragraph_ended = kind_ == PieceKind::kParagraph && run_ >= 2;
        const std::uint64_t offset = at_;
        run_ = 0;
        percent_ = line_bytes_ == 0 && *at == '%';
        line_bytes_ += plain;
        at_ += plain;
        if (paragraph_ended && !on_end(offset)) return false;
      }
      if (newline == nullptr) return true;
      at_ += 1;
      run_ += 1;
      const bool percent_line = percent_ && line_bytes_ == 1;
      line_bytes_ = 0;
      if (kind_ == PieceKind::kLine || (kind_ == PieceKind::kFortune && percent_line)) {
        if (!on_end(at_)) return false;
      }
      at = newline + 1;
    }
    return true;
  }

 private:
  PieceKind kind_;
  std::uint64_t at_ = 0;
  std::uint64_t run_ = 0;         // newlines in a row before at_
  std::uint64_t line_bytes_ = 0;  // of the line so far
  bool percent_ = false;          // it began with '%'
};

// The rule of split.h for where the validation part begins, told the ends of a text's pieces one
// after another.
class CutFinder {
 public:
  CutFinder(PieceKind kind, std::uint64_t bytes, double validation_fraction);

  // Takes the next end; false once the cut is known.
  bool Take(std::uint64_t end);
  // The offset of the validation part; `bytes` where there is none.
  std::uint64_t cut() const;

 private:
  std::uint64_t separator_bytes_;
  std::uint64_t bytes_;
  std::uint64_t wanted_;
  std::uint64_t cut_ = 0;
  std::uint64_t last_ = 0;
  bool found_ = false;
};

}  // namespace tributary::corpus
