// Sends one message with somebody's key and tells what kind of answer comes: for tables of who may send what.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <memory>
#include <optional>
#include <string>

#include "tributary/transport/curve.h"
#include "tributary/transport/frame_client.h"
#include "tributary/wire/codec.h"
#include "tributary/wire/control.h"

namespace tributary::transport::testing {

enum class Answer {
  kServed,     // any that is none of the others: also that there is no such job
  kForbidden,  // code 11
  kNotTaken,   // code 10
  kNone,       // the connection ended
};
inline void PrintTo(Answer answer, std::ostream* out) {
  constexpr const char* kNames[] = {"served", "forbidden", "not taken", "not answered"};
  *out << kNames[static_cast<int>(answer)];
}

// No keys: in the clear.
inline std::unique_ptr<FrameClient> Dial(const std::string& endpoint, std::optional<CurveKeys> own, PeerRole server, const std::string& server_key) {
  std::optional<Keyring> keyring;
  if (own) {
    keyring = Keyring{*own, {}, {}};
    EXPECT_TRUE(keyring->peers.Add({server, "server"}, server_key).ok());
  }
  ClientOptions options;
  options.endpoint = endpoint;
  options.max_frame_bytes = wire::kMaxDataFrame;
  options.server = server;
  auto client = FrameClient::Connect(std::make_shared<Context>(1, std::move(keyring)), options);
  EXPECT_TRUE(client.ok());
  return *std::move(client);
}

template <class M>
Answer Ask(FrameClient& client, std::uint64_t id, const M& message) {
  EXPECT_TRUE(client.Send(MakeFrame(id, message)).ok());
  for (;;) {
    const auto received = client.Receive(Duration(20'000));
    if (!received.ok() || received->event == Event::kTimeout) {
      ADD_FAILURE() << "no answer to " << wire::TypeName(M::kType) << (received.ok() ? "" : received.error().message());
      return Answer::kNone;
    }
    if (received->event == Event::kLost) {
      EXPECT_TRUE(client.Reset().ok());
      return Answer::kNone;
    }
    const auto& view = received->frame.view();
    if (received->event != Event::kFrame || view.id != id) continue;
    if (view.type != wire::Type::kError) return Answer::kServed;
    const Code code = wire::ErrorOf(view).code();
    return code == Code::kPermission ? Answer::kForbidden : code == Code::kProtocol ? Answer::kNotTaken : Answer::kServed;
  }
}

}  // namespace tributary::transport::testing
