#include "tributary/tfevents/records.h"

namespace tributary::tfevents {
namespace {

constexpr std::size_t kBefore = 12, kAfter = 4;

template <class T>
void Append(std::string& text, T value) {
  for (std::size_t i = 0; i < sizeof(T); ++i) text += static_cast<char>(value >> (8 * i) & 0xFF);
}

template <class T>
T Read(std::string_view text) {
  T value = 0;
  for (std::size_t i = 0; i < sizeof(T); ++i) value |= static_cast<T>(static_cast<unsigned char>(text[i])) << (8 * i);
  return value;
}

}  // namespace

std::string MakeRecord(std::string_view bytes) {
  std::string record;
  record.reserve(kBefore + bytes.size() + kAfter);
  Append<std::uint64_t>(record, bytes.size());
  Append<std::uint32_t>(record, MaskedCrc32c(record));
  record += bytes;
  Append<std::uint32_t>(record, MaskedCrc32c(bytes));
  return record;
}

Records ReadRecords(std::string_view text) {
  Records found;
  while (text.size() - found.whole >= kBefore + kAfter) {
    const std::string_view rest = text.substr(found.whole);
    const auto length = Read<std::uint64_t>(rest);
    if (MaskedCrc32c(rest.substr(0, 8)) != Read<std::uint32_t>(rest.substr(8)) || length > rest.size() - kBefore - kAfter) break;
    const std::string_view record = rest.substr(kBefore, length);
    if (MaskedCrc32c(record) != Read<std::uint32_t>(rest.substr(kBefore + length))) break;
    found.records.push_back(record);
    found.whole += kBefore + length + kAfter;
  }
  return found;
}

}  // namespace tributary::tfevents
