// What a run tells TensorBoard of a round: events/ in its work directory.
//
// A pure function; any thread.
#pragma once

#include <map>
#include <string>

#include "services/cli/memory_log.h"
#include "tributary/wire/control.h"

namespace tributary::cli {

// Tag -> number: loss/train, loss/validation, seconds/round, seconds/train …, bytes/up, bytes/down, memory_peak_mib/INSTANCE, and
// metrics/NAME of everything else that the round was told to have.
std::map<std::string, double> EventValues(const wire::RoundStatus& round, const std::map<std::string, InstanceUse>& memory);

}  // namespace tributary::cli
