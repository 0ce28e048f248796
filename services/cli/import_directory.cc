#include "services/cli/import_directory.h"

#include <unistd.h>

#include <filesystem>
#include <memory>
#include <string_view>
#include <utility>

#include "services/cli/progress.h"
#include "services/cli/store.h"
#include "tributary/config/service.h"
#include "tributary/modeldir/import.h"
#include "tributary/modeldir/tokenizer_files.h"

namespace tributary::cli {

namespace {

constexpr std::string_view kModels = "models/";

// With keys, what is imported is read below models/ (services/blob-store/access.cc).
Result<ObjectName> NameOf(const std::string& directory, const std::string& name) {
  std::error_code ec;
  auto path = std::filesystem::absolute(directory, ec).lexically_normal();
  if (!path.has_filename()) path = path.parent_path();
  if (!name.empty() && !name.starts_with(kModels)) {
    return MakeError(Code::kInvalidArgument, "--name {}: imported models lie below {}, where services with keys may read them; give --name {}{}", name, kModels, kModels, name);
  }
  auto object = ObjectName::Parse(name.empty() ? std::string(kModels) + path.filename().string() : name);
  if (object.ok()) return object;
  // Whatever command imports, this one can name it.
  return object.error().Wrap(name.empty() ? fmt::format("{} has no name for an object; tributary model import {} --name models/NAME gives one, and prints "
                                                        "what the job names it by", directory, directory)
                                          : std::string("--name"));
}

}  // namespace

namespace {

// With progress on a terminal.
modeldir::ImportOptions Shown(std::uint64_t chunk_bytes, bool terminal) {
  modeldir::ImportOptions import;
  import.chunk_bytes = chunk_bytes;
  import.progress = [terminal](std::uint64_t done, std::uint64_t total) {
    if (terminal) fmt::print(stderr, "\r{} {} of {} ", Bar(done, total, 30), FormatBytes(done), FormatBytes(total));
  };
  return import;
}

}  // namespace

Result<Imported> ImportDirectory(const config::Options& options, const modeldir::ModelDirectory& directory, const std::string& name,
                                 std::uint64_t chunk_bytes) {
  TRIBUTARY_ASSIGN(const ObjectName object, NameOf(directory.path, name));
  memory::Pool pool(config::kDefaultMemoryBudget);
  TRIBUTARY_ASSIGN(const auto store, OpenStore(options, pool));
  const bool terminal = isatty(STDERR_FILENO) == 1;
  const modeldir::ImportOptions import = Shown(chunk_bytes, terminal);
  const auto digest = modeldir::ImportModel(*store, directory, object, import);
  if (terminal) fmt::print(stderr, "\n");
  if (!digest.ok()) return digest.error();
  Imported imported;
  imported.model = fmt::format("{}@{}", object.str(), *digest);
  TRIBUTARY_ASSIGN(const std::string tokenizer, modeldir::ImportTokenizer(*store, directory, object, import));
  if (!tokenizer.empty()) imported.tokenizer = "object:" + tokenizer;
  return imported;
}

Result<std::string> ImportAdapterDirectory(const config::Options& options, const modeldir::AdapterDirectory& directory, const std::string& name,
                                           std::uint64_t chunk_bytes) {
  TRIBUTARY_ASSIGN(const ObjectName object, NameOf(directory.path, name));
  memory::Pool pool(config::kDefaultMemoryBudget);
  TRIBUTARY_ASSIGN(const auto store, OpenStore(options, pool));
  const bool terminal = isatty(STDERR_FILENO) == 1;
  const auto digest = modeldir::ImportAdapters(*store, directory, object, Shown(chunk_bytes, terminal));
  if (terminal) fmt::print(stderr, "\n");
  if (!digest.ok()) return digest.error();
  return fmt::format("{}@{}", object.str(), *digest);
}

Result<std::string> FindTokenizer(const config::Options& options, const std::string& model) {
  const auto object = ObjectName::Parse(model.substr(0, model.find('@')));
  if (!object.ok()) return object.error().Wrap("model.object");
  memory::Pool pool(config::kDefaultMemoryBudget);
  TRIBUTARY_ASSIGN(const auto store, OpenStore(options, pool));
  TRIBUTARY_ASSIGN(const std::string tokenizer, modeldir::FindTokenizer(*store, *object));
  return tokenizer.empty() ? tokenizer : "object:" + tokenizer;
}

}  // namespace tributary::cli
