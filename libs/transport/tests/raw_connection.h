// A TCP connection that speaks ZMTP 3.0 by hand: what libzmq's own sockets would never send.
#pragma once

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>

namespace tributary::transport {

class RawConnection {
 public:
  // To "tcp://127.0.0.1:PORT"; with the greeting and, if wanted, the handshake of a DEALER behind it.
  explicit RawConnection(const std::string& endpoint, bool handshake = true) : fd_(socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(std::stoi(endpoint.substr(endpoint.rfind(':') + 1))));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    if (!handshake) return;
    std::string greeting("\xff\0\0\0\0\0\0\0\1\x7f\3\0NULL", 16);
    greeting.resize(64, '\0');
    const std::string ready = std::string("\5READY\013Socket-Type\0\0\0\6DEALER", 28);
    Write(greeting + std::string("\4", 1) + static_cast<char>(ready.size()) + ready);
    // As libzmq's sockets do: a message that comes before the ROUTER has answered is not always told.
    const std::string answered = Read(64 + 2);
    if (answered.size() == 66) Read(static_cast<unsigned char>(answered[65]));
  }
  ~RawConnection() { close(fd_); }
  RawConnection(const RawConnection&) = delete;
  RawConnection& operator=(const RawConnection&) = delete;

  // False: the other side has ended the connection.
  bool Write(const std::string& bytes) {
    std::size_t done = 0;
    while (done < bytes.size()) {
      const ssize_t n = send(fd_, bytes.data() + done, bytes.size() - done, MSG_NOSIGNAL);
      if (n <= 0) return false;
      done += static_cast<std::size_t>(n);
    }
    return true;
  }
  // A frame of `claimed` bytes, of which `bytes` are sent; `more`: it is not the message's last.
  bool Frame(std::uint64_t claimed, const std::string& bytes, bool more = false) {
    std::string header(1, static_cast<char>(2 | (more ? 1 : 0)));
    for (int shift = 56; shift >= 0; shift -= 8) header += static_cast<char>(claimed >> shift);
    return Write(header + bytes);
  }
  // Reads until the other side has ended the connection; false when nothing comes for `seconds`.
  bool WaitForEnd(int seconds = 20) {
    const timeval patience{seconds, 0};
    setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    char bytes[4096];
    for (;;) {
      const ssize_t n = recv(fd_, bytes, sizeof bytes, 0);
      if (n == 0) return true;
      if (n < 0) return errno != EAGAIN && errno != EWOULDBLOCK;
    }
  }

 private:
  std::string Read(std::size_t size) {
    std::string bytes(size, '\0');
    std::size_t done = 0;
    while (done < size) {
      const ssize_t n = recv(fd_, bytes.data() + done, size - done, 0);
      if (n <= 0) break;
      done += static_cast<std::size_t>(n);
    }
    bytes.resize(done);
    return bytes;
  }

  int fd_;
};

}  // namespace tributary::transport
