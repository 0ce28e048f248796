// What a peer may do with which object, where the store has keys.
//
// Decided for each request by the identity of the connection's key, by the object's name, and for trainers by what the coordinator granted to their task
// (transport/grants.h), whatever the peer says of itself. Pure functions.
//
// | role | may |
// |---|---|
// | operator | everything |
// | aggregator | read, write, seal and remove what belongs to jobs, remove offers, read imported models |
// | cache | read models of jobs and imported ones |
// | trainer | read what its task's grant names; write, seal and read what the grant names and is an update or offer of its own site, or the first model of a job; remove offers in the same way |
// | coordinator, another blob-store | nothing: it never sees a tensor byte |
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "tributary/base/result.h"
#include "tributary/transport/peers.h"
#include "tributary/wire/frame.h"
#include "tributary/wire/grant.h"

namespace tributary::service {

// The site whose update or offer has this name; empty: it is none.
std::string SiteOf(std::string_view object);

// kPermission with role, name and object. A frame that cannot be decoded is allowed: what decodes it next refuses it. `grant`: of this session, checked; it counts
// for whom it names alone, also where the key of the connection has become another's.
Status CheckAccess(const transport::Identity& peer, const std::optional<wire::Grant>& grant, const wire::FrameView& frame);

}  // namespace tributary::service
