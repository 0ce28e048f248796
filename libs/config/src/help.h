// The text of --help.
#pragma once

#include <string>
#include <vector>

#include "knob.h"

namespace tributary::config {

std::string FormatHelp(const std::string& program, const std::string& one_line, const std::vector<Knob>& knobs);

}  // namespace tributary::config
