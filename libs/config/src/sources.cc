#include "sources.h"

#include <algorithm>
#include <boost/program_options.hpp>
#include <cerrno>
#include <fstream>
#include <sstream>

#include "tributary/base/suggest.h"

namespace tributary::config {
namespace {

namespace po = boost::program_options;

constexpr std::size_t kMaxIniBytes = 1u << 20;

Knob* Find(std::vector<Knob>& knobs, const std::string& name, bool positional) {
  for (Knob& knob : knobs) {
    if (knob.name == name && knob.positional == positional) return &knob;
  }
  return nullptr;
}

std::vector<std::string> FlagNames(const std::vector<Knob>& knobs, bool ini) {
  std::vector<std::string> names;
  for (const Knob& knob : knobs) {
    if (!knob.positional && !(ini && knob.builtin)) names.push_back(knob.name);
  }
  return names;
}

// Every value is taken as text here: kinds and bounds are checked in one place for all sources (Knob::Assign).
po::options_description Describe(const std::vector<Knob>& knobs) {
  po::options_description description;
  for (const Knob& knob : knobs) {
    if (knob.positional) continue;
    description.add_options()(knob.name.c_str(), po::value<std::vector<std::string>>());
  }
  return description;
}

// argv without the program, where a bare --flag of kind bool reads --flag=true: the parser's own implicit values
// would swallow the word that follows.
std::vector<std::string> Words(std::vector<Knob>& knobs, int argc, const char* const* argv) {
  std::vector<std::string> words(argv + std::min(argc, 1), argv + argc);
  for (std::string& word : words) {
    if (word == "--") break;
    if (word == "-h") word = "--help";
    if (word.rfind("--", 0) != 0) continue;
    const Knob* knob = Find(knobs, word.substr(2), false);
    if (knob != nullptr && knob->kind == Kind::kBool) word += "=true";
  }
  return words;
}

// Adds to the entry of the same knob, so that a repeated flag becomes one list.
void Collect(std::vector<Setting>& all, Knob* knob, const std::vector<std::string>& values, std::string place) {
  for (Setting& given : all) {
    if (given.knob != knob) continue;
    given.values.insert(given.values.end(), values.begin(), values.end());
    return;
  }
  all.push_back({knob, values, std::move(place)});
}

std::string WithoutDashes(std::string name) { return name.substr(std::min(name.find_first_not_of('-'), name.size())); }

std::size_t LineOf(const std::string& text, const std::string& key) {
  std::istringstream in(text);
  std::string line;
  for (std::size_t number = 1; std::getline(in, line); ++number) {
    const auto begin = line.find_first_not_of(" \t");
    if (begin == std::string::npos || line.compare(begin, key.size(), key) != 0) continue;
    const auto after = line.find_first_not_of(" \t", begin + key.size());
    if (after != std::string::npos && line[after] == '=') return number;
  }
  return 0;
}

}  // namespace

Result<std::vector<Setting>> ReadCommandLine(std::vector<Knob>& knobs, int argc, const char* const* argv) {
  std::vector<Setting> all;
  std::vector<std::string> words;
  try {
    const po::options_description description = Describe(knobs);
    // Guessing is off: an abbreviation that works today would break when a knob is added.
    const int style = po::command_line_style::unix_style & ~po::command_line_style::allow_guessing;
    po::command_line_parser parser(Words(knobs, argc, argv));
    const auto parsed = parser.options(description).style(style).run();
    for (const auto& option : parsed.options) {
      if (option.position_key >= 0) {
        words.insert(words.end(), option.value.begin(), option.value.end());
        continue;
      }
      Knob* knob = Find(knobs, option.string_key, false);
      if (knob == nullptr) return MakeError(Code::kInvalidArgument, "--{}: not a flag", option.string_key);
      Collect(all, knob, option.value, "--" + knob->name);
    }
  } catch (const po::unknown_option& e) {
    const std::string name = WithoutDashes(e.get_option_name());
    const std::string nearest = NearestName(name, FlagNames(knobs, false));
    return MakeError(Code::kInvalidArgument, "{}: not a flag of this program{}", e.get_option_name(),
                     nearest.empty() ? "; --help lists them" : "; did you mean '--" + nearest + "'?");
  } catch (const po::invalid_syntax& e) {
    const std::string name = WithoutDashes(e.get_option_name());
    const Knob* knob = Find(knobs, name, false);
    return MakeError(Code::kInvalidArgument, "--{}: got no value, expected {}", name,
                     knob != nullptr ? knob->Expected() : "a value");
  } catch (const std::exception& e) {
    return MakeError(Code::kInvalidArgument, "command line: {}", e.what());
  }
  std::size_t next = 0;
  for (Knob& knob : knobs) {
    if (knob.positional && next < words.size()) Collect(all, &knob, {words[next++]}, knob.name);
  }
  if (next < words.size()) {
    return MakeError(Code::kInvalidArgument, "'{}': expected no further argument; --help shows the usage",
                     words[next]);
  }
  return all;
}

std::vector<Setting> ReadEnvironment(std::vector<Knob>& knobs, const char* const* environment) {
  std::vector<Setting> all;
  for (; environment != nullptr && *environment != nullptr; ++environment) {
    const std::string entry = *environment;
    const auto equals = entry.find('=');
    if (equals == std::string::npos || entry.rfind("TRIBUTARY_", 0) != 0) continue;
    const std::string value = entry.substr(equals + 1);
    if (value.empty()) continue;
    for (Knob& knob : knobs) {
      if (knob.positional || knob.IsQuestion()) continue;
      const std::string name = knob.Environment();
      if (entry.compare(0, equals, name) != 0) continue;
      std::vector<std::string> values;
      if (knob.kind == Kind::kStrings) {
        std::istringstream in(value);
        for (std::string part; std::getline(in, part, ',');) {
          if (!part.empty()) values.push_back(part);
        }
      } else {
        values.push_back(value);
      }
      Collect(all, &knob, values, fmt::format("--{} (from environment {})", knob.name, name));
    }
  }
  return all;
}

Result<std::vector<Setting>> ReadIniFile(std::vector<Knob>& knobs, const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) return ErrnoError(errno, fmt::format("--config: cannot read '{}'", path));
  std::string text(kMaxIniBytes + 1, '\0');
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  // A directory opens but does not read.
  if (in.bad()) return MakeError(Code::kIo, "--config: cannot read '{}'", path);
  text.resize(static_cast<std::size_t>(in.gcount()));
  if (text.size() > kMaxIniBytes) {
    return MakeError(Code::kInvalidArgument, "--config: '{}' is larger than 1MiB, expected an ini file", path);
  }
  std::vector<Setting> all;
  try {
    std::istringstream lines(text);
    const auto parsed = po::parse_config_file(lines, Describe(knobs), true);
    for (const auto& option : parsed.options) {
      const std::string place = fmt::format("{}:{}", path, LineOf(text, option.string_key));
      Knob* knob = Find(knobs, option.string_key, false);
      if (knob == nullptr || knob->builtin) {
        return MakeError(Code::kInvalidArgument, "{}: '{}': not a key of this program{}", place,
                         option.string_key, DidYouMean(option.string_key, FlagNames(knobs, true)));
      }
      Collect(all, knob, option.value, fmt::format("{}: {} (--{})", place, knob->name, knob->name));
    }
  } catch (const po::invalid_config_file_syntax& e) {
    return MakeError(Code::kInvalidArgument, "{}: got the line '{}', expected 'key = value'", path, e.tokens());
  } catch (const std::exception& e) {
    return MakeError(Code::kInvalidArgument, "{}: {}", path, e.what());
  }
  return all;
}

}  // namespace tributary::config
