// put, get and offers: a file or a directory into a blob-store and out of it, and what sites give out on request.
#include <signal.h>
#include <unistd.h>

#include <chrono>
#include <memory>
#include <stop_token>
#include <thread>

#include "services/cli/commands.h"
#include "services/cli/connect.h"
#include "services/cli/progress.h"
#include "tributary/blob_client/remote_store.h"
#include "tributary/config/options.h"
#include "tributary/config/service.h"
#include "tributary/objects/files.h"
#include "tributary/retriever/retriever.h"

namespace tributary::cli {
namespace {

constexpr std::string_view kJobs = "jobs/";
constexpr std::string_view kOffers = "offers/";
constexpr const char* kCoordinator = "tcp://127.0.0.1:7700";
constexpr const char* kBlobStore = "tcp://127.0.0.1:7710";

int Report(const char* command, const Error& error) {
  fmt::print(stderr, "tributary {}: {}\n", command, error.message());
  return error.code() == Code::kInvalidArgument ? config::kExitUsage : config::kExitFailed;
}

config::Options StoreOptions(const char* program, const char* help) {
  config::Options options(program, help);
  config::AddStoreOptions(options, kBlobStore);
  options.AddPositional("name", "of the object, as in shared/imdb");
  options.AddBytes("memory-budget", config::kDefaultMemoryBudget, "chunks under way", config::kMinMemoryBudget, config::kMaxMemoryBudget);
  options.AddBool("no-progress", false, "no bar while it runs");
  config::AddKeyOptions(options, false);
  return options;
}

// Ctrl-C and SIGTERM end a transfer in order: what was begun is removed, and the last line says how to go on.
volatile sig_atomic_t g_stop = 0;
void OnStop(int) { g_stop = 1; }

class StopOnSignal {
 public:
  StopOnSignal() {
    struct sigaction action {};
    action.sa_handler = OnStop;
    sigaction(SIGINT, &action, nullptr);
    sigaction(SIGTERM, &action, nullptr);
    watcher_ = std::jthread([this](std::stop_token ended) {
      while (!ended.stop_requested()) {
        if (g_stop != 0) source_.request_stop();
        std::this_thread::sleep_for(std::chrono::milliseconds(50));
      }
    });
  }
  std::stop_token token() const { return source_.get_token(); }

