// What a trainer's task needs at the blob-store, as a grant. A pure function.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tributary/transport/peers.h"
#include "tributary/wire/control.h"
#include "tributary/wire/grant.h"

namespace tributary::service {

// `imports`: objects outside of the job that its text names. `now`: seconds since 1970. All grants of a day have the same end, at least 30 days away: a task is
// never in a hurry, and its grant has the same bytes however often it is told, by a coordinator that was started anew, too.
wire::Grant GrantOf(const wire::TaskSpec& task, const transport::Identity& owner, const std::vector<std::string>& imports, std::int64_t now);

}  // namespace tributary::service
