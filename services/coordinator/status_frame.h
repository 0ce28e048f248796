// A job's status that fits one control frame, whatever the number of seats and rounds.
//
// Pure functions.
#pragma once

#include <vector>

#include "tributary/federation/decisions.h"
#include "tributary/wire/control.h"

namespace tributary::service {

wire::RoundStatus ToStatus(const federation::RoundRow& row);

// Adds as many of `rounds` (ascending) as fit; who asks again with since_round gets the rest. Seats that do not fit beside them are
// left out, and so are names of a round that would not fit alone.
void FitFrame(wire::JobStatus& status, const std::vector<federation::RoundRow>& rounds);

}  // namespace tributary::service
