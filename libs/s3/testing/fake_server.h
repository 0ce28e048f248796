// An S3 service in this process, for test programs only: a few lines of HTTP over a map, which a test may make misbehave.
//
// Listens on a free loopback port. It checks no signature; the header that carries it is there for the test to look at. `rule` sees each request
// first: a reply that it gives is sent instead of the service's own. One thread a connection. Thread-safe.
#pragma once

#include <arpa/inet.h>
#include <fmt/core.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <functional>
#include <list>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

namespace tributary::s3::testing {

struct FakeRequest {
  std::string method;
  std::string path;   // without the query
  std::string query;
  std::map<std::string, std::string> headers;  // names in lower case
  std::string body;
};
struct FakeReply {
  int status = 200;
  std::string body = {};
  std::optional<std::uint64_t> length = {};  // that is claimed, if not the body's
  bool hang_up = false;                 // instead of a reply
};

class FakeServer {
 public:
  using Rule = std::function<std::optional<FakeReply>(const FakeRequest&)>;

  FakeServer() {
    listen_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    if (bind(listen_, reinterpret_cast<sockaddr*>(&address), size) != 0 || listen(listen_, 64) != 0) std::abort();
    getsockname(listen_, reinterpret_cast<sockaddr*>(&address), &size);
    endpoint_ = fmt::format("http://127.0.0.1:{}", ntohs(address.sin_port));
    accept_ = std::thread([this] { Accept(); });
  }
  ~FakeServer() {
    shutdown(listen_, SHUT_RDWR);
    accept_.join();
    close(listen_);
    std::list<std::pair<int, std::thread>> connections;
    {
      const std::lock_guard lock(mutex_);
      connections.swap(connections_);
    }
    for (auto& [fd, thread] : connections) shutdown(fd, SHUT_RDWR);
    for (auto& [fd, thread] : connections) {
      thread.join();
      close(fd);
    }
  }
  FakeServer(const FakeServer&) = delete;
  FakeServer& operator=(const FakeServer&) = delete;

  const std::string& endpoint() const { return endpoint_; }
  void SetRule(Rule rule) {
    const std::lock_guard lock(mutex_);
    rule_ = std::move(rule);
  }
  std::map<std::string, std::string> Values() {
    const std::lock_guard lock(mutex_);
    return values_;
  }
  void SetValue(const std::string& path, std::string value) {
    const std::lock_guard lock(mutex_);
    values_[path] = std::move(value);
  }
  std::vector<FakeRequest> Requests() {  // without their bodies
    const std::lock_guard lock(mutex_);
    return requests_;
  }

 private:
  void Accept() {
    for (;;) {
      const int fd = accept(listen_, nullptr, nullptr);
      if (fd < 0) return;
      const std::lock_guard lock(mutex_);
      connections_.emplace_back(fd, std::thread([this, fd] { Serve(fd); }));
    }
  }

