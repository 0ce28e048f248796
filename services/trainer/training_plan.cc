#include "services/trainer/training_plan.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "tributary/base/random.h"
#include "tributary/json/json.h"

namespace tributary::trainer {
namespace {

Result<train::Optimizer> OptimizerOf(const std::string& name) {
  if (name == "adamw") return train::Optimizer::kAdamW;
  if (name == "adam") return train::Optimizer::kAdam;
  if (name == "sgd") return train::Optimizer::kSgd;
  return MakeError(Code::kInvalidArgument, "train.optimizer '{}': expected adamw, adam or sgd", name);
}

}  // namespace

Plan PlanOf(const job::Train& train, const corpus::Corpus& corpus) {
  const std::uint64_t accumulation = std::max<std::uint32_t>(1, train.gradient_accumulation);
  Plan plan;
  if (train.mode == "step") {
    plan.steps = train.steps;
  } else {
    // Batches that do not fill a step are left out: every step is of the same size.
    plan.steps = std::max<std::uint64_t>(1, train.epochs * corpus.BatchesPerEpoch(train.batch_size) / accumulation);
  }
  plan.batches = plan.steps * accumulation;
  return plan;
}

Result<train::TrainOptions> OptionsOf(const job::Job& job, const Plan& plan, std::uint32_t round, std::uint32_t ordinal, std::uint32_t threads) {
  train::TrainOptions options;
  options.steps = plan.steps;
  options.gradient_accumulation = job.train.gradient_accumulation;
  TRIBUTARY_ASSIGN(options.optimizer, OptimizerOf(job.train.optimizer));
  options.learning_rate = job.train.learning_rate;
  options.weight_decay = job.train.weight_decay;
  options.clip_norm = job.train.clip_norm;
  options.learning_rate_min = job.train.learning_rate_min;
  const std::uint64_t before = std::max<std::uint32_t>(1, round) - 1;
  options.schedule = job.train.schedule == "constant" || job.train.schedule == "cosine-by-round" ? train::Schedule::kConstant : train::Schedule::kCosine;
  options.schedule_begin = before * plan.steps;
  options.schedule_steps = job.rounds * plan.steps;
  if (job.train.schedule == "cosine-in-round") {
    options.schedule_begin = 0;
    options.schedule_steps = plan.steps;
  } else if (job.train.schedule == "cosine-by-round") {
    // As FlowerTune has it: round r of R trains at the cosine's value at r / R.
    const double done = static_cast<double>(before + 1) / static_cast<double>(job.rounds);
    options.learning_rate = options.learning_rate_min +
                            (options.learning_rate - options.learning_rate_min) * 0.5 * (1 + std::cos(std::numbers::pi * done));
  }
  options.warmup_steps = job.train.warmup;
  options.seed = MixSeed(job.model.seed, round, ordinal);
  options.threads = threads;
  return options;
}

train::ModelSpec SpecOf(const std::string& config_json, const job::Job& job) {
  train::ModelSpec spec;
  spec.config_json = config_json;
  spec.lora = {job.adapter.rank, job.adapter.alpha, job.adapter.dropout, job.adapter.targets, job.adapter.pattern};
  if (job.adapter.quantization == "nf4") {
    spec.quantization = job.adapter.double_quantization ? train::Quantization::kNf4Double : train::Quantization::kNf4;
  }
  spec.precision = job.train.precision == "bf16" ? train::Precision::kBf16 : train::Precision::kFp32;
  spec.gradient_checkpointing = job.train.gradient_checkpointing;
  spec.device = job.train.device == "cuda"  ? train::Device::kCuda
                : job.train.device == "cpu" ? train::Device::kCpu
                                            : train::Device::kAuto;
  return spec;
}

std::string KeyOf(const train::ModelSpec& spec) {
  std::string key = fmt::format("{}\n{} {} {} {} {} {} {} {}", spec.config_json, spec.lora.rank, spec.lora.alpha, spec.lora.dropout,
                                spec.lora.pattern, static_cast<int>(spec.quantization), static_cast<int>(spec.precision),
                                spec.gradient_checkpointing, static_cast<int>(spec.device));
  for (const std::string& target : spec.lora.targets) key += "\n" + target;
  return key;
}

std::string AdapterInfo(const train::Model& model, const job::Job& job, const std::string& base) {
  auto config = OrderedJson::parse(model.AdapterConfigJson(), nullptr, /*allow_exceptions=*/false);
  if (config.is_object()) config["base_model_name_or_path"] = !job.model.source.empty() ? job.model.source : !job.model.object.empty() ? job.model.object : base;
  return config.dump(2) + "\n";
}

}  // namespace tributary::trainer
