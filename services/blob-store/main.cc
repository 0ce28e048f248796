#include <unistd.h>

#include "services/blob-store/blob_store_service.h"
#include "tributary/base/log.h"
#include "tributary/blob/local_store.h"
#include "tributary/config/options.h"
#include "tributary/config/serve.h"
#include "tributary/config/service.h"
#include "tributary/memory/malloc.h"
#include "tributary/memory/process_memory.h"
#include "tributary/s3/client.h"
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

void AddBucketOptions(config::Options& options) {
  const auto optional = [](Status (*check)(const std::string&)) {
    return [check](const std::string& value) { return value.empty() ? Ok() : check(value); };
  };
  options.Group("S3 (the access key from AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN, or a file)");
  options.AddString("s3-endpoint", "", "URL of an S3 service to whose bucket sealed objects go", optional(s3::CheckEndpoint));
  options.AddString("s3-bucket", "", "the bucket", optional(s3::CheckBucket));
  options.AddString("s3-prefix", "", "of all keys; each store needs one of its own", optional(s3::CheckPrefix));
  options.AddString("s3-region", "us-east-1", "the region that requests are signed for", config::CheckName);
  options.AddBool("s3-path-style", false, "the bucket in the path of URLs and not in the host's name");
  options.AddString("s3-credentials-file", "", "as the AWS tools write it; must be readable by its owner alone, or by a group where it is not the store's own");
  options.AddBytes("s3-cache-bytes", 0, "of objects in the bucket that the disk keeps, too; 0: as many as --quota and the disk have room for");
}

// Nothing without --s3-endpoint.
Result<std::optional<s3::ClientOptions>> GetBucketOptions(const config::Options& options) {
  s3::ClientOptions s3;
  s3.endpoint = options.String("s3-endpoint");
  s3.bucket = options.String("s3-bucket");
  if (s3.endpoint.empty() != s3.bucket.empty()) {
    return Error(Code::kInvalidArgument, "--s3-endpoint and --s3-bucket are given together or not at all");
  }
  if (s3.endpoint.empty()) return std::optional<s3::ClientOptions>();
  s3.prefix = options.String("s3-prefix");
  s3.region = options.String("s3-region");
  s3.path_style = options.Flag("s3-path-style");
  const std::string& file = options.String("s3-credentials-file");
  TRIBUTARY_ASSIGN(s3.credentials, file.empty() ? s3::CredentialsFromEnvironment() : s3::CredentialsFromFile(file));
  return std::optional(std::move(s3));
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
  options.AddBytes("site-quota", 0, "bytes that updates and offers of one site may take on disk; 0: no limit but --quota");
  options.AddStrings("upstream", "endpoint of another blob-store (of each of its shards, in order): be a cache of it, that is only read; what is asked for is fetched once and kept",
                     config::CheckEndpoint);
  options.AddDuration("scrub-interval", std::chrono::hours(24), "between the passes that read sealed objects and check them; 0s: none");
  options.AddBytes("scrub-rate", 64_MiB, "bytes that such a pass reads a second; 0: as many as it can");
  options.AddDuration("abandoned-after", std::chrono::hours(24 * 7), "open objects to which nothing was written for so long are removed; 0s: none");
  options.AddBool("scrub", false, "check all sealed objects of --data-dir now, tell what is damaged, and serve nobody; exit code 1: some is");
  options.AddBytes("max-message", wire::kMaxPayload,
                   "largest message; more than the default lets in jobs that send tensors or models whole (transfer.mode), which the budget must "
                   "hold twice",
                   wire::kMaxPayload, tensor::kMaxMessageBytes);
  options.AddUint("shard", 0, "number of this shard, from 0", 0, 511);
  options.AddUint("shards", 1, "number of shards", 1, 512);
  options.AddUint("worker-threads", 2, "threads that hash and write", 1, 64);
  options.AddUint("io-threads", 1, "threads that move bytes between sockets and memory, for links of more than some gigabytes a second", 1, 16);
  AddBucketOptions(options);
  options.Group("Security");
  config::AddKeyOptions(options, true);
  config::AddServiceOptions(options, "127.0.0.1:9472");
  if (const auto code = options.ParseOrExitCode(argc, argv, environ)) return *code;
  if (options.Uint("shard") >= options.Uint("shards")) {
    fmt::print(stderr, "tributary-blob-store: --shard {} of --shards {}: shards are numbered from 0\n", options.Uint("shard"), options.Uint("shards"));
    return config::kExitUsage;
  }
  if (options.Flag("scrub")) return ScrubNow(options.String("data-dir"));
  auto bucket = GetBucketOptions(options);
  if (!bucket.ok()) {
    fmt::print(stderr, "tributary-blob-store: {}\n", bucket.error().message());
    return config::kExitUsage;
  }
  const auto settings = config::GetServiceSettings(options);
  if (const Status fits = memory::CheckFits(settings.memory_budget, memory::ReadCgroupMemory()); !fits.ok()) {
    fmt::print(stderr, "tributary-blob-store: {}\n", fits.error().message());
    return config::kExitUsage;
  }
  memory::TuneMalloc(settings.memory_budget);
  log::InitLog("blob-store", settings.log_level, settings.log_format);

  service::BlobStoreService::Spec spec;
  spec.listen = options.String("listen");
  spec.directory = options.String("data-dir");
  spec.memory_budget = settings.memory_budget;
  spec.most_memory = settings.memory_budget + memory::kServiceBase;
  spec.metrics_address = settings.metrics_address;
  spec.max_message = options.Bytes("max-message");
  spec.shard = static_cast<std::uint32_t>(options.Uint("shard"));
  spec.shards = static_cast<std::uint32_t>(options.Uint("shards"));
  const auto keys = config::GetKeySettings(options);
  std::vector<std::string> endpoints = options.Strings("upstream");
  endpoints.push_back(spec.listen);
  auto keyring = transport::OpenKeyring({keys.key, keys.peers, keys.insecure}, "--listen or --upstream", endpoints);
  if (!keyring.ok()) {
    fmt::print(stderr, "tributary-blob-store: {}\n", keyring.error().message());
    return config::kExitUsage;
  }
  spec.keyring = *std::move(keyring);
  spec.worker_threads = options.Uint("worker-threads");
  spec.io_threads = options.Uint("io-threads");
  spec.quota = options.Bytes("quota");
  spec.site_quota = options.Bytes("site-quota");
  spec.upstream = options.Strings("upstream");
  spec.s3 = *std::move(bucket);
  spec.s3_cache_bytes = options.Bytes("s3-cache-bytes");
  spec.scrub_interval = options.Time("scrub-interval");
  spec.scrub_bytes_per_second = options.Bytes("scrub-rate");
  spec.abandoned_after = options.Time("abandoned-after");
  return config::Serve([&] { return service::BlobStoreService::Start(std::move(spec)); });
}

}  // namespace
}  // namespace tributary

int main(int argc, char** argv) { return tributary::Main(argc, argv); }
