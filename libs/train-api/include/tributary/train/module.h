// The seam between the trainer and libtorch: what the training module, a shared object of its own, gives.
//
// libtorch costs 152 MB resident, so no binary links it. `tributary-trainer` loads
// libtributary-train.so with dlopen (LoadTrainModule) at the first task that needs it; this header is
// all that the two share. Ownership: a Module lives as long as the process; a Model is owned by the caller, and the
// spans it gives out live as long as the Model. Threads: a Model is used by one thread at a time; `stop` and
// progress are how others watch. Failures come back as Result; exceptions of libtorch stay in the module.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <stop_token>
#include <string>
#include <vector>

#include "tributary/base/result.h"
#include "tributary/tensor/layout.h"

namespace tributary::train {

// What defines a model before it has weights. `config_json` is the text of a Hugging Face config.json
// ("model_type": "gpt2" ...); families are looked up by model_type.
struct ModelSpec {
  std::string config_json;
};

// A batch of token ids, `rows` x `columns`, row-major. Position i predicts position i + 1; ids of
// kIgnore in `targets` carry no loss. `targets` are already shifted: targets[i] is what tokens[i] predicts.
struct Batch {
  std::uint32_t rows = 0;
  std::uint32_t columns = 0;
  std::vector<std::int32_t> tokens;
  std::vector<std::int32_t> targets;
};
constexpr std::int32_t kIgnore = -100;

// Gives the batches of one local training in their seeded order. Next returns an empty batch (rows == 0) at the end.
class BatchSource {
 public:
  virtual ~BatchSource() = default;
  virtual Result<Batch> Next() = 0;
};

struct Progress {
  std::uint64_t step = 0;
  std::uint64_t steps = 0;  // planned
  std::uint64_t tokens = 0; // so far
  double loss = 0;          // of the newest step
};
using ProgressFn = std::function<void(const Progress&)>;

enum class Optimizer : std::uint8_t { kAdamW, kAdam, kSgd };
enum class Schedule : std::uint8_t { kConstant, kCosine };

struct TrainOptions {
  std::uint64_t steps = 0;  // optimizer steps; > 0
  std::uint32_t gradient_accumulation = 1;
  Optimizer optimizer = Optimizer::kAdamW;
  double learning_rate = 2e-4;
  double weight_decay = 0;
  double clip_norm = 1.0;  // 0: off
  Schedule schedule = Schedule::kCosine;
  // The schedule runs over the whole job: this training is steps [schedule_begin, +steps) of schedule_steps.
  std::uint64_t schedule_begin = 0;
  std::uint64_t schedule_steps = 0;
  std::uint64_t warmup_steps = 0;
  std::uint64_t seed = 1;
  std::uint32_t threads = 1;  // of libtorch; 1 keeps sums in one order
};

struct TrainResult {
  double mean_loss = 0;   // over the tokens of all steps
  std::uint64_t tokens = 0;
  std::uint64_t steps = 0;
  double seconds = 0;
};

struct EvalResult {
  double loss = 0;  // mean negative log-likelihood per target, nats
  std::uint64_t targets = 0;
};

struct GenerateOptions {
  std::uint32_t max_tokens = 200;
  bool greedy = false;
  double temperature = 0.8;
  std::uint32_t top_k = 40;
  std::uint64_t seed = 1;
  std::int32_t stop_token = -1;  // none
};

class Model {
 public:
  virtual ~Model() = default;

  // Parameters that travel, in manifest order, by their Hugging Face names. Tied ones stand once.
  virtual const std::vector<tensor::TensorSpec>& Parameters() const = 0;
  // The bytes of parameter `index`, contiguous, native dtype; written by downloads, read by uploads.
  virtual std::span<std::byte> ParameterBytes(std::uint32_t index) = 0;
  // Text of a config.json with which from_pretrained loads the saved weights.
  virtual std::string ConfigJson() const = 0;
  virtual std::uint32_t MaxPositions() const = 0;
  virtual std::uint32_t VocabularySize() const = 0;

  virtual Status InitFromSeed(std::uint64_t seed) = 0;
  // The same weights, batches and options give the same bytes. kCancelled when `stop` is requested.
  virtual Result<TrainResult> Train(BatchSource& batches, const TrainOptions& options,
                                    const ProgressFn& progress, std::stop_token stop) = 0;
  virtual Result<EvalResult> Evaluate(BatchSource& batches, std::uint32_t threads, const ProgressFn& progress,
                                      std::stop_token stop) = 0;
  // Calls `emit` for each new token; it returns false to stop.
  virtual Status Generate(const std::vector<std::int32_t>& prompt, const GenerateOptions& options,
                          const std::function<bool(std::int32_t)>& emit) = 0;
};

class Module {
 public:
  virtual ~Module() = default;
  virtual std::string Description() const = 0;  // "libtorch 1.13.1, OpenBLAS"
  virtual Result<std::unique_ptr<Model>> CreateModel(const ModelSpec& spec) = 0;
};

// The one symbol of the shared object; `abi` must equal kModuleAbi or it returns null.
constexpr int kModuleAbi = 1;
constexpr const char* kModuleEntry = "TributaryTrainModule";
using ModuleEntryFn = Module* (*)(int abi);

// Loads the module once per process (later calls give the same one). Looks at `path` if not empty, else
// $TRIBUTARY_TRAIN_MODULE, else ../lib/libtributary-train.so beside the running binary. The error says where it
// looked and which package is missing. Thread-safe.
Result<Module*> LoadTrainModule(const std::string& path = "");

}  // namespace tributary::train
