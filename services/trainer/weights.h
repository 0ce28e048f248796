// The weights of a model from where they are stored: a model directory on this machine, or an object that one was imported as.
//
// Names may lack the family's prefix, and tensors that a model derives are passed over (modeldir/directory.h); what is missing or left over
// is named before the first byte is read. Memory above the model: its tensors under way, where their dtype is converted. One thread.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "services/trainer/task_support.h"
#include "tributary/base/result.h"
#include "tributary/blob/store.h"
#include "tributary/job/job.h"
#include "tributary/modeldir/directory.h"
#include "tributary/train/module.h"

namespace tributary::trainer {

// An error about a model, behind the job's words by which it came: model.source, else model.object. What is no fault of the model's is passed on as it is.
Error NamedBySource(const Error& error, const job::Model& model);

// Which weight of the model each stored tensor is; -1: none, it is passed over. `place` begins errors.
Result<std::vector<std::int64_t>> MatchWeights(const std::vector<tensor::TensorSpec>& stored, const train::Model& model, const std::string& place);

// A model of the directory's config.json with its weights. `wishes` says all but the config.
Result<std::unique_ptr<train::Model>> LoadModelDirectory(const modeldir::ModelDirectory& directory, train::Module& module,
                                                         train::ModelSpec wishes = {});
// A base with PEFT's adapters on it. What of adapter_config.json changes what is computed and is not known here is refused by name.
// `wishes` says all but config and adapters.
Result<std::unique_ptr<train::Model>> LoadAdapterDirectory(const modeldir::AdapterDirectory& adapter, const modeldir::ModelDirectory& base,
                                                           train::Module& module, train::ModelSpec wishes = {});
// Where the adapter's base lies: `given`, or what its config names.
Result<std::string> BaseOf(const modeldir::AdapterDirectory& adapter, const std::string& given);
// Adapters of a PEFT directory, or of a sealed object with its adapter_config.json, into a model made for the job: rank, alpha, names and shapes are the
// job's, or kInvalidArgument says which is not before a byte is read. The download's phase is "adapters".
Status LoadAdapters(const modeldir::AdapterDirectory& directory, const job::Adapter& wished, train::Model& model);
Status DownloadAdapters(blob::BlobStore& store, const ObjectName& object, const job::Adapter& wished, train::Model& model, session::TaskProgress& progress,
                        ByteCount& bytes, std::stop_token stop);
// What a model trains, out of files of the very same tensors in any order; kInvalidArgument names the first that differs.
Status LoadParameters(const std::vector<modeldir::StoredWeight>& weights, const std::string& place, train::Model& model);
// The weights of a sealed object into a model that has none yet.
Status DownloadWeights(blob::BlobStore& store, const ObjectName& object, train::Model& model, session::TaskProgress& progress, ByteCount& bytes,
                       std::stop_token stop);

}  // namespace tributary::trainer
