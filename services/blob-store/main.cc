#include <unistd.h>

#include "services/blob-store/blob_store_service.h"
#include "tributary/base/log.h"
#include "tributary/blob/local_store.h"
#include "tributary/config/options.h"
#include "tributary/config/serve.h"
#include "tributary/config/service.h"
#include "tributary/memory/malloc.h"
#include "tributary/tensor/layout.h"
#include "tributary/wire/frame.h"

namespace tributary {
namespace {

int ScrubNow(const std::string& directory) {
  blob::ScrubOptions options;
  options.found = [](const blob::Damage& damage) { fmt::print("{}\n", damage.Text()); };
  const auto report = blob::ScrubDirectory(directory, options);
  if (!report.ok()) {
    fmt::print(stderr, "tributary-blob-store: {}\n", report.error().message());
    return config::kExitFailed;
  }
  fmt::print("{} sealed objects, {} slots, {} read: {} damaged\n", report->objects, report->slots, FormatBytes(report->bytes), report->damaged);
  return report->damaged == 0 ? config::kExitDone : config::kExitFailed;
}

int Main(int argc, char** argv) {
  config::Options options("tributary-blob-store", "stages chunks on disk, open while written, then sealed");
  options.Group("Blob-store");
  options.AddString("listen", "tcp://0.0.0.0:7710", "where peers connect", config::CheckEndpoint);
  options.AddString("data-dir", "", "directory for the objects; made if absent",
                    [](const std::string& value) {
                      return value.empty() ? Status(Error(Code::kInvalidArgument, "a directory")) : Ok();
                    });
  options.Require("data-dir");
  options.AddBytes("quota", 0, "bytes that objects may take on disk; 0: no limit but the disk");
  options.AddString("upstream", "", "endpoint of another blob-store: be a cache of it, that is only read; what is asked for is fetched once and kept",
                    [](const std::string& value) { return value.empty() ? Ok() : config::CheckEndpoint(value); });
  options.AddDuration("scrub-interval", std::chrono::hours(24), "between the passes that read sealed objects and check them; 0s: none");
  options.AddBytes("scrub-rate", 64_MiB, "bytes that such a pass reads a second; 0: as many as it can");
  options.AddDuration("abandoned-after", std::chrono::hours(24 * 7), "open objects to which nothing was written for so long are removed; 0s: none");
  options.AddBool("scrub", false, "check all sealed objects of --data-dir now, tell what is damaged, and serve nobody; exit code 1: some is");
  options.AddString("key", "", "file of this store's key, 'public = …' and 'secret = …' in Z85: connections are encrypted (CURVE), and those who know the public key are served");
  options.AddBytes("max-message", wire::kMaxPayload,
                   "largest message; more than the default lets in jobs that send tensors or models whole (transfer.mode), which the budget must "
                   "hold twice",
                   wire::kMaxPayload, tensor::kMaxMessageBytes);
  options.AddUint("shard", 0, "number of this shard, from 0", 0, 1023);
  options.AddUint("shards", 1, "number of shards", 1, 1024);
  options.AddUint("worker-threads", 2, "threads that hash and write", 1, 64);
  config::AddServiceOptions(options, "127.0.0.1:9472");
  if (const auto code = options.ParseOrExitCode(argc, argv, environ)) return *code;
  if (options.Uint("shard") >= options.Uint("shards")) {
    fmt::print(stderr, "tributary-blob-store: --shard {} of --shards {}: shards are numbered from 0\n", options.Uint("shard"), options.Uint("shards"));
    return config::kExitUsage;
  }
  if (options.Flag("scrub")) return ScrubNow(options.String("data-dir"));
  const auto settings = config::GetServiceSettings(options);
  memory::TuneMalloc(settings.memory_budget);
  log::InitLog("blob-store", settings.log_level, settings.log_format);

  service::BlobStoreService::Spec spec;
  spec.listen = options.String("listen");
  spec.directory = options.String("data-dir");
  spec.memory_budget = settings.memory_budget;
  spec.metrics_address = settings.metrics_address;
  spec.max_message = options.Bytes("max-message");
  spec.shard = static_cast<std::uint32_t>(options.Uint("shard"));
  spec.shards = static_cast<std::uint32_t>(options.Uint("shards"));
  if (const std::string& key = options.String("key"); !key.empty()) {
    auto keys = transport::ReadCurveKeys(key);
    if (!keys.ok()) {
      fmt::print(stderr, "tributary-blob-store: --key: {}\n", keys.error().message());
      return config::kExitUsage;
    }
    spec.curve = *std::move(keys);
  }
  spec.worker_threads = options.Uint("worker-threads");
  spec.quota = options.Bytes("quota");
  spec.upstream = options.String("upstream");
  spec.scrub_interval = options.Time("scrub-interval");
  spec.scrub_bytes_per_second = options.Bytes("scrub-rate");
  spec.abandoned_after = options.Time("abandoned-after");
  return config::Serve([&] { return service::BlobStoreService::Start(std::move(spec)); });
}

}  // namespace
}  // namespace tributary

int main(int argc, char** argv) { return tributary::Main(argc, argv); }
