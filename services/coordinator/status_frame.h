// A job's status that fits one control frame, whatever the number of seats and rounds.
//
// Pure functions.
#pragma once

#include <functional>
#include <vector>

#include "tributary/federation/decisions.h"
#include "tributary/wire/control.h"

namespace tributary::service {

// `updates`, the round's train rows, tell why seats were left out.
wire::RoundStatus ToStatus(const federation::RoundRow& row, const std::vector<federation::TaskRow>& updates = {});

// Adds as many of `rounds` (ascending) as fit; who asks again with since_round gets the rest. Seats that do not fit beside them are
// left out, and so are reasons and names of a round that would not fit alone. `updates` is asked for rounds that left seats out.
using UpdatesOf = std::function<std::vector<federation::TaskRow>(const federation::RoundRow& round)>;
void FitFrame(wire::JobStatus& status, const std::vector<federation::RoundRow>& rounds, const UpdatesOf& updates = nullptr);

}  // namespace tributary::service