 private:
  std::stop_source source_;
  std::jthread watcher_;
};

// A store with all that it needs, in the order in which it has to end.
struct Connection {
  explicit Connection(const config::Options& options) : pool(options.Bytes("memory-budget")) {}
  memory::Pool pool;
  std::unique_ptr<blob_client::RemoteStore> store;
};

Status Connect(const config::Options& options, std::stop_token stop, Connection& connection) {
  blob_client::RemoteOptions remote;
  const auto address = config::GetStoreAddress(options);
  remote.endpoints = address.endpoints;
  remote.connections = address.connections;
  remote.instance = "cli";
  remote.stop = std::move(stop);
  remote.derived = {true, true, true, true};
  TRIBUTARY_ASSIGN(auto context, OpenContext(options, remote.endpoints, remote.connections));
  TRIBUTARY_ASSIGN(connection.store, blob_client::ConnectStore(std::move(context), connection.pool, remote));
  return Ok();
}

std::function<void(std::uint64_t, std::uint64_t)> ShowBar(const config::Options& options) {
  if (options.Flag("no-progress") || isatty(STDERR_FILENO) != 1) return [](std::uint64_t, std::uint64_t) {};
  return [](std::uint64_t done, std::uint64_t total) {
    fmt::print(stderr, "\r{} {} of {} {}", Bar(done, total, 30), FormatBytes(done), FormatBytes(total), done == total ? "\n" : "");
  };
}

// Two numbers and a digest: what scripts want of it.
void Tell(const std::string& name, const objects::Outcome& outcome, std::chrono::steady_clock::time_point begun) {
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count();
  fmt::print("{} {}\n", outcome.digest, name);
  fmt::print(stderr, "{} moved in {:.1f} s ({}/s)\n", FormatBytes(outcome.bytes_moved), seconds,
             FormatBytes(seconds > 0 ? static_cast<std::uint64_t>(static_cast<double>(outcome.bytes_moved) / seconds) : 0));
}

}  // namespace

int PutCommand(int argc, char** argv) {
  auto options = StoreOptions("tributary put", "streams a file or a directory into a blob-store, and prints its digest");
  options.AddPositional("path", "a file or a directory");
  options.AddBytes("chunk-bytes", tensor::kDefaultChunkBytes, "of one message", tensor::kMinChunkBytes, tensor::kMaxChunkBytes);
  options.AddBool("resume", false, "an earlier put of the same files was interrupted: send what is missing");
  options.AddBool("replace", false, "remove what has this name first");
  if (const auto exit_code = options.ParseOrExitCode(argc, argv, environ)) return *exit_code;
  const auto name = ObjectName::Parse(options.String("name"));
  if (!name.ok()) return Report("put", name.error());
  if (name->str().starts_with(kJobs)) {
    return Report("put", MakeError(Code::kInvalidArgument, "names under '{}' belong to jobs; choose another, as shared/…", kJobs));
  }
  if (name->str().starts_with(kOffers)) {
    return Report("put", MakeError(Code::kInvalidArgument, "names under '{}' belong to what sites send on request, and are removed; choose "
                                   "another, as shared/…", kOffers));
  }
  const auto source = objects::ReadPath(options.String("path"));
  if (!source.ok()) return Report("put", source.error());

  const StopOnSignal stop;
  Connection connection(options);
  if (const Status connected = Connect(options, stop.token(), connection); !connected.ok()) return Report("put", connected.error());
  objects::PutOptions put;
  put.chunk_bytes = options.Bytes("chunk-bytes");
  put.resume = options.Flag("resume");
  put.replace = options.Flag("replace");
  put.progress = ShowBar(options);
  put.stop = stop.token();
  const auto begun = std::chrono::steady_clock::now();
  const auto outcome = objects::Put(*connection.store, *name, **source, put);
  if (!outcome.ok() && outcome.error().code() == Code::kCancelled) {
    return Report("put", Error(Code::kCancelled, "stopped; the same command with --resume goes on from here"));
  }
  if (!outcome.ok()) return Report("put", outcome.error());
  Tell(name->str(), *outcome, begun);
  return config::kExitDone;
}

namespace {

int GetFromSite(const config::Options& options, objects::Sink& sink) {
  const StopOnSignal stop;
  memory::Pool pool(options.Bytes("memory-budget"));
  retriever::RetrieveOptions retrieve;
  retrieve.coordinator = options.String("coordinator");
  if (options.Given("blob-store")) retrieve.blob_stores = options.Strings("blob-store");
  retrieve.connections = static_cast<std::uint32_t>(options.Uint("connections"));
  retrieve.site = options.String("from");
  retrieve.name = options.String("name");
  retrieve.digest = options.String("digest");
  retrieve.patience = options.Time("timeout");
  retrieve.sending = retrieve.receiving = ShowBar(options);
  retrieve.waiting = [](const std::string& reason) { fmt::print(stderr, "tributary get: waiting: {}\n", reason); };
  retrieve.stop = stop.token();
  std::vector<std::string> endpoints = retrieve.blob_stores;
  endpoints.push_back(retrieve.coordinator);
  const auto context = OpenContext(options, endpoints, retrieve.connections);
  if (!context.ok()) return Report("get", context.error());
  const auto begun = std::chrono::steady_clock::now();
  const auto outcome = retriever::Retrieve(*context, pool, retrieve, sink);
  if (!outcome.ok()) return Report("get", outcome.error());
  Tell(retrieve.name, *outcome, begun);
  return config::kExitDone;
}

}  // namespace

int GetCommand(int argc, char** argv) {
  auto options = StoreOptions("tributary get", "streams an object of a blob-store, or of a site, into a file or a directory, and checks every byte of it");
  options.AddString("from", "", "a site: ask its trainers for what they offer under NAME; 'tributary offers' lists it",
                    [](const std::string& value) { return value.empty() ? Ok() : config::CheckName(value); });
  options.AddString("coordinator", kCoordinator, "with --from: the control endpoint", config::CheckEndpoint);
  options.AddDuration("timeout", std::chrono::minutes(1), "with --from: give up after so long without progress", Duration(1'000));
  options.AddPositional("path", "where to put it; must not be there yet");
  options.AddString("digest", "", "the digest that put printed; another one is refused");
  options.AddBool("force", false, "replace a file that is there");
  if (const auto exit_code = options.ParseOrExitCode(argc, argv, environ)) return *exit_code;
  const auto name = ObjectName::Parse(options.String("name"));
  if (!name.ok()) return Report("get", name.error());
  const auto sink = objects::WritePath(options.String("path"), options.Flag("force"));
  if (!sink.ok()) return Report("get", sink.error());
  if (!options.String("from").empty()) return GetFromSite(options, **sink);

  const StopOnSignal stop;
  Connection connection(options);
  if (const Status connected = Connect(options, stop.token(), connection); !connected.ok()) return Report("get", connected.error());
  objects::GetOptions get;
  get.digest = options.String("digest");
  get.progress = ShowBar(options);
  get.stop = stop.token();
  const auto begun = std::chrono::steady_clock::now();
  const auto outcome = objects::Get(*connection.store, *name, **sink, get);
  if (!outcome.ok()) return Report("get", outcome.error());
  Tell(name->str(), *outcome, begun);
  return config::kExitDone;
}

int OffersCommand(int argc, char** argv) {
  config::Options options("tributary offers", "lists what the connected sites give out on request: tributary get --from SITE NAME PATH");
  options.AddString("coordinator", kCoordinator, "control endpoint", config::CheckEndpoint);
  options.AddString("site", "", "of this site alone", [](const std::string& value) { return value.empty() ? Ok() : config::CheckName(value); });
  config::AddKeyOptions(options, false);
  if (const auto exit_code = options.ParseOrExitCode(argc, argv, environ)) return *exit_code;
  const auto context = OpenContext(options, {options.String("coordinator")});
  if (!context.ok()) return Report("offers", context.error());
  const auto offers = retriever::ListOffers(*context, options.String("coordinator"), options.String("site"));
  if (!offers.ok()) return Report("offers", offers.error());
  for (const auto& offer : *offers) {
    fmt::print("{:<24} {:<32} {} trainer{}\n", offer.site, offer.name, offer.trainers, offer.trainers == 1 ? "" : "s");
  }
  return config::kExitDone;
}

}  // namespace tributary::cli
