#include "tributary/metrics/server.h"

#include <arpa/inet.h>
#include <civetweb.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <string_view>
#include <thread>

namespace tributary::metrics {
namespace {

// What civetweb says while this thread starts it; null: nobody listens. Its context does not carry ours yet then.
thread_local std::string* t_complaint = nullptr;

// Opens and closes a connection to the port, at the address of `host` or, for a wildcard or a name, at 127.0.0.1.
void Knock(const std::string& host, std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  if (inet_pton(AF_INET, host.c_str(), &address.sin_addr) != 1 || address.sin_addr.s_addr == htonl(INADDR_ANY)) {
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  }
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return;
  (void)connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address);
  close(fd);
}

}  // namespace

struct MetricsServer::State {
  ServerSpec spec;
  mg_context* context = nullptr;
  std::uint16_t port = 0;

  // civetweb's accepting thread looks at its stop flag once in 2 s, or after a connection: so knock until it has
  // seen it, lest every stop of a service take that long.
  ~State() {
    if (context == nullptr) return;
    const std::string host = spec.address.substr(0, spec.address.rfind(':'));
    std::jthread knocker([this, &host](std::stop_token stop) {
      while (!stop.stop_requested()) {
        Knock(host, port);
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
      }
    });
    mg_stop(context);
  }
};

namespace {

void Answer(mg_connection* connection, int status, const char* reason, const char* type, std::string_view body,
            bool head) {
  mg_printf(connection,
            "HTTP/1.1 %d %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\nCache-Control: no-store\r\n"
            "Connection: close\r\n\r\n",
            status, reason, type, body.size());
  if (!head) mg_write(connection, body.data(), body.size());
}

constexpr const char* kPlain = "text/plain; charset=utf-8";

void AnswerHealth(mg_connection* connection, const std::function<Status()>& check, bool head) {
  const Status status = check ? check() : Ok();
  if (status.ok()) return Answer(connection, 200, "OK", kPlain, "ok\n", head);
  Answer(connection, 503, "Service Unavailable", kPlain, status.error().message() + "\n", head);
}

void Serve(mg_connection* connection, const ServerSpec& spec) {
  const mg_request_info* request = mg_get_request_info(connection);
  const std::string_view method = request->request_method;
  const std::string_view path = request->local_uri != nullptr ? request->local_uri : "";
  const bool head = method == "HEAD";
  if (method != "GET" && !head) {
    return Answer(connection, 405, "Method Not Allowed", kPlain, "only GET and HEAD\n", head);
  }
  if (path == "/metrics") {
    if (spec.registry == nullptr) return Answer(connection, 404, "Not Found", kPlain, "this process's metrics are served elsewhere; here are /healthz and /readyz\n", head);
    const std::string text = spec.registry->Text(spec.families);
    return Answer(connection, 200, "OK", "text/plain; version=0.0.4; charset=utf-8", text, head);
  }
  if (path == "/healthz") return AnswerHealth(connection, spec.live, head);
  if (path == "/readyz") return AnswerHealth(connection, spec.ready, head);
  Answer(connection, 404, "Not Found", kPlain, "this endpoint has /metrics, /healthz and /readyz\n", head);
}

int Handle(mg_connection* connection, void* spec) {
  try {
    Serve(connection, *static_cast<const ServerSpec*>(spec));
  } catch (const std::exception& e) {
    // An exception must not unwind through civetweb's C frames.
    Answer(connection, 500, "Internal Server Error", kPlain, "out of memory or a failing collector\n", false);
  }
  return 1;  // answered
}

}  // namespace

MetricsServer::MetricsServer(std::unique_ptr<State> state) : state_(std::move(state)) {}
MetricsServer::~MetricsServer() = default;
std::uint16_t MetricsServer::port() const { return state_->port; }

Result<std::unique_ptr<MetricsServer>> MetricsServer::Start(ServerSpec spec) {
  auto state = std::make_unique<State>();
  state->spec = std::move(spec);
  const std::string& address = state->spec.address;
  if (address == "off") return std::unique_ptr<MetricsServer>(new MetricsServer(std::move(state)));

  mg_init_library(MG_FEATURES_DEFAULT);
  // Connections close after each answer: with two threads, two idle ones kept open would shut everybody else out.
  const std::array<const char*, 11> options = {"listening_ports", address.c_str(), "num_threads", "2",
                                               "request_timeout_ms", "5000", "max_request_size", "4096",
                                               "enable_keep_alive", "no", nullptr};
  mg_callbacks callbacks{};
  callbacks.log_message = [](const mg_connection*, const char* message) {
    if (t_complaint != nullptr && t_complaint->empty()) *t_complaint = message;  // the first is the cause
    return 1;  // not to stderr: what a scraper sends wrong is no line of ours
  };
  auto options_copy = options;
  mg_init_data init{&callbacks, state.get(), options_copy.data()};
  // Field by field: civetweb 1.15 (Debian 12) and 1.16 (Debian 13) order them differently. The code may be left out of the first.
  std::array<char, 256> text{};
  mg_error_data error{};
  error.text = text.data();
  error.text_buffer_size = text.size();
  std::string cause;
  t_complaint = &cause;
  state->context = mg_start2(&init, &error);
  t_complaint = nullptr;
  if (state->context == nullptr) {
    if (cause.empty()) cause = text.data();
    return MakeError(Code::kIo, "{} {}: cannot listen there; choose a free address, or off: {}", state->spec.flag,
                     address, cause.empty() ? "the address is in use or not of this machine" : cause);
  }
  mg_server_port port{};
  if (mg_get_server_ports(state->context, 1, &port) == 1) state->port = static_cast<std::uint16_t>(port.port);
  mg_set_request_handler(state->context, "/", Handle, &state->spec);
  return std::unique_ptr<MetricsServer>(new MetricsServer(std::move(state)));
}

}  // namespace tributary::metrics
