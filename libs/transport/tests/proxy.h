// What stands between a client and a server, and does with their bytes what networks do.
#pragma once

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <string>
#include <thread>

namespace tributary::transport {

// Passes bytes on, at most so many of the client's, and sends the client's last part once more, or more often, when it is told to.
class Proxy {
 public:
  explicit Proxy(const std::string& server, std::size_t most = SIZE_MAX) : listener_(socket(AF_INET, SOCK_STREAM, 0)), server_(server), most_(most) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(bind(listener_, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    EXPECT_EQ(listen(listener_, 1), 0);
    socklen_t size = sizeof address;
    EXPECT_EQ(getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size), 0);
    endpoint_ = "tcp://127.0.0.1:" + std::to_string(ntohs(address.sin_port));
    thread_ = std::thread([this] { Run(); });
  }
  ~Proxy() {
    stop_ = true;
    thread_.join();
    close(listener_);
  }
  const std::string& endpoint() const { return endpoint_; }
  void Replay(int times = 1) { replay_ = times; }
  bool replayed() const { return replayed_; }
  std::size_t passed() const { return passed_; }
  // One of the two has hung up.
  bool ended() const { return ended_; }

 private:
  void Run() {
    const int client = accept(listener_, nullptr, nullptr);
    const int server = socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(static_cast<std::uint16_t>(std::stoi(server_.substr(server_.rfind(':') + 1))));
    EXPECT_EQ(connect(server, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    std::string last;
    while (!stop_) {
      pollfd both[] = {{client, POLLIN, 0}, {server, POLLIN, 0}};
      poll(both, 2, 20);
      std::string part(65536, '\0');
      if ((both[0].revents & (POLLIN | POLLHUP)) != 0) {
        const ssize_t got = recv(client, part.data(), part.size(), 0);
        if (got <= 0) break;
        last = part.substr(0, std::min(static_cast<std::size_t>(got), most_ - passed_));
        passed_ += last.size();
        if (send(server, last.data(), last.size(), MSG_NOSIGNAL) < 0) break;
      }
      if ((both[1].revents & (POLLIN | POLLHUP)) != 0) {
        const ssize_t got = recv(server, part.data(), part.size(), 0);
        if (got <= 0) break;
        if (send(client, part.data(), static_cast<std::size_t>(got), MSG_NOSIGNAL) < 0) break;
      }
      if (const int times = replay_.exchange(0); times > 0) {
        EXPECT_EQ(send(server, last.data(), last.size(), MSG_NOSIGNAL), static_cast<ssize_t>(last.size()));
        // Until the server hangs up, or takes no more.
        for (int i = 1; i < times && send(server, last.data(), last.size(), MSG_NOSIGNAL | MSG_DONTWAIT) > 0; ++i) {
        }
        replayed_ = true;
      }
    }
    close(client);
    close(server);
    ended_ = true;
  }

  int listener_;
  const std::string server_;
  const std::size_t most_;
  std::string endpoint_;
  std::atomic<bool> stop_{false};
  std::atomic<int> replay_{0};
  std::atomic<bool> replayed_{false};
  std::atomic<std::size_t> passed_{0};
  std::atomic<bool> ended_{false};
  std::thread thread_;
};

}  // namespace tributary::transport
