// How a line of a job's log is shown, and the one thing of a job that can be changed when it goes on.
//
// Pure functions, any thread.
#pragma once

#include <cstdint>
#include <string>

#include "tributary/base/result.h"
#include "tributary/wire/control.h"

namespace tributary::cli {

// "2026-11-22 06:41:12.345 ! round 2: seat b/1 is left out", in UTC, without the job's name; what a terminal would obey is a space.
std::string LogText(const wire::LogLine& line, const std::string& job);
// Of --set rounds=N; kInvalidArgument for another path, and for what is no number from 1.
Result<std::uint32_t> ParseRounds(const std::string& path, const std::string& value, std::uint32_t most);

}  // namespace tributary::cli
