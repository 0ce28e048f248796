// What a knob's value may be.
#include <fmt/core.h>

#include <algorithm>
#include <charconv>

#include "knob.h"

namespace tributary::config {
namespace {

// As people write it: the largest unit that divides it.
std::string WriteBytes(std::uint64_t bytes) {
  static constexpr const char* kUnits[] = {"TiB", "GiB", "MiB", "KiB"};
  for (int i = 0; i < 4; ++i) {
    const std::uint64_t unit = 1ULL << (40 - 10 * i);
    if (bytes >= unit && bytes % unit == 0) return fmt::format("{}{}", bytes / unit, kUnits[i]);
  }
  return fmt::format("{}", bytes);
}

std::string WriteDuration(std::uint64_t ms) {
  if (ms == 0) return "0";
  if (ms % 3'600'000 == 0) return fmt::format("{}h", ms / 3'600'000);
  if (ms % 60'000 == 0) return fmt::format("{}m", ms / 60'000);
  if (ms % 1000 == 0) return fmt::format("{}s", ms / 1000);
  return fmt::format("{}ms", ms);
}

std::string Range(const Knob& knob, std::string (*write)(std::uint64_t)) {
  if (knob.max == Options::kUnbounded) {
    return knob.min == 0 ? "" : fmt::format(" of at least {}", write(knob.min));
  }
  return fmt::format(" of {} to {}", write(knob.min), write(knob.max));
}

std::string WriteNumber(std::uint64_t number) { return fmt::format("{}", number); }

std::string Join(const std::vector<std::string>& words) {
  std::string text;
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (i > 0) text += i + 1 == words.size() ? " or " : ", ";
    text += words[i];
  }
  return text;
}

std::optional<std::uint64_t> ParseNumber(const Knob& knob, const std::string& text) {
  switch (knob.kind) {
    case Kind::kBytes: {
      const auto bytes = ParseBytes(text);
      if (bytes.ok()) return *bytes;
      return std::nullopt;
    }
    case Kind::kDuration: {
      const auto duration = ParseDuration(text);
      if (duration.ok()) return static_cast<std::uint64_t>(duration->count());
      return std::nullopt;
    }
    case Kind::kUint: {
      std::uint64_t number = 0;
      const char* end = text.data() + text.size();
      const auto [stop, error] = std::from_chars(text.data(), end, number);
      if (error == std::errc() && stop == end && !text.empty()) return number;
      return std::nullopt;
    }
    case Kind::kBool:
      if (text == "true" || text == "yes" || text == "on" || text == "1") return 1;
      if (text == "false" || text == "no" || text == "off" || text == "0") return 0;
      return std::nullopt;
    default: return std::nullopt;
  }
}

}  // namespace

std::string Knob::Environment() const {
  std::string text = "TRIBUTARY_";
  for (const char c : name) {
    text += c == '-' || c == '.' ? '_' : static_cast<char>(c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c);
  }
  return text;
}

std::string Knob::Placeholder() const {
  switch (kind) {
    case Kind::kString: return "TEXT";
    case Kind::kChoice: {
      std::string all;
      for (const std::string& choice : choices) all += (all.empty() ? "" : "|") + choice;
      return all;
    }
    case Kind::kBytes: return "SIZE";
    case Kind::kDuration: return "TIME";
    case Kind::kUint: return "NUMBER";
    case Kind::kBool: return "";
    case Kind::kStrings: return "TEXT...";
  }
  return "";
}

std::string Knob::Expected() const {
  switch (kind) {
    case Kind::kString:
    case Kind::kStrings: return "a text";
    case Kind::kChoice: return Join(choices);
    case Kind::kBytes: return "a size" + Range(*this, WriteBytes) + ", as in 64MiB or 1GB";
    case Kind::kDuration: return "a time" + Range(*this, WriteDuration) + ", as in 30s, 5m or 250ms";
    case Kind::kUint: return "a whole number" + Range(*this, WriteNumber);
    case Kind::kBool: return "true or false";
  }
  return "";
}

std::string Knob::FallbackText() const {
  switch (kind) {
    case Kind::kString:
    case Kind::kChoice: return text;
    case Kind::kBytes: return WriteBytes(number);
    case Kind::kDuration: return WriteDuration(number);
    case Kind::kUint: return WriteNumber(number);
    case Kind::kBool: return number != 0 ? "true" : "false";
    case Kind::kStrings: return "";
  }
  return "";
}

Status Knob::Assign(const std::vector<std::string>& values, const std::string& place) {
  if (kind == Kind::kStrings) {
    for (const std::string& value : values) {
      if (!check) continue;
      if (auto status = check(value); !status.ok()) {
        return MakeError(Code::kInvalidArgument, "{}: got '{}', expected {}", place, value,
                         status.error().message());
      }
    }
    list = values;
    given = true;
    return Ok();
  }
  if (values.size() != 1) {
    return MakeError(Code::kInvalidArgument, "{}: stands {} times, expected once", place, values.size());
  }
  const std::string& value = values.front();
  if (kind == Kind::kString) {
    if (check) {
      if (auto status = check(value); !status.ok()) {
        return MakeError(Code::kInvalidArgument, "{}: got '{}', expected {}", place, value,
                         status.error().message());
      }
    }
    text = value;
  } else if (kind == Kind::kChoice) {
    if (std::find(choices.begin(), choices.end(), value) == choices.end()) {
      return MakeError(Code::kInvalidArgument, "{}: got '{}', expected {}", place, value, Expected());
    }
    text = value;
  } else {
    const auto parsed = ParseNumber(*this, value);
    if (!parsed || *parsed < min || *parsed > max) {
      return MakeError(Code::kInvalidArgument, "{}: got '{}', expected {}", place, value, Expected());
    }
    number = *parsed;
  }
  given = true;
  return Ok();
}

}  // namespace tributary::config
