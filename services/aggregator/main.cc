#include <unistd.h>

#include "services/aggregator/aggregator.h"
#include "tributary/base/log.h"
#include "tributary/base/names.h"
#include "tributary/config/options.h"
#include "tributary/config/serve.h"
#include "tributary/config/service.h"
#include "tributary/memory/malloc.h"
#include "tributary/memory/process_memory.h"
#include "tributary/memory/phases.h"

namespace tributary::aggregator {
namespace {

std::string HostName() {
  char name[256] = "aggregator";
  gethostname(name, sizeof name - 1);
  return InstanceName::Parse(name).ok() ? name : "aggregator";
}

int Main(int argc, char** argv) {
  config::Options options("tributary-aggregator", "reduces ranges of slots for the coordinator");
  options.Group("Aggregator");
  options.AddString("coordinator", "tcp://localhost:7700", "the coordinator's endpoint", config::CheckEndpoint);
  config::AddStoreOptions(options, "");
  options.AddString("instance", HostName(), "this process's name, the same after a restart and unlike the other aggregators'",
                    config::CheckName);
  options.AddBool("own-peaks", false,
                  "start the kernel's peak of resident memory (VmHWM) anew with each phase, so that phases have peaks of their own; the metrics keep the overall one. "
                  "Not where another process reads it from /proc");
  options.Group("Security");
  config::AddKeyOptions(options, false);
  config::AddServiceOptions(options, "127.0.0.1:9471");
  if (const auto code = options.ParseOrExitCode(argc, argv, environ)) return *code;
  const auto settings = config::GetServiceSettings(options);
  if (const Status fits = memory::CheckFits(settings.memory_budget, memory::ReadCgroupMemory()); !fits.ok()) {
    fmt::print(stderr, "tributary-aggregator: {}\n", fits.error().message());
    return config::kExitUsage;
  }
  memory::TuneMalloc(settings.memory_budget);
  if (options.Flag("own-peaks")) memory::OwnPeak();
  const std::string instance = options.String("instance");
  log::InitLog("aggregator " + instance, settings.log_level, settings.log_format);

  const auto store = config::GetStoreAddress(options);
  AggregatorSpec spec{options.String("coordinator"), store.endpoints, instance, settings.memory_budget, settings.metrics_address, store.connections};
  std::vector<std::string> endpoints = store.endpoints;
  endpoints.push_back(spec.coordinator);
  const auto keys = config::GetKeySettings(options);
  auto keyring = transport::OpenKeyring({keys.key, keys.peers, keys.insecure}, "--coordinator or --blob-store", endpoints);
  if (!keyring.ok()) {
    fmt::print(stderr, "tributary-aggregator: {}\n", keyring.error().message());
    return config::kExitUsage;
  }
  spec.keyring = *std::move(keyring);
  return config::Serve([&] { return AggregatorService::Start(spec); });
}

}  // namespace
}  // namespace tributary::aggregator

int main(int argc, char** argv) { return tributary::aggregator::Main(argc, argv); }
