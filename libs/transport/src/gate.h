// Private: who is admitted to a server that has keys.
//
// libzmq asks once, during a connection's handshake (ZAP, rfc.zeromq.org/spec/27), and from then on attests each message with the User-Id that it was answered: here
// the public key itself, which is looked up in the list of this moment for each message. So whoever leaves the list is heard no more from the moment that the list
// is read again, whatever connection it has. One thread, the server's; one server with keys for a context.
#pragma once

#include <sys/stat.h>

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <zmq.hpp>

#include "tributary/transport/keyring.h"

namespace tributary::transport {

class Gate {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;

  // Begins to answer; before the server's socket is bound, or everybody is admitted.
  Status Open(zmq::context_t& context, const Keyring& keyring);
  bool open() const { return list_ != nullptr; }
  void* socket() { return zap_.handle(); }
  // Answers the handshakes that wait. Returns a key that was refused, if there was one.
  std::optional<std::string> Answer();
  // Reads the list if it is time and the file has changed. True: the list is another one. After an error the old list holds, and it is tried again each second.
  Result<bool> Reload(TimePoint now);
  // Null: not on the list.
  std::shared_ptr<const Identity> Find(std::string_view key) const;
  // After the server's socket.
  void Close() { zap_.close(); }

  std::uint64_t refused() const { return refused_; }
  // How often each key was let in, since it was forgotten.
  const std::map<std::string, std::uint64_t>& admitted() const { return admitted_; }
  void ForgetAdmitted() { admitted_.clear(); }

 private:
  struct Stamp {
    dev_t device = 0;
    ino_t inode = 0;
    off_t size = -1;
    timespec changed{};  // what is in it, or who may read it
    bool operator==(const Stamp& other) const {
      return device == other.device && inode == other.inode && size == other.size && changed.tv_sec == other.changed.tv_sec &&
             changed.tv_nsec == other.changed.tv_nsec;
    }
  };
  Stamp Look() const;

  zmq::socket_t zap_;
  std::filesystem::path file_;
  std::shared_ptr<const PeerList> list_;
  Stamp stamp_;
  TimePoint looked_;
  std::uint64_t refused_ = 0;
  std::map<std::string, std::uint64_t> admitted_;
};

}  // namespace tributary::transport
