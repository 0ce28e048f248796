// Requests to a coordinator or blob-store, one at a time, each answered or an error.
//
// Owned and used by one thread. A lost connection is repaired and the request sent again until `timeout`: all requests of
// clients may be repeated without harm.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "tributary/base/result.h"
#include "tributary/transport/frame_client.h"
#include "tributary/wire/codec.h"
#include "tributary/wire/control.h"

namespace tributary::transport {

class ControlClient {
 public:
  static Result<std::unique_ptr<ControlClient>> Connect(std::shared_ptr<Context> context,
                                                        const std::string& endpoint, PeerRole server = PeerRole::kCoordinator);

  // kDeadline when nothing answers: the message names the endpoint and what to check. kPermission when handshakes fail (keys) for some seconds.
  // kProtocol when what answers speaks another protocol.
  template <class Reply, class Request>
  Result<Reply> Call(const Request& request, Duration timeout) {
    TRIBUTARY_ASSIGN(const InFrame frame,
                     Exchange(Request::kType, wire::EncodeBody(request), timeout));
    return wire::Expect<Reply>(frame.view());
  }

 private:
  Result<InFrame> Exchange(wire::Type type, const std::string& body, Duration timeout);

  std::unique_ptr<FrameClient> client_;
  std::string_view server_;  // what it is expected to be
  std::uint64_t next_id_ = 1;
};

}  // namespace tributary::transport
