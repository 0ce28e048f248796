// Who this process is, and whom it knows: its own keys and its list of peers.
//
// A Context that has a keyring encrypts every socket of its own (CURVE): servers admit who is on the list, clients take the server's key from it. Without one
// nothing is encrypted and anybody is served, which is for one machine alone: CheckExposed refuses it elsewhere. Values. Failures as of
// curve.h and peers.h.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tributary/base/result.h"
#include "tributary/transport/curve.h"
#include "tributary/transport/peers.h"

namespace tributary::transport {

struct Keyring {
  CurveKeys own;
  PeerList peers;
  std::filesystem::path peers_file = {};  // a server looks at it each second; empty: `peers` stays as it is
};

// Nothing if both are empty; one without the other is kInvalidArgument.
Result<std::optional<Keyring>> LoadKeyring(const std::filesystem::path& key, const std::filesystem::path& peers);

// What a process needs to know before its first socket: the keyring of --key and --peers, none if both are empty. Refused where there is none and one of `endpoints`
// leaves the machine, unless `insecure`. `flag` names the endpoints in the message.
struct KeyFiles {
  std::filesystem::path key;
  std::filesystem::path peers;
  bool insecure = false;
};
Result<std::optional<Keyring>> OpenKeyring(const KeyFiles& files, std::string_view flag, const std::vector<std::string>& endpoints);

// Whether what goes to or comes in at this endpoint may cross a network: tcp, and not to this machine itself.
bool LeavesMachine(std::string_view endpoint);
// kInvalidArgument for an endpoint that leaves the machine without keys, unless `insecure`. `flag` names the endpoint in the message.
Status CheckExposed(std::string_view flag, std::string_view endpoint, bool keys, bool insecure);

}  // namespace tributary::transport
