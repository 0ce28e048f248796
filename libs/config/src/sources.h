// Where values come from: command line, environment, ini file. Boost.Program_options stays in sources.cc.
#pragma once

#include <string>
#include <vector>

#include "knob.h"
#include "tributary/base/result.h"

namespace tributary::config {

// What one source says of one knob.
struct Setting {
  Knob* knob = nullptr;
  std::vector<std::string> values;
  std::string place;  // begins errors
};

Result<std::vector<Setting>> ReadCommandLine(std::vector<Knob>& knobs, int argc, const char* const* argv);
std::vector<Setting> ReadEnvironment(std::vector<Knob>& knobs, const char* const* environment);
Result<std::vector<Setting>> ReadIniFile(std::vector<Knob>& knobs, const std::string& path);

}  // namespace tributary::config
