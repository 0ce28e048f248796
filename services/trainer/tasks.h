// What a trainer does: the first model, local training, validation; synthetic jobs without libtorch.
//
// A session::TaskRunner; each task opens the store anew through `open_store`. One task at a time, and beside it one of those that
// `kBeside` names: they share nothing but the store and the identity.
#pragma once

#include "services/trainer/carried_tokenizer.h"
#include "services/trainer/model_task.h"
#include "services/trainer/task_support.h"

namespace tributary::trainer {

// Kinds that training does not hold up: what others asked for, put and removed.
inline const std::vector<wire::TaskKind> kBeside{wire::TaskKind::kOffer, wire::TaskKind::kRemove};

class TrainerTasks final : public session::TaskRunner {
 public:
  // `load` is called by the first task that needs a real model, never by a synthetic one. `identity` outlives this.
  TrainerTasks(const Identity& identity, OpenStore open_store, LoadModule load)
      : identity_(identity), open_store_(std::move(open_store)), models_(identity, std::move(load)), tokenizer_(identity) {}
  Result<session::TaskResult> Run(const session::TaskContext& context) override;
  // The most that training held of a GPU's memory since the process began; 0: none was used. Thread-safe.
  std::uint64_t DevicePeakBytes() const { return models_.DevicePeakBytes(); }

 private:
  Result<session::TaskResult> Dispatch(blob::BlobStore& store, const session::TaskContext& context, const job::Job& job,
                                       ByteCount& bytes);
  const Identity& identity_;
  OpenStore open_store_;
  ModelTasks models_;
  CarriedTokenizer tokenizer_;
};

}  // namespace tributary::trainer
