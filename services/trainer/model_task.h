// Tasks on a real model: the first model, local training, validation.
//
// The first model comes from a seed, from the object that a directory was imported as, or from a TorchScript file. With adapters it is the adapters alone, and the
// base below them is downloaded once, by whichever task first needs it.
// Keeps one model and one partition in memory between tasks, so that a model that was downloaded to be validated is not
// downloaded again to be trained. `digest_` says which sealed model the weights are; it is empty while they are none. libtorch is
// loaded (through `load`) by the first of these tasks. Used by the task thread, but for DevicePeakBytes.
#pragma once

#include <atomic>
#include <memory>
#include <string>

#include "services/trainer/local_data.h"
#include "services/trainer/task_support.h"
#include "tributary/job/job.h"

namespace tributary::trainer {

class ModelTasks {
 public:
  ModelTasks(const Identity& identity, LoadModule load) : identity_(identity), load_(std::move(load)), data_(identity) {}

  Result<session::TaskResult> Init(blob::BlobStore& store, const session::TaskContext& context, const job::Job& job, ByteCount& bytes);
  Result<session::TaskResult> Train(blob::BlobStore& store, const session::TaskContext& context, const job::Job& job, ByteCount& bytes);
  Result<session::TaskResult> Validate(blob::BlobStore& store, const session::TaskContext& context, const job::Job& job,
                                       ByteCount& bytes);

  // Of libtorch, once it is loaded; 0: no GPU was used. Thread-safe.
  std::uint64_t DevicePeakBytes() const {
    const train::Module* const module = module_.load(std::memory_order_acquire);
    return module != nullptr ? module->DevicePeakBytes() : 0;
  }

 private:
  // Makes `model_` be of this config and of what the job wishes, keeping it if it is already.
  Status Prepare(const std::string& config_json, const job::Job& job);
  // What the job starts from, an imported object or a seed: Prepare, and with `weights` its weights in `model_`, unless they are.
  Status PrepareBase(blob::BlobStore& store, const session::TaskContext& context, const job::Job& job, bool weights, ByteCount& bytes);
  // Makes `model_` hold the sealed model `task.base`; returns its layout.
  Result<tensor::Layout> Fetch(blob::BlobStore& store, const session::TaskContext& context, const job::Job& job, ByteCount& bytes);
  // First values of the adapters: from the seed, or those that the job starts from.
  Status InitAdapters(blob::BlobStore& store, const session::TaskContext& context, const job::Job& job, ByteCount& bytes);
  // Writes and seals the first model's broadcast, from memory if the model was made by this task, else from the store.
  Status InitBroadcast(blob::BlobStore& store, const session::TaskContext& context, const job::Job& job, const wire::ObjectSpec& spec,
                       const tensor::Layout& layout, bool sealed_before, ByteCount& bytes, session::TaskResult& result);
  std::uint32_t Threads(const job::Job& job) const { return identity_.threads != 0 ? identity_.threads : job.train.threads; }

  const Identity& identity_;
  LoadModule load_;
  std::atomic<train::Module*> module_{nullptr};
  LocalData data_;
  std::unique_ptr<train::Model> model_;
  std::string made_of_;      // config and wishes that model_ was made from
  std::string base_;         // digest or seed of the weights below the adapters; empty: none are there
  std::string digest_;
  tensor::Encoding base_encoding_ = tensor::Encoding::kNative;  // of the object that Fetch looked at last
};

}  // namespace tributary::trainer
