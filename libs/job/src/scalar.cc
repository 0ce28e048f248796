#include "scalar.h"

#include <charconv>
#include <cmath>

#include "tributary/base/names.h"

namespace tributary::job {
namespace {

template <class T>
bool FromChars(const Node& node, T& out) {
  if (node.kind != Node::Kind::kScalar || node.quoted || node.text.empty()) return false;
  const char* end = node.text.data() + node.text.size();
  const auto [stop, error] = std::from_chars(node.text.data(), end, out);
  return error == std::errc() && stop == end;
}

}  // namespace

bool ReadUint64(const Node& node, std::uint64_t& out, std::uint64_t min, std::uint64_t max) {
  std::uint64_t value = 0;
  if (!FromChars(node, value) || value < min || value > max) return false;
  out = value;
  return true;
}

bool ReadUint32(const Node& node, std::uint32_t& out, std::uint32_t min, std::uint32_t max) {
  std::uint64_t value = 0;
  if (!ReadUint64(node, value, min, max)) return false;
  out = static_cast<std::uint32_t>(value);
  return true;
}

bool ReadBool(const Node& node, bool& out) {
  if (node.kind != Node::Kind::kScalar || node.quoted) return false;
  if (node.text != "true" && node.text != "false") return false;
  out = node.text == "true";
  return true;
}

bool ReadDouble(const Node& node, double& out, double min, double max) {
  double value = 0;
  if (!FromChars(node, value) || !std::isfinite(value) || value < min || value > max) return false;
  out = value;
  return true;
}

bool ReadBytes(const Node& node, std::uint64_t& out, std::uint64_t min, std::uint64_t max) {
  if (node.kind != Node::Kind::kScalar) return false;
  const auto value = ParseBytes(node.text);
  if (!value.ok() || *value < min || *value > max) return false;
  out = *value;
  return true;
}

bool ReadDuration(const Node& node, Duration& out, Duration min, Duration max) {
  if (node.kind != Node::Kind::kScalar) return false;
  const auto value = ParseDuration(node.text);
  if (!value.ok() || *value < min || *value > max) return false;
  out = *value;
  return true;
}

bool ReadText(const Node& node, std::string& out, std::size_t longest) {
  if (node.kind != Node::Kind::kScalar || node.text.empty() || node.text.size() > longest) return false;
  out = node.text;
  return true;
}

bool ReadName(const Node& node, std::string& out) {
  if (node.kind != Node::Kind::kScalar || !CheckSegment(node.text, "name").ok()) return false;
  out = node.text;
  return true;
}

bool IsWord(std::string_view word, std::string_view words) {
  if (word.empty() || word.find('|') != std::string_view::npos) return false;
  while (!words.empty()) {
    const auto bar = words.find('|');
    if (words.substr(0, bar) == word) return true;
    if (bar == std::string_view::npos) break;
    words.remove_prefix(bar + 1);
  }
  return false;
}

bool ReadWord(const Node& node, std::string& out, std::string_view words) {
  if (node.kind != Node::Kind::kScalar || !IsWord(node.text, words)) return false;
  out = node.text;
  return true;
}

}  // namespace tributary::job
