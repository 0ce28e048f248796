// Private: what the kernel counts on a TCP connection, parts of messages included.
//
// Functions of a descriptor that is libzmq's: it may be closed, and its number used again, at any time; the inode tells.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <optional>

namespace tributary::transport {

// 0 if it is no socket.
ino_t InodeOf(int fd);

struct TcpCounts {
  std::uint64_t received = 0;
  std::uint64_t acknowledged = 0;  // by the peer's machine
};
// Nothing for other sockets than TCP's, and where the kernel does not tell.
std::optional<TcpCounts> CountsOf(int fd);
// The shortest of the last minutes, between the two kernels: a process that is late does not lengthen it. Nothing as above.
std::optional<std::chrono::microseconds> RoundTripOf(int fd);
// Whether a TCP connection has its other end on another machine.
bool IsRemote(int fd);

}  // namespace tributary::transport
