#include "services/trainer/seeded_base.h"

#include <cstddef>
#include <span>

#include "services/trainer/script_model.h"
#include "tributary/job/needs.h"
#include "tributary/modeldir/export.h"

namespace tributary::trainer {
namespace {

Status CheckJob(const job::Job& job) {
  if (job::HasBaseOfSeed(job)) return Ok();
  if (!job.adapted()) {
    return MakeError(Code::kInvalidArgument, "{} trains all weights, and its model is whole without a base: only jobs with adapter.lora have one", job.name);
  }
  return MakeError(Code::kInvalidArgument, "the base of {} is {}, and only one that model.seed makes is written", job.name,
                   job.model.source.empty() ? "model.object " + job.model.object : "model.source " + job.model.source);
}

}  // namespace

Status WriteSeededBase(const job::Job& job, const LoadModule& load, const std::string& directory) {
  TRIBUTARY_TRY(CheckJob(job));
  train::ModelSpec spec;  // of what is there before the job's wishes
  TRIBUTARY_ASSIGN(spec.config_json, FirstConfig(job.model));
  TRIBUTARY_ASSIGN(train::Module* const module, load());
  TRIBUTARY_ASSIGN(const auto model, module->CreateModel(spec));
  TRIBUTARY_TRY(model->InitFromSeed(job.model.seed));
  return modeldir::SaveModel(model->Parameters(), [&](std::uint32_t i) { return std::span<const std::byte>(model->ParameterBytes(i)); }, model->ConfigJson(),
                             directory, job.model.tokenizer, job.checkpoint.max_shard_bytes);
}

}  // namespace tributary::trainer
