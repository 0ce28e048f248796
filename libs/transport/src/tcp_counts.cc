#include "tcp_counts.h"

#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <cstddef>
#include <cstring>

namespace tributary::transport {

ino_t InodeOf(int fd) {
  struct stat info {};
  return fstat(fd, &info) == 0 && S_ISSOCK(info.st_mode) ? info.st_ino : 0;
}

std::optional<TcpCounts> CountsOf(int fd) {
  tcp_info info{};
  socklen_t size = sizeof info;
  if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) != 0 ||
      size < offsetof(tcp_info, tcpi_bytes_received) + sizeof info.tcpi_bytes_received) {
    return std::nullopt;
  }
  return TcpCounts{info.tcpi_bytes_received, info.tcpi_bytes_acked};
}

std::optional<std::chrono::microseconds> RoundTripOf(int fd) {
  tcp_info info{};
  socklen_t size = sizeof info;
  if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) != 0 || size < offsetof(tcp_info, tcpi_min_rtt) + sizeof info.tcpi_min_rtt ||
      info.tcpi_min_rtt == ~std::uint32_t{0}) {  // not measured yet
    return std::nullopt;
  }
  return std::chrono::microseconds(info.tcpi_min_rtt);
}

bool IsRemote(int fd) {
  sockaddr_storage own{};
  sockaddr_storage other{};
  socklen_t own_size = sizeof own;
  socklen_t other_size = sizeof other;
  if (getsockname(fd, reinterpret_cast<sockaddr*>(&own), &own_size) != 0 || getpeername(fd, reinterpret_cast<sockaddr*>(&other), &other_size) != 0) {
    return false;
  }
  // Within a machine both ends have the same address, whichever of the machine's it is, or loopback ones.
  if (own.ss_family == AF_INET && other.ss_family == AF_INET) {
    const std::uint32_t from = ntohl(reinterpret_cast<const sockaddr_in&>(other).sin_addr.s_addr);
    return from >> 24 != IN_LOOPBACKNET && from != ntohl(reinterpret_cast<const sockaddr_in&>(own).sin_addr.s_addr);
  }
  if (own.ss_family == AF_INET6 && other.ss_family == AF_INET6) {
    return std::memcmp(&reinterpret_cast<const sockaddr_in6&>(own).sin6_addr, &reinterpret_cast<const sockaddr_in6&>(other).sin6_addr, sizeof(in6_addr)) != 0;
  }
  return false;
}

}  // namespace tributary::transport
