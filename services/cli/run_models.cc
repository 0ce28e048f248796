#include "services/cli/run_models.h"

#include <utility>

#include "tributary/job/needs.h"
#include "tributary/modeldir/export.h"
#include "tributary/modeldir/import.h"
#include "tributary/modeldir/tokenizer_files.h"

namespace tributary::cli {
namespace {

constexpr const char* kSourceObject = "models/source";
constexpr const char* kAdaptersObject = "models/source-adapters";

modeldir::ImportOptions OptionsOf(const RunSpec& spec, std::stop_token stop) {
  modeldir::ImportOptions options;
  options.chunk_bytes = spec.job.transfer.chunk_bytes;
  options.stop = std::move(stop);
  return options;
}

template <class T>
Status Changed(const Result<T>& imported, const std::string& path) {
  if (imported.ok() || imported.error().code() != Code::kAlreadyExists) return imported.status();
  return MakeError(Code::kAlreadyExists, "{} has changed since this run began; --restart runs the job anew", path);
}

}  // namespace

Status ImportRunModel(blob::BlobStore& store, const RunSpec& spec, std::stop_token stop, RunImports& imports) {
  TRIBUTARY_ASSIGN(const ObjectName object, ObjectName::Parse(kSourceObject));
  const modeldir::ImportOptions options = OptionsOf(spec, std::move(stop));
  const auto digest = modeldir::ImportModel(store, *spec.source, object, options);
  TRIBUTARY_TRY(Changed(digest, spec.source->path));
  imports.overrides.push_back({"model.object", fmt::format("{}@{}", kSourceObject, *digest)});
  if (spec.job.model.tokenizer_given) return Ok();
  const auto tokenizer = modeldir::ImportTokenizer(store, *spec.source, object, options);
  TRIBUTARY_TRY(Changed(tokenizer, spec.source->path));
  imports.tokenizer_object = *tokenizer;
  if (!tokenizer->empty()) imports.overrides.push_back({"model.tokenizer", "object:" + *tokenizer});
  return Ok();
}

Status ImportRunAdapters(blob::BlobStore& store, const RunSpec& spec, std::stop_token stop, RunImports& imports) {
  TRIBUTARY_ASSIGN(const ObjectName object, ObjectName::Parse(kAdaptersObject));
  const auto digest = modeldir::ImportAdapters(store, *spec.adapters, object, OptionsOf(spec, std::move(stop)));
  TRIBUTARY_TRY(Changed(digest, spec.adapters->path));
  imports.overrides.push_back({"adapter.object", fmt::format("{}@{}", kAdaptersObject, *digest)});
  return Ok();
}

Status ExportRunModel(blob::BlobStore& store, const RunSpec& spec, const std::string& tokenizer_object, const std::string& base, const std::string& model,
                      const std::string& directory, std::stop_token stop) {
  TRIBUTARY_ASSIGN(const ObjectName object, ObjectName::Parse(model));
  modeldir::ExportOptions into;
  into.tokenizer = spec.job.model.tokenizer;
  into.tokenizer_object = tokenizer_object;
  if (job::HasBaseOfSeed(spec.job)) into.base = base;
  into.max_shard_bytes = spec.job.checkpoint.max_shard_bytes;
  into.stop = stop;
  into.progress = [&](std::uint64_t, std::uint64_t) {
    return stop.stop_requested() ? Status(MakeError(Code::kCancelled, "the export was stopped")) : Ok();
  };
  return modeldir::ExportModel(store, object, directory, into);
}

}  // namespace tributary::cli
