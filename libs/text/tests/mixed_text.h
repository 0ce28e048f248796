// Text of every kind that tokenizers stumble over, the same bytes each time: words, code, numbers,
// spaces, CJK, emoji, combining marks, every code point, special tokens' spellings, invalid UTF-8.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "tributary/text/utf8.h"

namespace tributary::text {

class MixedText {
 public:
  // About `bytes` of text, in which parts of `prose` alternate with what is made here.
  static std::string Make(std::size_t bytes, std::string_view prose) {
    MixedText mixed(prose);
    while (mixed.out_.size() < bytes) mixed.Section();
    return std::move(mixed.out_);
  }

 private:
  explicit MixedText(std::string_view prose) : prose_(prose) {}

  std::uint32_t Next(std::uint32_t below) {
    state_ = state_ * 6364136223846793005u + 1442695040888963407u;
    return static_cast<std::uint32_t>((state_ >> 33) % below);
  }
  void Points(char32_t first, std::uint32_t count, std::uint32_t length) {
    for (std::uint32_t i = 0; i < length; ++i) out_ += EncodeUtf8(first + Next(count));
  }
  void Pick(const std::vector<std::string_view>& words) {
    out_ += words[Next(static_cast<std::uint32_t>(words.size()))];
  }
  void Prose(std::uint32_t length) {
    if (prose_.empty()) return Letters(length / 6);
    for (std::uint32_t i = 0; i < length; ++i) out_ += prose_[prose_at_++ % prose_.size()];
  }
  void Letters(std::uint32_t words) {
    for (std::uint32_t i = 0; i < words; ++i) {
      Points(Next(5) == 0 ? 'A' : 'a', 26, 1 + Next(12));
      Pick({" ", " ", " ", " ", "  ", "'s ", "'re ", "'LL ", "'\xC5\xBF ", ", ", ".\n", "-", "\t",
            " '", "\r\n"});
    }
  }
  void Code() {
    for (std::uint32_t i = 0; i < 12; ++i) {
      out_.append(2 * Next(9), Next(4) == 0 ? '\t' : ' ');
      Pick({"if (x->y[i] != nullptr) {", "return a[j++] %= 0xFF;", "#include <vector>",
            "def f(self, **kw):", "}\n\n\n", "SELECT * FROM t WHERE id=42;",
            "<div class=\"a\">&nbsp;</div>", "x = {'k': [1,2,3]}", "//-----",
            "std::cout<<\"caf\xC3\xA9\\n\"<<'\\0';"});
      Pick({"\n", "\r\n", "  \n", "\n\n", " \n \n  "});
    }
  }
  void Invalid() {
    for (std::uint32_t i = 0; i < 20; ++i) {
      const std::uint32_t length = 1 + Next(6);
      for (std::uint32_t k = 0; k < length; ++k)
        out_ += static_cast<char>(Next(3) == 0 ? Next(256) : 0x80 + Next(128));
      Pick({"a", " ", " b", "\n", "1"});
    }
  }
  void Section() {
    switch (Next(14)) {
      case 0:
        Letters(200);
        break;
      case 1:
        Code();
        break;
      case 2:
        Points('0', 10, 1 + Next(200));
        break;
      case 3:
        Points(0x4E00, 0x5200, 20 + Next(300));
        break;
      case 4:
        Points(0x3041, 0xB0, 20 + Next(100));
        break;
      case 5:
        Points(0x1F300, 0x350, 1 + Next(40));
        break;
      case 6:  // families and flags: joiners, selectors, tones
        for (std::uint32_t i = 0; i < 10; ++i) {
          Points(0x1F466, 4, 1);
          Points(0x1F3FB, 5, Next(2));
          Pick({"\xE2\x80\x8D", "\xEF\xB8\x8F", " ", ""});
          Points(0x1F1E6, 26, Next(3));
        }
        break;
      case 7:
        for (std::uint32_t i = 0; i < 60; ++i) {
          Points('a', 26, 1);
          Points(0x300, 0x70, Next(4));
          if (Next(5) == 0) out_ += ' ';
        }
        break;
      case 8:
        for (std::uint32_t i = 0; i < 30; ++i) {
          Pick({" ", "  ", "\n", "\t", "\r\n", "\xC2\xA0", "\xE3\x80\x80", "\xE2\x80\xAF",
                "\xE1\xA0\x8E", "\xC2\x85", "\x0B", "a", "1"});
        }
        break;
      case 9:  // every code point comes in turn
        for (std::uint32_t i = 0; i < 300; ++i) {
          if (point_ == 0xD800) point_ = 0xE000;
          out_ += EncodeUtf8(point_);
          if (Next(4) == 0) out_ += Next(2) == 0 ? " " : "a";
          point_ = point_ + 1 < 0x110000 ? point_ + 1 : 0;
        }
        break;
      case 10:
        Invalid();
        break;
      case 11:
        for (std::uint32_t i = 0; i < 10; ++i) {
          Pick({"<|endoftext|>", "<s>", "</s>", "<unk>", "<|im_start|>", "<|im_end|>",
                "<|begin_of_text|>", "<|endoftext", "<0x41>", "[PAD]", "\xE2\x96\x81"});
          Pick({"", " ", "  ", "\n", "a", "user", "<"});
        }
        break;
      case 12:
        Points(Next(2) == 0 ? 0x400 : 0x5D0, 27, 40);
        out_ += ' ';
        Points(0x621, 40, 40);
        Points(0xAC00, 11172, 30);
        break;
      default:
        Prose(3000);
        break;
    }
    Prose(600);
    out_ += Next(2) == 0 ? "\n" : " ";
  }

  std::string_view prose_;
  std::size_t prose_at_ = 0;
  std::uint64_t state_ = 20240229;
  char32_t point_ = 0;
  std::string out_;
};

}  // namespace tributary::text
