#include "tributary/transport/keyring.h"

namespace tributary::transport {

Result<std::optional<Keyring>> LoadKeyring(const std::filesystem::path& key, const std::filesystem::path& peers) {
  if (key.empty() != peers.empty()) {
    return MakeError(Code::kInvalidArgument, "{} is given without {}: a key and the list of whom to trust go together", key.empty() ? "--peers" : "--key",
                     key.empty() ? "--key" : "--peers");
  }
  if (key.empty()) return std::optional<Keyring>();
  Keyring keyring;
  auto own = ReadCurveKeys(key);
  if (!own.ok()) return own.error().Wrap("--key");
  keyring.own = *std::move(own);
  auto list = ReadPeerList(peers);
  if (!list.ok()) return list.error().Wrap("--peers");
  keyring.peers = *std::move(list);
  keyring.peers_file = peers;
  return std::optional<Keyring>(std::move(keyring));
}

Result<std::optional<Keyring>> OpenKeyring(const KeyFiles& files, std::string_view flag, const std::vector<std::string>& endpoints) {
  TRIBUTARY_ASSIGN(auto keyring, LoadKeyring(files.key, files.peers));
  for (const std::string& endpoint : endpoints) TRIBUTARY_TRY(CheckExposed(flag, endpoint, keyring.has_value(), files.insecure));
  return keyring;
}

bool LeavesMachine(std::string_view endpoint) {
  constexpr std::string_view kTcp = "tcp://";
  if (!endpoint.starts_with(kTcp)) return false;
  const std::string_view address = endpoint.substr(kTcp.size());
  const std::string_view host = address.substr(0, address.rfind(':'));
  return host != "localhost" && host != "[::1]" && !(host.starts_with("127.") && host.find_first_not_of("0123456789.") == std::string_view::npos);
}

Status CheckExposed(std::string_view flag, std::string_view endpoint, bool keys, bool insecure) {
  if (keys || insecure || !LeavesMachine(endpoint)) return Ok();
  return MakeError(Code::kInvalidArgument,
                   "{} {} leaves this machine, and there are no keys: give --key and --peers ('tributary keygen DIR' makes them), or --insecure where everybody who "
                   "reaches it may read and change everything",
                   flag, endpoint);
}

}  // namespace tributary::transport