  static bool SendAll(int fd, std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t sent = send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent <= 0) return false;
      bytes.remove_prefix(static_cast<std::size_t>(sent));
    }
    return true;
  }

  void Serve(int fd) {
    std::string input;
    const auto more = [&] {
      char block[65536];
      const ssize_t got = recv(fd, block, sizeof block, 0);
      if (got > 0) input.append(block, static_cast<std::size_t>(got));
      return got > 0;
    };
    for (;;) {
      std::size_t end;
      while ((end = input.find("\r\n\r\n")) == std::string::npos) {
        if (!more()) return;
      }
      FakeRequest request = Parse(input.substr(0, end));
      input.erase(0, end + 4);
      const auto expect = request.headers.find("expect");
      if (expect != request.headers.end() && !SendAll(fd, "HTTP/1.1 100 Continue\r\n\r\n")) return;
      const auto length = request.headers.find("content-length");
      const std::size_t bytes = length == request.headers.end() ? 0 : std::stoull(length->second);
      while (input.size() < bytes) {
        if (!more()) return;
      }
      request.body = input.substr(0, bytes);
      input.erase(0, bytes);
      const FakeReply reply = Answer(request);
      const std::uint64_t claimed = reply.length.value_or(reply.body.size());
      const std::string head = fmt::format("HTTP/1.1 {} X\r\nContent-Length: {}\r\n\r\n", reply.status, claimed);
      if (reply.hang_up || !SendAll(fd, head) || (request.method != "HEAD" && !SendAll(fd, reply.body)) ||
          (claimed != reply.body.size() && request.method != "HEAD")) {
        shutdown(fd, SHUT_RDWR);
        return;
      }
    }
  }

  static FakeRequest Parse(const std::string& head) {
    FakeRequest request;
    const std::size_t first = head.find(' ');
    const std::size_t second = head.find(' ', first + 1);
    request.method = head.substr(0, first);
    const std::string target = head.substr(first + 1, second - first - 1);
    const std::size_t query = target.find('?');
    request.path = target.substr(0, query);
    if (query != std::string::npos) request.query = target.substr(query + 1);
    for (std::size_t at = head.find("\r\n"); at != std::string::npos;) {
      const std::size_t next = head.find("\r\n", at + 2);
      const std::string line = head.substr(at + 2, next == std::string::npos ? next : next - at - 2);
      at = next;
      const std::size_t colon = line.find(':');
      std::string name = line.substr(0, colon);
      std::ranges::transform(name, name.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
      const std::size_t begin = line.find_first_not_of(' ', colon + 1);
      request.headers[name] = begin == std::string::npos ? "" : line.substr(begin);
    }
    return request;
  }

  static std::string QueryValue(const std::string& query, const std::string& name) {
    const std::size_t at = ("&" + query).find("&" + name + "=");
    if (at == std::string::npos) return {};
    std::string value = query.substr(at + name.size() + 1);
    value.resize(std::min(value.find('&'), value.size()));
    for (std::size_t slash; (slash = value.find("%2F")) != std::string::npos;) value.replace(slash, 3, "/");
    return value;
  }

  FakeReply Answer(const FakeRequest& request) {
    Rule rule;
    {
      const std::lock_guard lock(mutex_);
      requests_.push_back(request);
      requests_.back().body.clear();
      rule = rule_;
    }
    if (rule) {
      if (auto reply = rule(request)) return *std::move(reply);
    }
    const std::lock_guard lock(mutex_);
    if (request.method == "PUT") {
      values_[request.path] = request.body;
      return {};
    }
    if (request.method == "DELETE") {
      values_.erase(request.path);
      return {.status = 204};
    }
    if (request.method == "GET" && request.query.starts_with("list-type=2&")) return List(request);
    const auto found = values_.find(request.path);
    if (found == values_.end()) return {.status = 404, .body = "<Error><Code>NoSuchKey</Code><Message>none</Message></Error>"};
    if (request.method == "HEAD") return {.status = 200, .length = found->second.size()};
    const auto range = request.headers.find("range");
    if (range == request.headers.end()) return {.status = 200, .body = found->second};
    std::size_t first = 0;
    std::size_t last = 0;
    std::sscanf(range->second.c_str(), "bytes=%zu-%zu", &first, &last);
    if (first >= found->second.size()) return {.status = 416, .body = "<Error><Code>InvalidRange</Code></Error>"};
    return {.status = 206, .body = found->second.substr(first, last - first + 1)};
  }

  // REQUIRES mutex_. Paths are "/bucket/key".
  FakeReply List(const FakeRequest& request) const {
    const std::string root = request.path;
    const std::string prefix = QueryValue(request.query, "prefix");
    const std::string after = QueryValue(request.query, "start-after");
    const std::size_t most = std::stoull(QueryValue(request.query, "max-keys"));
    std::string body = "<?xml version=\"1.0\"?><ListBucketResult xmlns=\"x\"><Name>b</Name><Prefix>" + prefix + "</Prefix>";
    std::size_t keys = 0;
    for (const auto& [path, value] : values_) {
      if (!path.starts_with(root)) continue;
      const std::string key = path.substr(root.size());
      if (!key.starts_with(prefix) || key <= after || keys == most) continue;
      body += fmt::format("<Contents><Key>{}</Key><Size>{}</Size></Contents>", key, value.size());
      ++keys;
    }
    return {.status = 200, .body = body + "</ListBucketResult>"};
  }

  int listen_ = -1;
  std::string endpoint_;
  std::thread accept_;
  std::mutex mutex_;
  // Protected by mutex_.
  std::list<std::pair<int, std::thread>> connections_;
  std::map<std::string, std::string> values_;
  std::vector<FakeRequest> requests_;
  Rule rule_;
};

}  // namespace tributary::s3::testing
