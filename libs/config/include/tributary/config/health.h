// Asks a service on this machine whether it is alive: what `tributary-SERVICE --health` does, for container health checks without another program.
//
// One GET of /healthz at the service's metrics address over plain HTTP, on a socket of its own that is closed again. A wildcard address is asked at
// loopback. Thread-safe; blocks for at most `limit`. Every failure is an error that names the address and what came instead.
#pragma once

#include <string>

#include "tributary/base/result.h"
#include "tributary/base/units.h"

namespace tributary::config {

constexpr Duration kHealthLimit{3'000};

// Ok when the answer is 200. kUnavailable: nobody answers there in time, or the service says that it is not well, with its own words.
Status AskHealth(const std::string& metrics_address, Duration limit = kHealthLimit);

// For main: kExitDone, or kExitFailed with the reason on stderr.
int AnswerHealth(const std::string& metrics_address);

}  // namespace tributary::config
