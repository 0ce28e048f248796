#include "services/cli/import_directory.h"

#include <unistd.h>

#include <filesystem>

#include "services/cli/connect.h"
#include "services/cli/progress.h"
#include "tributary/blob_client/remote_store.h"
#include "tributary/config/service.h"
#include "tributary/modeldir/import.h"
#include "tributary/modeldir/tokenizer_files.h"

namespace tributary::cli {

Result<Imported> ImportDirectory(const config::Options& options, const modeldir::ModelDirectory& directory, const std::string& name,
                                 std::uint64_t chunk_bytes) {
  std::error_code ec;
  auto path = std::filesystem::absolute(directory.path, ec).lexically_normal();
  if (!path.has_filename()) path = path.parent_path();
  auto object = ObjectName::Parse(name.empty() ? "models/" + path.filename().string() : name);
  if (!object.ok()) return object.error().Wrap("give --name");
  memory::Pool pool(config::kDefaultMemoryBudget);
  blob_client::RemoteOptions remote;
  const auto address = config::GetStoreAddress(options);
  remote.endpoints = address.endpoints;
  remote.connections = address.connections;
  remote.instance = "cli";
  remote.derived = {true, true, true, true};
  TRIBUTARY_ASSIGN(auto context, OpenContext(options, remote.endpoints, remote.connections));
  TRIBUTARY_ASSIGN(const auto store, blob_client::ConnectStore(std::move(context), pool, remote));
  const bool terminal = isatty(STDERR_FILENO) == 1;
  modeldir::ImportOptions import;
  import.chunk_bytes = chunk_bytes;
  import.progress = [&](std::uint64_t done, std::uint64_t total) {
    if (terminal) fmt::print(stderr, "\r{} {} of {} ", Bar(done, total, 30), FormatBytes(done), FormatBytes(total));
  };
  const auto digest = modeldir::ImportModel(*store, directory, *object, import);
  if (terminal) fmt::print(stderr, "\n");
  if (!digest.ok()) return digest.error();
  Imported imported;
  imported.model = fmt::format("{}@{}", object->str(), *digest);
  TRIBUTARY_ASSIGN(const std::string tokenizer, modeldir::ImportTokenizer(*store, directory, *object, import));
  if (!tokenizer.empty()) imported.tokenizer = "object:" + tokenizer;
  return imported;
}

}  // namespace tributary::cli
