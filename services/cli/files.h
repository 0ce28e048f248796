// Small text files that people name: job files, logs.
#pragma once

#include <cstdint>
#include <string>

#include "tributary/base/result.h"

namespace tributary::cli {

// The whole text; kInvalidArgument, naming the size, when it has more than `max_bytes`.
Result<std::string> ReadTextFile(const std::string& path, std::uint64_t max_bytes = 1u << 20);

}  // namespace tributary::cli
