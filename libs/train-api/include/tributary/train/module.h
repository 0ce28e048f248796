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

// Low-rank adapters (Hu et al. 2021) on linear layers: W x + alpha / rank * B A x, of which only A and B are trained.
struct LoraOptions {
  std::uint32_t rank = 0;  // 0: no adapter, every weight is trained
  double alpha = 16;
  double dropout = 0;      // of x on its way into A, in training
  // Layers by the end of their name ("q_proj"), by whole name, or by one regular expression over whole names, as in PEFT's
  // target_modules. Empty: the family's usual ones.
  std::vector<std::string> targets = {};
  bool pattern = false;    // targets[0] is a regular expression
};

enum class Precision : std::uint8_t { kFp32, kBf16 };  // of matrix products; trained weights and sums stay fp32
enum class Quantization : std::uint8_t { kNone, kNf4, kNf4Double };  // of the linear layers of a base that is not trained
enum class Device : std::uint8_t { kAuto, kCpu, kCuda };  // kAuto: the first GPU where libtorch sees one; kCuda: kUnavailable without

// What defines a model before it has weights. `config_json` is the text of a Hugging Face config.json
// ("model_type": "gpt2" ...); families are looked up by model_type. "torchscript" runs code of a file on this machine: a config.json
// that came from a peer is looked at before it is given here.
struct ModelSpec {
  std::string config_json;
  LoraOptions lora = {};
  Quantization quantization = Quantization::kNone;  // needs lora
  Precision precision = Precision::kFp32;
  bool gradient_checkpointing = false;  // computes each block twice to hold one block's activations
  Device device = Device::kCpu;
};

// Sequences: token ids, `rows` x `columns`, row-major. Position i predicts position i + 1; ids of
// kIgnore in `targets` carry no loss. `targets` are already shifted: targets[i] is what tokens[i] predicts.
// Images (channels > 0): `pixels`, rows x channels x height x width, row-major, normalized; one label a row in `targets`; no tokens.
struct Batch {
  std::uint32_t rows = 0;
  std::uint32_t columns = 0;
  std::vector<std::int32_t> tokens;
  std::vector<std::int32_t> targets;
  std::vector<float> pixels = {};
  std::uint32_t channels = 0;
  std::uint32_t height = 0;
  std::uint32_t width = 0;
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

// Where an optimizer's state is kept from one local training to the next; called on the thread that trains, Load before the first step
// and Save after the last. `moments` are the means of gradients and of their squares, fp32, one pair of arrays for each trained
// parameter (first, second, first, second ...); SGD has none.
class OptimizerStore {
 public:
  virtual ~OptimizerStore() = default;
  // Fills the arrays and gives the steps that they have seen; 0: there is no state, what stands in them then counts for nothing.
  virtual Result<std::uint64_t> Load(const std::vector<std::span<float>>& moments) = 0;
  virtual Status Save(std::uint64_t steps, const std::vector<std::span<float>>& moments) = 0;
};

struct TrainOptions {
  std::uint64_t steps = 0;  // optimizer steps; > 0
  std::uint32_t gradient_accumulation = 1;
  Optimizer optimizer = Optimizer::kAdamW;
  double learning_rate = 2e-4;
  double weight_decay = 0;
  double clip_norm = 1.0;  // 0: off
  double learning_rate_min = 0;  // where a cosine ends
  Schedule schedule = Schedule::kCosine;
  // The schedule runs over the whole job: this training is steps [schedule_begin, +steps) of schedule_steps.
  std::uint64_t schedule_begin = 0;
  std::uint64_t schedule_steps = 0;
  std::uint64_t warmup_steps = 0;
  std::uint64_t seed = 1;
  std::uint32_t threads = 1;  // of libtorch; 1 keeps sums in one order
  OptimizerStore* optimizer_store = nullptr;  // null: the optimizer begins anew; outlives the training
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
  std::uint64_t correct = 0;  // targets that the model thinks likeliest
  bool counts_correct = true; // false: the model gives a loss alone
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

