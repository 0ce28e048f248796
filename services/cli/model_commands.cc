// Commands that move models between directories and the blob-store: model import, model export.
#include <unistd.h>

#include "services/cli/commands.h"
#include "services/cli/connect.h"
#include "services/cli/import_directory.h"
#include "services/cli/progress.h"
#include "tributary/blob_client/remote_store.h"
#include "tributary/config/options.h"
#include "tributary/config/service.h"
#include "tributary/job/job.h"
#include "tributary/modeldir/export.h"
#include "tributary/transport/control_client.h"

namespace tributary::cli {
namespace {

constexpr Duration kAnswer{10'000};
constexpr std::uint64_t kMinShardBytes = 1'000'000;
constexpr const char* kDefaultCoordinator = "tcp://127.0.0.1:7700";
constexpr const char* kDefaultBlobStore = "tcp://127.0.0.1:7710";

int Report(const char* command, const Error& error) {
  fmt::print(stderr, "tributary {}: {}\n", command, error.message());
  return error.code() == Code::kInvalidArgument ? config::kExitUsage : config::kExitFailed;
}

}  // namespace

int ImportCommand(int argc, char** argv) {
  config::Options options("tributary model import",
                          "puts a Hugging Face directory into the blob-store, and prints what a job names it by: model.object, and on a second line "
                          "the model.tokenizer that came with it; of PEFT's adapters adapter.object");
  config::AddStoreOptions(options, kDefaultBlobStore);
  options.AddPositional("directory", "config.json and safetensors, and the tokenizer's files; or PEFT's adapter_config.json and adapter_model.safetensors");
  options.AddString("name", "", "the object's name, models/NAME (default: models/ and the directory's name)");
  options.AddBytes("chunk-bytes", tensor::kDefaultChunkBytes, "of one slot", tensor::kMinChunkBytes, tensor::kMaxChunkBytes);
  config::AddKeyOptions(options, false);
  if (const auto exit_code = options.ParseOrExitCode(argc, argv, environ)) return *exit_code;
  if (modeldir::IsAdapterDirectory(options.String("directory"))) {
    const auto adapters = modeldir::OpenAdapterDirectory(options.String("directory"));
    if (!adapters.ok()) return Report("model import", adapters.error());
    const auto imported = ImportAdapterDirectory(options, *adapters, options.String("name"), options.Bytes("chunk-bytes"));
    if (!imported.ok()) return Report("model import", imported.error());
    fmt::print("{}\n", *imported);
    return config::kExitDone;
  }
  const auto directory = modeldir::OpenModelDirectory(options.String("directory"));
  if (!directory.ok()) return Report("model import", directory.error());
  const auto imported = ImportDirectory(options, *directory, options.String("name"), options.Bytes("chunk-bytes"));
  if (!imported.ok()) return Report("model import", imported.error());
  fmt::print("{}\n", imported->model);
  if (!imported->tokenizer.empty()) fmt::print("{}\n", imported->tokenizer);
  return config::kExitDone;
}

int ExportCommand(int argc, char** argv) {
  config::Options options("tributary model export", "writes a job's model as a Hugging Face directory");
  options.AddString("coordinator", kDefaultCoordinator, "control endpoint", config::CheckEndpoint);
  config::AddStoreOptions(options, kDefaultBlobStore);
  options.AddPositional("job", "the job's id, or ID@ROUND for the model of a round that is kept (default: the newest)");
  options.AddPositional("path", "the directory to make");
  options.AddString("tokenizer", "", "a directory or tokenizer.json whose files are put beside the weights (default: that of model.source, where the job "
                    "carries it)");
  options.AddString("max-shard-size", "", "cuts the weights into model-00001-of-0000N.safetensors of at most this and their index, as transformers does; 5GB is its "
                    "own choice (default: the job's checkpoint.max_shard_size, else one file)", [](const std::string& text) -> Status {
                      if (text.empty()) return Ok();
                      TRIBUTARY_ASSIGN(const std::uint64_t bytes, ParseBytes(text));
                      return bytes >= kMinShardBytes ? Ok() : Status(MakeError(Code::kInvalidArgument, "a shard has at least {}", FormatBytes(kMinShardBytes)));
                    });
  options.AddBytes("memory-budget", config::kDefaultMemoryBudget, "chunks under way", config::kMinMemoryBudget, config::kMaxMemoryBudget);
  config::AddKeyOptions(options, false);
  if (const auto exit_code = options.ParseOrExitCode(argc, argv, environ)) return *exit_code;
  wire::GetStatus request;
  const std::string& job = options.String("job");
  const std::size_t at = job.find('@');
  request.job = job.substr(0, at);
  const auto address = config::GetStoreAddress(options);
  std::vector<std::string> endpoints = address.endpoints;
  endpoints.push_back(options.String("coordinator"));
  const auto context = OpenContext(options, endpoints, address.connections);
  if (!context.ok()) return Report("model export", context.error());
  const auto coordinator = transport::ControlClient::Connect(*context, options.String("coordinator"));
  if (!coordinator.ok()) return Report("model export", coordinator.error());
  const auto status = (*coordinator)->Call<wire::JobStatus>(request, kAnswer);
  if (!status.ok()) return Report("model export", status.error());
  std::string model = status->model;
  if (at != std::string::npos && !model.empty()) model = model.substr(0, model.rfind('/') + 1) + job.substr(at + 1);
  const auto object = ObjectName::Parse(model);
  if (!object.ok()) {
    return Report("model export", MakeError(Code::kUnavailable, "{} has no finished model; it is {} in round {}", status->job,
                                            status->state, status->round));
  }
  modeldir::ExportOptions into;
  into.tokenizer = options.String("tokenizer");
  if (!options.String("max-shard-size").empty()) into.max_shard_bytes = ParseBytes(options.String("max-shard-size")).value();
  if (into.tokenizer.empty() || into.max_shard_bytes == 0) {
    // What an import put beside the model that the job began from, and how the job wants its files.
    const auto text = (*coordinator)->Call<wire::JobText>(wire::GetJobText{status->job}, kAnswer);
    if (!text.ok()) return Report("model export", text.error());
    const auto parsed = job::ParseJob(text->text, "job " + status->job);
    if (!parsed.ok()) return Report("model export", parsed.error());
    if (into.tokenizer.empty()) into.tokenizer_object = parsed->model.tokenizer_object;
    if (into.max_shard_bytes == 0) into.max_shard_bytes = parsed->checkpoint.max_shard_bytes;
  }
  memory::Pool pool(options.Bytes("memory-budget"));
  blob_client::RemoteOptions remote;
  remote.endpoints = address.endpoints;
  remote.connections = address.connections;
  remote.instance = "cli";
  remote.derived = {true, true, true, true};
  auto store = blob_client::ConnectStore(*context, pool, remote);
  if (!store.ok()) return Report("model export", store.error());
  const bool terminal = isatty(STDERR_FILENO) == 1;
  into.progress = [&](std::uint64_t done, std::uint64_t total) {
    if (terminal) fmt::print(stderr, "\r{} {} of {} ", Bar(done, total, 30), FormatBytes(done), FormatBytes(total));
    return Ok();
  };
  const auto written = modeldir::ExportModel(**store, *object, options.String("path"), into);
  if (terminal) fmt::print(stderr, "\n");
  if (!written.ok()) return Report("model export", written.error());
  fmt::print("{}\n", options.String("path"));
  return config::kExitDone;
}

}  // namespace tributary::cli
