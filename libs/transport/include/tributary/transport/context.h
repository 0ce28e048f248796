// The ZeroMQ context of a process: its I/O threads, and who it is to others (its keys).
//
// One per process (tests may have several). Servers and clients keep it alive. Thread-safe. zmq.hpp stays inside
// this library.
#pragma once

#include <memory>
#include <optional>

#include "tributary/transport/keyring.h"

namespace tributary::transport {

class Context {
 public:
  // With a keyring every socket of this context is encrypted; one server at most.
  explicit Context(int io_threads = 1, std::optional<Keyring> keyring = std::nullopt);
  ~Context();
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;

  const std::optional<Keyring>& keyring() const;
  void* native() const;  // zmq::context_t*, for this library's sources

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace tributary::transport
