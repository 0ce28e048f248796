#include <unistd.h>

#include "services/coordinator/coordinator_service.h"
#include "tributary/base/log.h"
#include "tributary/config/options.h"
#include "tributary/config/serve.h"
#include "tributary/config/service.h"
#include "tributary/memory/malloc.h"
#include "tributary/memory/process_memory.h"

namespace tributary {
namespace {

int Main(int argc, char** argv) {
  config::Options options("tributary-coordinator", "decides: jobs, rounds, seats, leases; never holds tensor bytes");
  options.Group("Coordinator");
  options.AddString("listen", "tcp://0.0.0.0:7700", "where trainers, aggregators and clients connect",
                    config::CheckEndpoint);
  options.AddString("state-dir", "", "directory of the journal; made if absent", [](const std::string& value) {
    return value.empty() ? Status(Error(Code::kInvalidArgument, "a directory")) : Ok();
  });
  options.Require("state-dir");
  options.AddStrings("blob-store", "endpoint of a blob-store as workers reach it; one for each shard, in order",
                     config::CheckEndpoint);
  options.Require("blob-store");
  options.AddDuration("heartbeat", Duration(1'000), "how often workers report", Duration(50), Duration(60'000));
  options.AddDuration("seat-timeout", Duration(15'000), "silence of a trainer after which a spare may take its seat",
                      Duration(500));
  options.AddDuration("lease-timeout", Duration(10'000), "silence of an aggregator after which its work moves",
                      Duration(500));
  options.AddUint("jobs-at-once", federation::Limits{}.jobs_at_once,
                  "jobs that run side by side at most, as far as there are trainers; 1: one after the other", 1, 64);
  options.Group("Security");
  config::AddKeyOptions(options, true);
  config::AddServiceOptions(options, "127.0.0.1:9470");
  if (const auto code = options.ParseOrExitCode(argc, argv, environ)) return *code;
  const auto settings = config::GetServiceSettings(options);
  if (const Status fits = memory::CheckFits(settings.memory_budget, memory::ReadCgroupMemory()); !fits.ok()) {
    fmt::print(stderr, "tributary-coordinator: {}\n", fits.error().message());
    return config::kExitUsage;
  }
  // No large frames here: what is freed may go back soon.
  memory::TuneMalloc(8_MiB);
  log::InitLog("coordinator", settings.log_level, settings.log_format);

  service::CoordinatorService::Spec spec;
  spec.listen = options.String("listen");
  const auto keys = config::GetKeySettings(options);
  // Workers send updates to where --blob-store says.
  std::vector<std::string> endpoints = options.Strings("blob-store");
  endpoints.insert(endpoints.begin(), spec.listen);
  auto keyring = transport::OpenKeyring({keys.key, keys.peers, keys.insecure}, "--listen or --blob-store", endpoints);
  if (!keyring.ok()) {
    fmt::print(stderr, "tributary-coordinator: {}\n", keyring.error().message());
    return config::kExitUsage;
  }
  spec.keyring = *std::move(keyring);
  spec.state_dir = options.String("state-dir");
  spec.blob_stores = options.Strings("blob-store");
  spec.heartbeat = options.Time("heartbeat");
  spec.limits.seat_timeout = options.Time("seat-timeout");
  spec.limits.lease_timeout = options.Time("lease-timeout");
  spec.limits.jobs_at_once = static_cast<std::uint32_t>(options.Uint("jobs-at-once"));
  spec.memory_budget = settings.memory_budget;
  spec.most_memory = settings.memory_budget + memory::kServiceBase;
  spec.metrics_address = settings.metrics_address;
  return config::Serve([&] { return service::CoordinatorService::Start(std::move(spec)); });
}

}  // namespace
}  // namespace tributary

int main(int argc, char** argv) { return tributary::Main(argc, argv); }
