// The ZeroMQ context of a process: its I/O threads.
//
// One per process (tests may have several). Servers and clients keep it alive. Thread-safe. zmq.hpp stays inside
// this library.
#pragma once

#include <memory>

namespace tributary::transport {

class Context {
 public:
  explicit Context(int io_threads = 1);
  ~Context();
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;

  void* native() const;  // zmq::context_t*, for this library's sources

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace tributary::transport
