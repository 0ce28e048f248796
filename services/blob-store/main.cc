#include <unistd.h>

#include "services/blob-store/blob_store_service.h"
#include "tributary/base/log.h"
#include "tributary/config/options.h"
#include "tributary/config/serve.h"
#include "tributary/config/service.h"
#include "tributary/memory/malloc.h"

namespace tributary {
namespace {

int Main(int argc, char** argv) {
  config::Options options("tributary-blob-store", "stages chunks on disk, open while written, then sealed");
  options.Group("Blob-store");
  options.AddString("listen", "tcp://0.0.0.0:7710", "where peers connect", config::CheckEndpoint);
  options.AddString("data-dir", "", "directory for the objects; made if absent",
                    [](const std::string& value) {
                      return value.empty() ? Status(Error(Code::kInvalidArgument, "a directory")) : Ok();
                    });
  options.Require("data-dir");
  options.AddUint("shard", 0, "number of this shard, from 0", 0, 1023);
  options.AddUint("shards", 1, "number of shards", 1, 1024);
  options.AddUint("worker-threads", 2, "threads that hash and write", 1, 64);
  config::AddServiceOptions(options, "127.0.0.1:9472");
  if (const auto code = options.ParseOrExitCode(argc, argv, environ)) return *code;
  if (options.Uint("shard") >= options.Uint("shards")) {
    fmt::print(stderr, "tributary-blob-store: --shard {} of --shards {}: shards are numbered from 0\n", options.Uint("shard"), options.Uint("shards"));
    return config::kExitUsage;
  }
  const auto settings = config::GetServiceSettings(options);
  memory::TuneMalloc(settings.memory_budget);
  log::InitLog("blob-store", settings.log_level, settings.log_format);

  service::BlobStoreService::Spec spec;
  spec.listen = options.String("listen");
  spec.directory = options.String("data-dir");
  spec.memory_budget = settings.memory_budget;
  spec.metrics_address = settings.metrics_address;
  spec.shard = static_cast<std::uint32_t>(options.Uint("shard"));
  spec.shards = static_cast<std::uint32_t>(options.Uint("shards"));
  spec.worker_threads = options.Uint("worker-threads");
  return config::Serve([&] { return service::BlobStoreService::Start(std::move(spec)); });
}

}  // namespace
}  // namespace tributary

int main(int argc, char** argv) { return tributary::Main(argc, argv); }
