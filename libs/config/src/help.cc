#include "help.h"

#include <algorithm>
#include <sstream>

namespace tributary::config {
namespace {

constexpr std::size_t kWidth = 100;
constexpr std::size_t kIndent = 8;

std::string Upper(std::string text) {
  for (char& c : text) {
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  }
  return text;
}

// Words of `text`, broken at kWidth, each line indented.
std::string Wrap(const std::string& text) {
  std::istringstream words(text);
  std::string out;
  std::string line;
  for (std::string word; words >> word;) {
    if (!line.empty() && kIndent + line.size() + 1 + word.size() > kWidth) {
      out += std::string(kIndent, ' ') + line + '\n';
      line.clear();
    }
    line += (line.empty() ? "" : " ") + word;
  }
  if (!line.empty()) out += std::string(kIndent, ' ') + line + '\n';
  return out;
}

std::string Entry(const Knob& knob) {
  const std::string placeholder = knob.Placeholder();
  std::string text = knob.name == "help" ? "  -h, --help" : "  --" + knob.name;
  if (!placeholder.empty()) text += " " + placeholder;
  text += '\n' + Wrap(knob.help);
  if (knob.IsQuestion()) return text;
  const std::string fallback = knob.FallbackText();
  std::string facts;
  if (knob.required) facts = "required; ";
  else if (knob.kind == Kind::kStrings) facts = "may be repeated; ";
  else facts = fallback.empty() ? "no default; " : "default " + fallback + "; ";
  if (knob.kind == Kind::kBytes || knob.kind == Kind::kDuration || knob.kind == Kind::kUint) {
    facts += knob.Expected() + "; ";
  }
  return text + Wrap(facts + "environment " + knob.Environment());
}

}  // namespace

std::string FormatHelp(const std::string& program, const std::string& one_line, const std::vector<Knob>& knobs) {
  std::string usage = "Usage: " + program;
  std::string arguments;
  std::vector<std::string> groups;
  for (const Knob& knob : knobs) {
    if (knob.positional) {
      usage += knob.required ? " " + Upper(knob.name) : " [" + Upper(knob.name) + "]";
      arguments += "  " + Upper(knob.name) + '\n' + Wrap(knob.help);
    } else if (std::find(groups.begin(), groups.end(), knob.group) == groups.end()) {
      groups.push_back(knob.group);
    }
  }
  // The flags that every program has come last, wherever they were declared.
  std::stable_partition(groups.begin(), groups.end(), [](const std::string& g) { return g != "General"; });
  std::string text = program + ": " + one_line + "\n\n" + usage + " [FLAG]...\n";
  if (!arguments.empty()) text += "\nArguments:\n" + arguments;
  for (const std::string& group : groups) {
    text += "\n" + group + ":\n";
    for (const Knob& knob : knobs) {
      if (!knob.positional && knob.group == group) text += Entry(knob);
    }
  }
  return text + "\nA flag wins over its environment variable, which wins over the file that --config names.\n";
}

}  // namespace tributary::config
