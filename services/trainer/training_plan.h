// What a job's keys mean for a model and for one round of its training. Pure functions; tributary train and the tasks of a federation use the same.
#pragma once

#include <cstdint>
#include <string>

#include "tributary/base/result.h"
#include "tributary/corpus/corpus.h"
#include "tributary/job/job.h"
#include "tributary/train/module.h"

namespace tributary::trainer {

// Batches and optimizer steps of one round.
struct Plan {
  std::uint64_t steps = 0;
  std::uint64_t batches = 0;
};
Plan PlanOf(const job::Train& train, const corpus::Corpus& corpus);

// Of the round, from 1, of the seat `ordinal`.
Result<train::TrainOptions> OptionsOf(const job::Job& job, const Plan& plan, std::uint32_t round, std::uint32_t ordinal, std::uint32_t threads);

// What the job asks of a model, whatever its architecture.
train::ModelSpec SpecOf(const std::string& config_json, const job::Job& job);
// Equal for models that are made alike.
std::string KeyOf(const train::ModelSpec& spec);

// val_loss, val_targets and, where the model tells it, val_accuracy, into a map of metrics or a JSON object.
template <class Metrics>
void AddEvaluation(const train::EvalResult& evaluated, Metrics& metrics) {
  metrics["val_targets"] = static_cast<double>(evaluated.targets);
  // A partition without validation text has no loss, and zero would be a good one.
  if (evaluated.targets == 0) return;
  metrics["val_loss"] = evaluated.loss;
  if (evaluated.counts_correct) metrics["val_accuracy"] = static_cast<double>(evaluated.correct) / static_cast<double>(evaluated.targets);
}

// adapter_config.json, with the base's name in it: what the job says, else `base`.
std::string AdapterInfo(const train::Model& model, const job::Job& job, const std::string& base = "");

}  // namespace tributary::trainer
