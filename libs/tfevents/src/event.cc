#include "tributary/tfevents/event.h"

#include <bit>

namespace tributary::tfevents {
namespace {

// Protocol buffers: a key (field number and kind), then the value.
enum Kind : std::uint64_t { kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5 };

// Numbers of fields. Event: wall_time, step, file_version, summary; Summary: value; Value: tag, simple_value.
constexpr std::uint64_t kWallTime = 1, kStep = 2, kFileVersion = 3, kSummary = 5, kValue = 1, kTag = 1, kSimpleValue = 2;

void PutVarint(std::string& out, std::uint64_t value) {
  for (; value >= 0x80; value >>= 7) out += static_cast<char>(value | 0x80);
  out += static_cast<char>(value);
}
template <class T>
void PutFixed(std::string& out, std::uint64_t field, T bits) {
  PutVarint(out, field << 3 | (sizeof(T) == 8 ? kFixed64 : kFixed32));
  for (std::size_t i = 0; i < sizeof(T); ++i) out += static_cast<char>(bits >> (8 * i) & 0xFF);
}
void PutBytes(std::string& out, std::uint64_t field, std::string_view bytes) {
  PutVarint(out, field << 3 | kBytes);
  PutVarint(out, bytes.size());
  out += bytes;
}

std::optional<std::uint64_t> TakeVarint(std::string_view& in) {
  std::uint64_t value = 0;
  for (int shift = 0; shift < 64 && !in.empty(); shift += 7) {
    const auto byte = static_cast<unsigned char>(in.front());
    in.remove_prefix(1);
    value |= static_cast<std::uint64_t>(byte & 0x7F) << shift;
    if (byte < 0x80) return value;
  }
  return std::nullopt;
}

struct Field {
  std::uint64_t number = 0;
  std::uint64_t kind = 0;
  std::uint64_t bits = 0;  // of a number
  std::string_view bytes;
};

// Calls take(field) for each; false when the text is no message or take says so.
template <class F>
bool ForEachField(std::string_view in, F&& take) {
  while (!in.empty()) {
    const auto key = TakeVarint(in);
    if (!key) return false;
    Field field{*key >> 3, *key & 7, 0, {}};
    if (field.kind == kVarint) {
      const auto value = TakeVarint(in);
      if (!value) return false;
      field.bits = *value;
    } else if (field.kind == kFixed64 || field.kind == kFixed32) {
      const std::size_t size = field.kind == kFixed64 ? 8 : 4;
      if (in.size() < size) return false;
      for (std::size_t i = 0; i < size; ++i) field.bits |= static_cast<std::uint64_t>(static_cast<unsigned char>(in[i])) << (8 * i);
      in.remove_prefix(size);
    } else if (field.kind == kBytes) {
      const auto size = TakeVarint(in);
      if (!size || *size > in.size()) return false;
      field.bytes = in.substr(0, *size);
      in.remove_prefix(*size);
    } else {
      return false;
    }
    if (!take(field)) return false;
  }
  return true;
}

bool DecodeValue(std::string_view bytes, Event& event) {
  std::string tag;
  float number = 0;
  const bool whole = ForEachField(bytes, [&](const Field& field) {
    if (field.number == kTag && field.kind == kBytes) tag = field.bytes;
    if (field.number == kSimpleValue && field.kind == kFixed32) number = std::bit_cast<float>(static_cast<std::uint32_t>(field.bits));
    return true;
  });
  event.values[tag] = number;
  return whole;
}

}  // namespace

std::string EncodeEvent(const Event& event) {
  std::string out;
  PutFixed(out, kWallTime, std::bit_cast<std::uint64_t>(event.wall_time));
  if (event.step != 0) {
    PutVarint(out, kStep << 3 | kVarint);
    PutVarint(out, static_cast<std::uint64_t>(event.step));
  }
  if (!event.file_version.empty()) PutBytes(out, kFileVersion, event.file_version);
  if (event.values.empty()) return out;
  std::string summary;
  for (const auto& [tag, number] : event.values) {
    std::string value;
    PutBytes(value, kTag, tag);
    PutFixed(value, kSimpleValue, std::bit_cast<std::uint32_t>(number));
    PutBytes(summary, kValue, value);
  }
  PutBytes(out, kSummary, summary);
  return out;
}

std::optional<Event> DecodeEvent(std::string_view bytes) {
  Event event;
  const bool whole = ForEachField(bytes, [&](const Field& field) {
    if (field.number == kWallTime && field.kind == kFixed64) event.wall_time = std::bit_cast<double>(field.bits);
    if (field.number == kStep && field.kind == kVarint) event.step = static_cast<std::int64_t>(field.bits);
    if (field.number == kFileVersion && field.kind == kBytes) event.file_version = field.bytes;
    if (field.number != kSummary || field.kind != kBytes) return true;
    return ForEachField(field.bytes, [&](const Field& value) {
      return value.number != kValue || value.kind != kBytes || DecodeValue(value.bytes, event);
    });
  });
  if (!whole) return std::nullopt;
  return event;
}

}  // namespace tributary::tfevents
