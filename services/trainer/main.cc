#include <unistd.h>

#include <cstdlib>
#include <cstring>

#include "services/trainer/evaluate_command.h"
#include "services/trainer/generate.h"
#include "services/trainer/train_command.h"
#include "services/trainer/trainer.h"
#include "tributary/base/log.h"
#include "tributary/base/names.h"
#include "tributary/config/options.h"
#include "tributary/config/serve.h"
#include "tributary/config/service.h"
#include "tributary/memory/malloc.h"
#include "tributary/memory/process_memory.h"
#include "tributary/memory/phases.h"

namespace tributary::trainer {
namespace {

std::string HostName() {
  char name[256] = "trainer";
  gethostname(name, sizeof name - 1);
  return InstanceName::Parse(name).ok() ? name : "trainer";
}

Status CheckData(const std::string& value) {
  const auto equals = value.find('=');
  if (equals == std::string::npos || equals + 1 == value.size() || !CheckSegment(value.substr(0, equals), "data name").ok()) {
    return Error(Code::kInvalidArgument, "NAME=PATH, as in imdb=/srv/imdb");
  }
  return Ok();
}

Status CheckOffer(const std::string& value) {
  const auto equals = value.find('=');
  if (equals == std::string::npos || equals + 1 == value.size() || !CheckSegment(value.substr(0, equals), "name of an offer").ok()) {
    return Error(Code::kInvalidArgument, "NAME=PATH, as in scans=/srv/scans.tar");
  }
  return Ok();
}

config::Options Declare() {
  config::Options options("tributary-trainer", "trains on this site's own data for the coordinator");
  options.Group("Trainer");
  options.AddString("coordinator", "tcp://localhost:7700", "the coordinator's endpoint", config::CheckEndpoint);
  config::AddStoreOptions(options, "");
  options.AddString("model-cache", "", "a blob-store near here that runs with --upstream: models come from it, updates go to the blob-store",
                    [](const std::string& value) { return value.empty() ? Ok() : config::CheckEndpoint(value); });
  options.AddString("model-cache-name", "", "its name in --peers, whose key it must have; by default that of the only cache there",
                    [](const std::string& value) { return value.empty() ? Ok() : config::CheckName(value); });
  options.AddString("site", "local", "the site whose data this is", config::CheckName);
  options.AddString("instance", HostName(), "this process's name, the same after a restart and unlike the site's other trainers'",
                    config::CheckName);
  options.AddUint("ordinal", 0, "the seat, and so the part of the data, that this trainer would like", 0, 65535);
  options.AddStrings("data", "NAME=PATH: where data that jobs name lies at this site; may be repeated", CheckData);
  options.AddStrings("offer", "NAME=PATH: a file or directory given to whoever asks this site for NAME; nothing else is. May be repeated", CheckOffer);
  options.AddString("work-dir", "", "where metrics.jsonl is kept; by default nowhere");
  options.AddUint("train-threads", 0, "threads of local training; 0: as the job says", 0, 1024);
  options.AddBool("own-peaks", false,
                  "start the kernel's peak of resident memory (VmHWM) anew with each phase, so that phases have peaks of their own; the metrics keep the overall one. "
                  "Not where another process reads it from /proc");
  options.AddBool("relay-metrics", false, "send metrics to the coordinator with the heartbeats, as --metrics-address off does; at that address are /healthz, /readyz and, of the metrics, tasks that run");
  options.Group("Security");
  config::AddKeyOptions(options, false);
  config::AddServiceOptions(options, "127.0.0.1:9473");
  return options;
}

int Main(int argc, char** argv) {
  config::Options options = Declare();
  if (const auto code = options.ParseOrExitCode(argc, argv, environ)) return *code;
  const auto settings = config::GetServiceSettings(options);
  if (const Status fits = memory::CheckFits(settings.memory_budget, memory::ReadCgroupMemory()); !fits.ok()) {
    fmt::print(stderr, "tributary-trainer: {}\n", fits.error().message());
    return config::kExitUsage;
  }
  memory::TuneMalloc(settings.memory_budget);
  if (options.Flag("own-peaks")) memory::OwnPeak();
  TrainerSpec spec;
  spec.coordinator = options.String("coordinator");
  const auto store = config::GetStoreAddress(options);
  spec.blob_stores = store.endpoints;
  spec.connections = store.connections;
  spec.model_cache = options.String("model-cache");
  std::vector<std::string> endpoints = store.endpoints;
  endpoints.push_back(spec.coordinator);
  if (!spec.model_cache.empty()) endpoints.push_back(spec.model_cache);
  const auto keys = config::GetKeySettings(options);
  auto keyring = transport::OpenKeyring({keys.key, keys.peers, keys.insecure}, "--coordinator, --blob-store or --model-cache", endpoints);
  if (!keyring.ok()) {
    fmt::print(stderr, "tributary-trainer: {}\n", keyring.error().message());
    return config::kExitUsage;
  }
  spec.keyring = *std::move(keyring);
  spec.relay = options.Flag("relay-metrics");
  spec.model_cache_name = options.String("model-cache-name");
  if (spec.keyring && !spec.model_cache.empty()) {
    if (const auto key = spec.keyring->peers.KeyToDial(transport::PeerRole::kCache, spec.model_cache_name); !key.ok()) {
      fmt::print(stderr, "tributary-trainer: --model-cache {}: {} (--model-cache-name; 'tributary keygen DIR --cache NAME' makes one)\n", spec.model_cache, key.error().message());
      return config::kExitUsage;
    }
  }
  spec.identity.site = options.String("site");
  for (const auto& entry : options.Strings("data")) {
    const auto equals = entry.find('=');
    spec.identity.data[entry.substr(0, equals)] = entry.substr(equals + 1);
  }
  for (const auto& entry : options.Strings("offer")) {
    const auto equals = entry.find('=');
    spec.identity.offers[entry.substr(0, equals)] = entry.substr(equals + 1);
  }
  spec.identity.work_dir = options.String("work-dir");
  spec.identity.threads = static_cast<std::uint32_t>(options.Uint("train-threads"));
  spec.instance = options.String("instance");
  if (options.Given("ordinal")) spec.ordinal = static_cast<std::int64_t>(options.Uint("ordinal"));
  spec.memory_budget = settings.memory_budget;
  spec.metrics_address = settings.metrics_address;
  log::InitLog("trainer " + spec.instance, settings.log_level, settings.log_format);

  return config::Serve([&] { return TrainerService::Start(spec); });
}

}  // namespace
}  // namespace tributary::trainer

int main(int argc, char** argv) {
  // libgomp reads this when the training module is loaded. Its threads would spin where they wait and take a processor from OpenBLAS's own,
  // which do the work then: with two threads on two cores a step took twice as long, and ten times as long on a busy machine.
  if (std::getenv("GOMP_SPINCOUNT") == nullptr) setenv("OMP_WAIT_POLICY", "passive", 0);
  if (argc > 1 && std::strcmp(argv[1], "generate") == 0) return tributary::trainer::GenerateMain(argc - 1, argv + 1);
  if (argc > 1 && std::strcmp(argv[1], "evaluate") == 0) return tributary::trainer::EvaluateMain(argc - 1, argv + 1);
  if (argc > 1 && std::strcmp(argv[1], "train") == 0) return tributary::trainer::TrainMain(argc - 1, argv + 1);
  return tributary::trainer::Main(argc, argv);
}
