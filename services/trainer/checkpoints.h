// What `tributary train` leaves on the way, and goes on from: models of rounds, what each round gave, and the optimizer's state beside them.
//
//   rounds.json (what each finished round gave)  model-ROUND/ (checkpoint.every, checkpoint.keep)  optimizer/ROUND/ (train.optimizer_state: kept)
//
// A round stands in rounds.json only after its model is saved, and `model`, the last one's, only while it is that round's: whatever is named there is whole. One
// thread. Errors name the file.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "services/trainer/optimizer_state.h"
#include "tributary/base/result.h"
#include "tributary/job/job.h"
#include "tributary/json/json.h"
#include "tributary/train/module.h"

namespace tributary::trainer {

class Checkpoints {
 public:
  // A training that begins anew: nothing is gone on from until it has saved something.
  static Result<Checkpoints> Begin(const job::Job& job, const std::string& work_dir);
  // One that goes on behind `round`; 0: behind the newest one whose model is here. kNotFound names those that are. kConflict where nothing is left to do.
  static Result<Checkpoints> Resume(const job::Job& job, const std::string& work_dir, std::uint32_t round);

  std::uint32_t done() const { return done_; }  // rounds; 0: it begins
  // Of the finished rounds, as summary.json has them; `best`, where one was validated: {round, val_loss}.
  const OrderedJson& rounds() const { return rounds_; }
  const OrderedJson& best() const { return best_; }

  // The weights of round done() into a model of the same job.
  Status Load(train::Model& model) const;
  // The optimizer's state for the next round; null where the job has every round begin fresh.
  Result<train::OptimizerStore*> OptimizerOf(std::uint32_t round, const train::Model& model);

  using SaveModel = std::function<Status(const std::string& directory)>;
  // After a round: its model is saved where the job wants it, older ones go, and the round stands in rounds.json.
  Status Finished(std::uint32_t round, OrderedJson entry, const OrderedJson& best, const SaveModel& save);

 private:
  // In memory from round to round, on disk beside a checkpoint.
  class KeptState final : public train::OptimizerStore {
   public:
    Result<std::uint64_t> Load(const std::vector<std::span<float>>& moments) override;
    Status Save(std::uint64_t steps, const std::vector<std::span<float>>& moments) override;
    std::unique_ptr<DiskOptimizerState> from;  // of the checkpoint that was gone on from
    std::unique_ptr<DiskOptimizerState> into;

   private:
    MemoryOptimizerState memory_;
  };

  Checkpoints(const job::Job& job, std::string work_dir) : job_(&job), work_dir_(std::move(work_dir)), optimizer_(std::make_unique<KeptState>()) {}
  bool IsCheckpoint(std::uint32_t round) const { return job_->checkpoint.every > 0 && round % job_->checkpoint.every == 0; }
  std::string ModelDirectory(std::uint32_t round) const;
  Result<std::unique_ptr<DiskOptimizerState>> OpenOptimizer(std::uint32_t checkpoint, std::uint32_t round, const train::Model& model) const;
  Status Write() const;

  const job::Job* job_;
  std::string work_dir_;
  std::uint32_t done_ = 0;
  std::uint32_t last_ = 0;  // whose model `model` is; 0: not known
  std::vector<std::uint32_t> kept_;  // rounds whose model-ROUND is of this training: an earlier one may have left others
  OrderedJson rounds_ = OrderedJson::array();
  OrderedJson best_;
  std::unique_ptr<KeptState> optimizer_;
};

}  // namespace tributary::trainer
