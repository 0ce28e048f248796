// Models that a run puts into its own blob-store and takes out of it: what the job starts from, and what it made.
//
// The store is open for as long as a call takes; one thread. `stop` ends a call with kCancelled.
#pragma once

#include <stop_token>
#include <string>
#include <vector>

#include "services/cli/run_job.h"
#include "tributary/base/result.h"
#include "tributary/blob/store.h"
#include "tributary/job/job.h"

namespace tributary::cli {

struct RunImports {
  std::vector<job::Override> overrides;  // that name in the job what was imported
  std::string tokenizer_object;          // NAME@DIGEST of the one that came along; empty: none did
};

// The directory of model.source, with its tokenizer where the job names none. kAlreadyExists, with the remedy, where it is not what this run began with.
Status ImportRunModel(blob::BlobStore& store, const RunSpec& spec, std::stop_token stop, RunImports& imports);
// The directory of adapter.source.
Status ImportRunAdapters(blob::BlobStore& store, const RunSpec& spec, std::stop_token stop, RunImports& imports);
// Writes the model at `directory`, with the job's tokenizer or `tokenizer_object`. Adapters over a base of the job's seed name `base` as theirs.
Status ExportRunModel(blob::BlobStore& store, const RunSpec& spec, const std::string& tokenizer_object, const std::string& base, const std::string& model,
                      const std::string& directory, std::stop_token stop);

}  // namespace tributary::cli
