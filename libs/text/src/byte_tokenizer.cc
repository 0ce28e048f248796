#include "tributary/text/tokenizer.h"
#include "tributary/text/utf8.h"

namespace tributary::text {
namespace {

constexpr std::int32_t kEnd = 256;

class ByteTokenizer final : public Tokenizer {
 public:
  Result<std::vector<std::int32_t>> Encode(std::string_view text,
                                           const EncodeOptions&) const override {
    std::vector<std::int32_t> ids(text.size());
    for (std::size_t i = 0; i < text.size(); ++i) ids[i] = static_cast<std::uint8_t>(text[i]);
    return ids;
  }

  std::string DecodeBytes(std::span<const std::int32_t> ids, bool) const override {
    std::string out;
    for (const std::int32_t id : ids) {
      if (id >= 0 && id < kEnd) out.push_back(static_cast<char>(id));
    }
    return out;
  }

  std::uint32_t VocabularySize() const override { return 257; }
  std::int32_t EndOfText() const override { return kEnd; }
  bool IsSpecial(std::int32_t id) const override { return id == kEnd; }
  std::int32_t TokenId(std::string_view content) const override {
    return content.size() == 1 ? static_cast<std::uint8_t>(content[0]) : -1;
  }
};

}  // namespace

std::string Tokenizer::Decode(std::span<const std::int32_t> ids) const {
  return ReplaceInvalidUtf8(DecodeBytes(ids, false));
}

std::unique_ptr<Tokenizer> MakeByteTokenizer() {
  return std::make_unique<ByteTokenizer>();
}

}  // namespace tributary::text
