#include "services/cli/bench/scrape.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <sstream>

namespace tributary::cli {
namespace {

constexpr std::size_t kMostBytes = 4u << 20;

class Connection {
 public:
  explicit Connection(int fd) : fd_(fd) {}
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;
  ~Connection() {
    if (fd_ >= 0) close(fd_);
  }
  int fd() const { return fd_; }

 private:
  int fd_;
};

}  // namespace

Samples ParseMetrics(const std::string& text) {
  Samples samples;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    const auto space = line.rfind(' ');
    if (line.empty() || line.front() == '#' || space == std::string::npos || space == 0) continue;
    char* end = nullptr;
    const double value = std::strtod(line.c_str() + space + 1, &end);
    if (end != line.c_str() + space + 1) samples[line.substr(0, space)] = value;
  }
  return samples;
}

Result<Samples> ScrapeMetrics(const std::string& address) {
  const auto colon = address.rfind(':');
  sockaddr_in to{};
  to.sin_family = AF_INET;
  if (colon == std::string::npos || inet_pton(AF_INET, address.substr(0, colon).c_str(), &to.sin_addr) != 1) {
    return MakeError(Code::kInvalidArgument, "'{}' is no address of a metrics endpoint: expected IP:PORT", address);
  }
  to.sin_port = htons(static_cast<std::uint16_t>(std::strtoul(address.c_str() + colon + 1, nullptr, 10)));
  const Connection connection(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const timeval limit{2, 0};
  setsockopt(connection.fd(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  setsockopt(connection.fd(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
  if (connect(connection.fd(), reinterpret_cast<const sockaddr*>(&to), sizeof to) != 0) {
    return MakeError(Code::kUnavailable, "no metrics at {}", address);
  }
  const std::string request = "GET /metrics HTTP/1.0\r\nHost: " + address + "\r\nConnection: close\r\n\r\n";
  if (send(connection.fd(), request.data(), request.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(request.size())) {
    return MakeError(Code::kUnavailable, "no metrics at {}", address);
  }
  std::string answer;
  char piece[16384];
  for (;;) {
    const ssize_t got = recv(connection.fd(), piece, sizeof piece, 0);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return ErrnoError(errno, "reading metrics of " + address);
    if (got == 0) break;
    answer.append(piece, static_cast<std::size_t>(got));
    if (answer.size() > kMostBytes) return MakeError(Code::kProtocol, "metrics of {} have no end", address);
  }
  const auto body = answer.find("\r\n\r\n");
  if (answer.compare(0, 7, "HTTP/1.") != 0 || answer.find(" 200 ") > 16 || body == std::string::npos) {
    return MakeError(Code::kUnavailable, "no metrics at {}: {}", address, answer.substr(0, answer.find('\r')));
  }
  return ParseMetrics(answer.substr(body + 4));
}

}  // namespace tributary::cli
