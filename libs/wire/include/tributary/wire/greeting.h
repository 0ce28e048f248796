// What a client holds a server's every answer against, the first one above all: whether it is of the same protocol.
//
// Parsing takes frames of any protocol, so that they can be told apart and answered; what the fields of another one mean nobody knows here. Pure; any thread.
#pragma once

#include <string_view>

#include "tributary/base/result.h"
#include "tributary/wire/frame.h"

namespace tributary::wire {

// kProtocol, with both numbers and what to change, unless the frame is of this program's protocol. `server`: "the blob-store at tcp://...".
Status CheckProtocol(const FrameView& frame, std::string_view server);

}  // namespace tributary::wire
