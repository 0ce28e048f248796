// What a peer may do with which object, where the store has keys.
//
// Decided for each request by the identity of the connection's key and by the object's name, whatever the peer says of itself. Pure functions.
//
// | role | may |
// |---|---|
// | operator | everything |
// | aggregator | read, write, seal and remove what belongs to jobs, remove offers, read imported models |
// | blob-store | read (a cache, another shard) |
// | trainer | read models of jobs and imported ones; write, seal, read and remove the updates and offers of its own site, and the first model of a job, which it makes when it is asked to |
// | coordinator | nothing: it never sees a tensor byte |
#pragma once

#include "tributary/base/result.h"
#include "tributary/transport/peers.h"
#include "tributary/wire/frame.h"

namespace tributary::service {

// kPermission with role, name and object. A frame that cannot be decoded is allowed: what decodes it next refuses it.
Status CheckAccess(const transport::Identity& peer, const wire::FrameView& frame);

}  // namespace tributary::service