  // Parameters that travel, in manifest order, by their Hugging Face names; with LoRA the adapters alone, by PEFT's names.
  // Tied ones stand once.
  virtual const std::vector<tensor::TensorSpec>& Parameters() const = 0;
  // The bytes of parameter `index`, contiguous, native dtype; written by downloads, read by uploads. This process's memory, wherever the model
  // computes: what is done next takes what is written here, so bytes are asked for anew after each training, evaluation and generation.
  virtual std::span<std::byte> ParameterBytes(std::uint32_t index) = 0;
  // All weights that a model directory or a first model holds, adapters not among them; without LoRA they are Parameters().
  // Shapes and names; the dtype is what the model computes with, others are converted.
  virtual const std::vector<tensor::TensorSpec>& Weights() const = 0;
  // Room for the bytes of weight `index` as they are stored (f32, f16 or bf16): the weight itself where nothing is to be converted.
  // WeightStored takes them over; until then the room of each weight begun is held. kInvalidArgument for other dtypes.
  virtual Result<std::span<std::byte>> WeightRoom(std::uint32_t index, tensor::DType stored) = 0;
  virtual Status WeightStored(std::uint32_t index) = 0;
  // Text of a config.json with which from_pretrained loads the saved weights.
  virtual std::string ConfigJson() const = 0;
  // Text of PEFT's adapter_config.json; empty without LoRA.
  virtual std::string AdapterConfigJson() const = 0;
  virtual std::string DeviceName() const = 0;        // where it computes: "cpu" or "cuda:0"
  virtual std::uint32_t MaxPositions() const = 0;    // 0: not a language model
  virtual std::uint32_t VocabularySize() const = 0;  // 0: not a language model

  // First values of all weights, adapters among them; of a TorchScript module those of its file, whatever the seed.
  virtual Status InitFromSeed(std::uint64_t seed) = 0;
  // First values of the adapters alone, with which the model computes what its base does.
  virtual Status InitAdapter(std::uint64_t seed) = 0;
  // On the processor the same weights, batches and options give the same bytes. kResourceExhausted names the batch size where a GPU's memory
  // does not suffice; kCancelled when `stop` is requested.
  virtual Result<TrainResult> Train(BatchSource& batches, const TrainOptions& options,
                                    const ProgressFn& progress, std::stop_token stop) = 0;
  virtual Result<EvalResult> Evaluate(BatchSource& batches, std::uint32_t threads, const ProgressFn& progress,
                                      std::stop_token stop) = 0;
  // Sum of log-probabilities of each row's targets, nats, and how many they are.
  struct RowScore {
    double log_probability = 0;
    std::uint64_t targets = 0;
  };
  virtual Result<std::vector<RowScore>> Score(const Batch& batch, std::uint32_t threads) = 0;
  // Logits at every position of one sequence, or of every image of a batch: [positions, vocabulary], row-major.
  virtual Result<std::vector<float>> Logits(const Batch& batch) = 0;
  // Calls `emit` for each new token; it returns false to stop.
  virtual Status Generate(const std::vector<std::int32_t>& prompt, const GenerateOptions& options,
                          const std::function<bool(std::int32_t)>& emit) = 0;
};

class Module {
 public:
  virtual ~Module() = default;
  virtual std::string Description() const = 0;  // "libtorch 1.13.1, OpenBLAS"
  virtual Result<std::unique_ptr<Model>> CreateModel(const ModelSpec& spec) = 0;
  // The most that libtorch has held of a GPU's memory, in use or ready to be, since the process began; 0: none. Thread-safe.
  virtual std::uint64_t DevicePeakBytes() const = 0;
};

// The one symbol of the shared object; `abi` must equal kModuleAbi or it returns null.
constexpr int kModuleAbi = 4;
constexpr const char* kModuleEntry = "TributaryTrainModule";
using ModuleEntryFn = Module* (*)(int abi);

// Loads the module once per process (later calls give the same one). Looks at `path` if not empty, else
// $TRIBUTARY_TRAIN_MODULE, else ../lib/libtributary-train.so beside the running binary. The error says where it
// looked and which package is missing. Thread-safe.
Result<Module*> LoadTrainModule(const std::string& path = "");

}  // namespace tributary::train
