#include "tributary/config/service.h"

#include <algorithm>
#include <charconv>
#include <string_view>

#include "tributary/base/names.h"
#include "tributary/config/health.h"

namespace tributary::config {
namespace {

Status Expected(std::string_view what) { return Error(Code::kInvalidArgument, std::string(what)); }

bool IsHostPort(std::string_view text, bool wildcard) {
  const auto colon = text.rfind(':');
  if (colon == std::string_view::npos || colon == 0) return false;
  std::string_view host = text.substr(0, colon);
  const std::string_view port = text.substr(colon + 1);
  if (host.front() == '[') {
    if (host.size() < 3 || host.back() != ']') return false;
    host = host.substr(1, host.size() - 2);
    if (!std::all_of(host.begin(), host.end(), [](char c) {
          return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F') || c == ':' ||
                 c == '.';
        })) {
      return false;
    }
  } else if (!(wildcard && host == "*") && !std::all_of(host.begin(), host.end(), [](char c) {
               return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                      c == '.' || c == '-' || c == '_';
             })) {
    return false;
  }
  unsigned number = 0;
  const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), number);
  return error == std::errc() && end == port.data() + port.size() && number <= 65535;
}

}  // namespace

Status CheckHostPort(const std::string& value) {
  if (IsHostPort(value, false)) return Ok();
  return Expected("HOST:PORT, as in 127.0.0.1:9470");
}

Status CheckHostPortOrOff(const std::string& value) {
  if (value == "off" || IsHostPort(value, false)) return Ok();
  return Expected("HOST:PORT, as in 127.0.0.1:9470, or off");
}

Status CheckEndpoint(const std::string& value) {
  constexpr std::string_view kTcp = "tcp://";
  constexpr std::string_view kIpc = "ipc://";
  const std::string_view text = value;
  if (text.substr(0, kTcp.size()) == kTcp && IsHostPort(text.substr(kTcp.size()), true)) return Ok();
  if (text.substr(0, kIpc.size()) == kIpc && text.size() > kIpc.size()) return Ok();
  return Expected("tcp://HOST:PORT or ipc://PATH");
}

Status CheckName(const std::string& value) {
  if (CheckSegment(value, "name").ok()) return Ok();
  return Expected("1 to 63 letters, digits, '.', '_' or '-', beginning with a letter or digit");
}

void AddKeyOptions(Options& options, bool server) {
  options.AddString("key", "", "file with this process's own key, which nobody else may read; 'tributary keygen' makes it");
  options.AddString("peers", "", server ? "file of the public keys that are admitted, each with role and name; looked at each second"
                                        : "file of the servers' public keys, each with role and name");
  options.AddBool("insecure", false, "no keys and no encryption although a port leaves this machine");
}

KeySettings GetKeySettings(const Options& options) { return {options.String("key"), options.String("peers"), options.Flag("insecure")}; }

void AddStoreOptions(Options& options, std::string fallback) {
  const std::string otherwise = fallback.empty() ? "by default as the coordinator tells it" : "by default " + fallback;
  options.AddStrings("blob-store", "the blob-store's endpoint as seen from here; of one with several shards each, in order; " + otherwise, CheckEndpoint,
                     fallback.empty() ? std::vector<std::string>() : std::vector{fallback});
  options.AddUint("connections", 1, "to each blob-store, for a line that one TCP connection does not fill", 1, 16);
}

StoreAddress GetStoreAddress(const Options& options) {
  return {options.Strings("blob-store"), static_cast<std::uint32_t>(options.Uint("connections"))};
}

void AddServiceOptions(Options& options, std::string metrics_address) {
  options.Group("Service");
  options.AddBytes("memory-budget", kDefaultMemoryBudget,
                   "the one pool that every buffer of tensor bytes comes from; peak resident memory is this "
                   "plus a small constant",
                   kMinMemoryBudget, kMaxMemoryBudget);
  options.AddString("metrics-address", std::move(metrics_address),
                    "HOST:PORT that serves /metrics, /healthz and /readyz over HTTP; 'off' serves none",
                    CheckHostPortOrOff);
  options.AddChoice("log-level", "info", {"trace", "debug", "info", "warning", "error", "off"},
                    "the least severe lines that are written to stderr");
  options.AddChoice("log-format", "text", {"text", "json"}, "how a log line is written");
  options.AddQuestion("health", "asks the service that runs here with this --metrics-address whether it is alive; exit code 1: it is not",
                      [](const Options& asked) { return AnswerHealth(asked.String("metrics-address")); });
}

ServiceSettings GetServiceSettings(const Options& options) {
  ServiceSettings settings;
  settings.metrics_address = options.String("metrics-address");
  settings.memory_budget = options.Bytes("memory-budget");
  // The choices are exactly what these accept.
  settings.log_level = log::ParseLevel(options.String("log-level")).value();
  settings.log_format = log::ParseFormat(options.String("log-format")).value();
  return settings;
}

}  // namespace tributary::config
