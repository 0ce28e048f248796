// One declared knob and the checks of its value; inside this library only.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "tributary/base/result.h"
#include "tributary/config/options.h"

namespace tributary::config {

enum class Kind { kString, kChoice, kBytes, kDuration, kUint, kBool, kStrings };

struct Knob {
  std::string name;
  Kind kind = Kind::kString;
  std::string help;
  std::string group;
  std::vector<std::string> choices;
  std::uint64_t min = 0;  // durations: milliseconds
  std::uint64_t max = Options::kUnbounded;
  Check check;
  bool positional = false;
  bool required = false;
  bool given = false;
  bool builtin = false;  // --help, --version, --config and questions: not for the ini file

  // The value, by kind; the fallback until a source gives another.
  std::string text;
  std::uint64_t number = 0;  // bytes, milliseconds, count, bool
  std::vector<std::string> list;

  bool IsQuestion() const { return builtin && kind == Kind::kBool; }  // answered in place of running: command line alone
  std::string Environment() const;  // "TRIBUTARY_MEMORY_BUDGET"
  std::string Placeholder() const;  // "SIZE"
  std::string Expected() const;     // "a size of 8MiB to 1TiB, as in 64MiB"
  std::string FallbackText() const;
  // Checks and keeps. `place` begins the error: "--memory-budget".
  Status Assign(const std::vector<std::string>& values, const std::string& place);
};

}  // namespace tributary::config
