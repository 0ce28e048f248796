// Reads a service's metrics as a Prometheus server would.
//
// One thread; blocks for at most two seconds. kUnavailable when nobody serves there.
#pragma once

#include <map>
#include <string>

#include "tributary/base/result.h"

namespace tributary::cli {

// By name and labels as they stand in the text: `tributary_memory_owner_peak_bytes{owner="pool"}`.
using Samples = std::map<std::string, double>;

Result<Samples> ScrapeMetrics(const std::string& address);  // "127.0.0.1:9470"
Samples ParseMetrics(const std::string& text);

}  // namespace tributary::cli
