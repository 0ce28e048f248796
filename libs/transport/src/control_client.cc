#include "tributary/transport/control_client.h"

#include <algorithm>
#include <optional>
#include <thread>

#include "tributary/base/clock.h"
#include "tributary/wire/greeting.h"

namespace tributary::transport {
namespace {

constexpr Duration kLongestPause{1'000};
// A handshake that fails for so long fails for a reason that somebody has to mend. A server takes a second to see a new list of peers.
constexpr Duration kTroubleForGood{3'000};

}  // namespace

Result<std::unique_ptr<ControlClient>> ControlClient::Connect(std::shared_ptr<Context> context,
                                                              const std::string& endpoint, PeerRole server) {
  ClientOptions options;
  options.endpoint = endpoint;
  options.server = server;
  options.receive_high_water = 10;
  auto client = std::make_unique<ControlClient>();
  client->server_ = RoleName(server);
  TRIBUTARY_ASSIGN(client->client_, FrameClient::Connect(std::move(context), options));
  return client;
}

Result<InFrame> ControlClient::Exchange(wire::Type type, const std::string& body, Duration timeout) {
  const Deadline deadline(Clock::Steady(), timeout);
  const std::uint64_t id = next_id_++;
  const std::string header = wire::MakeHeader(type, id, body, false);
  if (header.size() > wire::kMaxControlFrame) {
    return MakeError(Code::kInvalidArgument, "the request has {} bytes, at most {} fit a control frame", header.size(),
                     wire::kMaxControlFrame);
  }
  TRIBUTARY_TRY(client_->Send({header, nullptr}));
  Duration pause{20};
  std::optional<Deadline> troubled;
  while (!deadline.Expired()) {
    TRIBUTARY_ASSIGN(Received received, client_->Receive(deadline.Left()));
    if (received.event == Event::kFrame) {
      TRIBUTARY_TRY(wire::CheckProtocol(received.frame.view(), fmt::format("the {} at {}", server_, client_->endpoint())));
      // An answer to an earlier request that was given up is passed over.
      if (received.frame.view().id == id) return std::move(received.frame);
    } else if (received.event == Event::kLost) {
      // One that takes connections and ends them is not asked in a tight loop.
      std::this_thread::sleep_for(std::min(pause, deadline.Left()));
      pause = std::min(pause * 2, kLongestPause);
      if (!client_->Refused()) {
        troubled.reset();
      } else if (!troubled) {
        troubled.emplace(Clock::Steady(), kTroubleForGood);
      } else if (troubled->Expired()) {
        return MakeError(Code::kPermission, "{} does not speak with this process{}", client_->endpoint(), client_->Trouble());
      }
      TRIBUTARY_TRY(client_->Reset());
      TRIBUTARY_TRY(client_->Send({header, nullptr}));
    }
  }
  return MakeError(Code::kDeadline, "nothing answered at {} within {}{}", client_->endpoint(), FormatDuration(timeout),
                   client_->Trouble().empty() ? "; is it running, and is that its address?" : client_->Trouble());
}

}  // namespace tributary::transport
