#include "tributary/config/health.h"

#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdio>
#include <memory>
#include <string_view>

#include "tributary/config/options.h"

namespace tributary::config {
namespace {

using Clock = std::chrono::steady_clock;

// Status line, headers and the words of an unwell service; more is not read.
constexpr std::size_t kMaxAnswer = 4096;

class Socket {
 public:
  explicit Socket(int fd) : fd_(fd) {}
  ~Socket() {
    if (fd_ >= 0) close(fd_);
  }
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;
  int fd() const { return fd_; }

 private:
  const int fd_;
};

Status WaitFor(int fd, short events, Clock::time_point end) {
  for (;;) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(end - Clock::now()).count();
    pollfd entry{fd, events, 0};
    const int ready = poll(&entry, 1, left > 0 ? static_cast<int>(left) : 0);
    if (ready > 0) return Ok();
    if (ready == 0) return Error(Code::kUnavailable, "no answer in time");
    if (errno != EINTR) return ErrnoError(errno, "waiting");
  }
}

Status Connect(int fd, const addrinfo& address, Clock::time_point end) {
  if (connect(fd, address.ai_addr, address.ai_addrlen) == 0) return Ok();
  if (errno != EINPROGRESS) return ErrnoError(errno, "connecting");
  TRIBUTARY_TRY(WaitFor(fd, POLLOUT, end));
  int failure = 0;
  socklen_t size = sizeof failure;
  if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &failure, &size) != 0) failure = errno;
  return failure == 0 ? Ok() : Status(ErrnoError(failure, "connecting"));
}

// The whole answer, or its first kMaxAnswer bytes.
Result<std::string> Exchange(int fd, std::string_view request, Clock::time_point end) {
  while (!request.empty()) {
    TRIBUTARY_TRY(WaitFor(fd, POLLOUT, end));
    const ssize_t sent = send(fd, request.data(), request.size(), MSG_NOSIGNAL);
    if (sent > 0) request.remove_prefix(static_cast<std::size_t>(sent));
    else if (sent < 0 && errno != EAGAIN && errno != EINTR) return ErrnoError(errno, "asking");
  }
  std::string answer(kMaxAnswer, '\0');
  std::size_t got = 0;
  while (got < answer.size()) {
    TRIBUTARY_TRY(WaitFor(fd, POLLIN, end));
    const ssize_t n = recv(fd, answer.data() + got, answer.size() - got, 0);
    if (n == 0) break;
    if (n > 0) got += static_cast<std::size_t>(n);
    else if (errno != EAGAIN && errno != EINTR) return ErrnoError(errno, "reading the answer");
  }
  answer.resize(got);
  return answer;
}

// The words after the headers, on one line.
std::string Body(const std::string& answer) {
  const auto headers = answer.find("\r\n\r\n");
  std::string body = headers == std::string::npos ? "" : answer.substr(headers + 4);
  while (!body.empty() && (body.back() == '\n' || body.back() == '\r')) body.pop_back();
  for (char& c : body) {
    if (static_cast<unsigned char>(c) < ' ') c = ' ';
  }
  return body;
}

Status Judge(const std::string& answer) {
  constexpr std::string_view kProtocol = "HTTP/1.";
  if (answer.compare(0, kProtocol.size(), kProtocol) != 0 || answer.size() < 12) return Error(Code::kUnavailable, "what answers there does not speak HTTP");
  const std::string status = answer.substr(9, 3);
  if (status == "200") return Ok();
  const std::string body = Body(answer);
  return Error(Code::kUnavailable, "it answers " + status + (body.empty() ? "" : ": " + body));
}

Status Ask(const std::string& host, const std::string& port, Clock::time_point end) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (const int failure = getaddrinfo(host.c_str(), port.c_str(), &hints, &found); failure != 0) {
    return Error(Code::kUnavailable, std::string("the name is not known here: ") + gai_strerror(failure));
  }
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> addresses(found, freeaddrinfo);
  Status status = Error(Code::kUnavailable, "no address");
  for (const addrinfo* address = found; address != nullptr; address = address->ai_next) {
    const Socket socket(::socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (socket.fd() < 0) {
      status = ErrnoError(errno, "a socket");
      continue;
    }
    status = Connect(socket.fd(), *address, end);
    if (!status.ok()) continue;
    TRIBUTARY_ASSIGN(const std::string answer, Exchange(socket.fd(), "GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", end));
    return Judge(answer);
  }
  return status;
}

}  // namespace

Status AskHealth(const std::string& metrics_address, Duration limit) {
  const auto colon = metrics_address.rfind(':');
  if (metrics_address == "off" || colon == std::string::npos) {
    return Error(Code::kUnavailable, "--metrics-address " + metrics_address + ": no endpoint to ask; give the service one, as in 127.0.0.1:9470");
  }
  std::string host = metrics_address.substr(0, colon);
  const std::string port = metrics_address.substr(colon + 1);
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
  if (host == "0.0.0.0") host = "127.0.0.1";
  if (host == "::") host = "::1";
  const Status status = Ask(host, port, Clock::now() + limit);
  if (status.ok()) return status;
  return Error(Code::kUnavailable, "--metrics-address " + metrics_address + ": " + status.error().message());
}

int AnswerHealth(const std::string& metrics_address) {
  const Status status = AskHealth(metrics_address);
  if (status.ok()) return kExitDone;
  std::fprintf(stderr, "not healthy: %s\n", status.error().message().c_str());
  return kExitFailed;
}

}  // namespace tributary::config
