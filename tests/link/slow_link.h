// A proxy of TCP connections that behaves like a long, thin line: delay, a rate limit, breaks.
//
// Listens on a free loopback port and forwards each connection to the target. What is read leaves `delay` later, at most `rate` bytes a
// second in each direction over all connections together; the line holds what is under way and a router's queue of 50 ms more, and reads
// no further, so that senders feel it as on a real one. One thread of its own; the methods are thread-safe. Bytes.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "tributary/base/result.h"
#include "tributary/base/units.h"

namespace tributary::testing {

struct Line {
  Duration delay{0};        // each way
  std::uint64_t rate = 0;   // bytes a second, each way; 0: no limit
};

class SlowLink {
 public:
  // `target`: tcp://127.0.0.1:PORT. kInvalidArgument for another form, kIo when no port can be had.
  static Result<std::unique_ptr<SlowLink>> Start(const std::string& target, const Line& line);
  ~SlowLink();

  std::string endpoint() const;
  // Nothing passes until Mend; the connections stay.
  void Break();
  void Mend();
  // Ends all connections, as a middlebox does that forgot them.
  void Cut();
  // From the clients to the target, and back, so far.
  std::uint64_t up() const;
  std::uint64_t down() const;

 private:
  SlowLink();
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace tributary::testing
