#include "tributary/text/tokenizer.h"
#include "tributary/text/utf8.h"

namespace tributary::text {
namespace {

class ByteTokenizer final : public Tokenizer {
 public:
  Result<std::vector<std::int32_t>> Encode(std::string_view text) const override {
    std::vector<std::int32_t> ids(text.size());
    for (std::size_t i = 0; i < text.size(); ++i) ids[i] = static_cast<std::uint8_t>(text[i]);
    return ids;
  }

  std::string DecodeBytes(std::span<const std::int32_t> ids) const override {
    std::string out;
    for (const std::int32_t id : ids) {
      if (id >= 0 && id < 256) out.push_back(static_cast<char>(id));
    }
    return out;
  }

  std::uint32_t VocabularySize() const override { return 257; }
  std::int32_t EndOfText() const override { return 256; }
};

}  // namespace

std::string Tokenizer::Decode(std::span<const std::int32_t> ids) const {
  return ReplaceInvalidUtf8(DecodeBytes(ids));
}

std::unique_ptr<Tokenizer> MakeByteTokenizer() {
  return std::make_unique<ByteTokenizer>();
}

}  // namespace tributary::text
