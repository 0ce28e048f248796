#include "tributary/wire/greeting.h"

namespace tributary::wire {

Status CheckProtocol(const FrameView& frame, std::string_view server) {
  if (frame.protocol == kProtocol) return Ok();
  return MakeError(Code::kProtocol, "{} speaks protocol {}, this program {}; install the same release on both sides, or images of the same tag", server, frame.protocol, kProtocol);
}

}  // namespace tributary::wire
