#include "gate.h"

#include <array>
#include <vector>

namespace tributary::transport {
namespace {

constexpr std::chrono::seconds kLookEvery{1};
constexpr std::size_t kKeyBytes = 32;

}  // namespace

Gate::Stamp Gate::Look() const {
  struct stat about{};
  if (file_.empty() || stat(file_.c_str(), &about) != 0) return {};
  return {about.st_dev, about.st_ino, about.st_size, about.st_ctim};
}

Status Gate::Open(zmq::context_t& context, const Keyring& keyring) {
  file_ = keyring.peers_file;
  list_ = std::make_shared<PeerList>(keyring.peers);
  // Not the present file's: one that changed since the keyring was read is read again at once.
  stamp_ = {};
  try {
    zap_ = zmq::socket_t(context, zmq::socket_type::rep);
    zap_.set(zmq::sockopt::linger, 0);
    zap_.bind("inproc://zeromq.zap.01");
  } catch (const zmq::error_t& e) {
    return MakeError(Code::kInternal, "admitting peers: {}; two servers with keys need a context each", e.what());
  }
  return Ok();
}

std::optional<std::string> Gate::Answer() {
  std::optional<std::string> refused;
  for (;;) {
    std::vector<std::string> parts;
    zmq::message_t part;
    if (!zap_.recv(part, zmq::recv_flags::dontwait)) return refused;
    parts.push_back(part.to_string());
    while (part.more() && zap_.recv(part, zmq::recv_flags::dontwait)) parts.push_back(part.to_string());
    // Version, request, domain, address, routing id, mechanism, and for CURVE the client's key.
    const bool asked = parts.size() == 7 && parts[5] == "CURVE" && parts[6].size() == kKeyBytes;
    std::string key;
    if (asked) {
      std::array<char, 41> text{};
      zmq_z85_encode(text.data(), reinterpret_cast<const std::uint8_t*>(parts[6].data()), kKeyBytes);
      key = text.data();
    }
    const bool admitted = asked && list_->Find(key) != nullptr;
    if (admitted) {
      ++admitted_[key];
    } else {
      ++refused_;
      refused = key;
    }
    const std::array<std::string, 6> reply = {"1.0", parts.size() > 1 ? parts[1] : "", admitted ? "200" : "400", admitted ? "OK" : "not on the list",
                                              admitted ? key : "", ""};
    for (std::size_t i = 0; i < reply.size(); ++i) {
      zap_.send(zmq::buffer(reply[i]), (i + 1 < reply.size() ? zmq::send_flags::sndmore : zmq::send_flags::none) | zmq::send_flags::dontwait);
    }
  }
}

Result<bool> Gate::Reload(TimePoint now) {
  if (file_.empty() || now - looked_ < kLookEvery) return false;
  looked_ = now;
  const Stamp stamp = Look();
  if (stamp == stamp_) return false;
  auto list = ReadPeerList(file_);
  if (!list.ok()) return list.error().Wrap("the list of peers stays as it was");
  stamp_ = stamp;
  if (list->Text() == list_->Text()) return false;
  list_ = std::make_shared<PeerList>(*std::move(list));
  return true;
}

std::shared_ptr<const Identity> Gate::Find(std::string_view key) const {
  const Identity* found = list_->Find(key);
  return found == nullptr ? nullptr : std::shared_ptr<const Identity>(list_, found);
}

}  // namespace tributary::transport
