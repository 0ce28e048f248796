// A job file: what to train, with whom, on what, and how bytes move.
//
// A Job is a plain value. ParseJob turns YAML text into a checked Job or into one error that names file, line,
// key, what stood there and what was expected; unknown keys, wrong types and impossible values are refused.
// The keys, with types, defaults and meanings: schema.h and docs/job-file.md.
// Job text is what travels (the coordinator and trainers parse the same text), so both sides see one truth.
// Threads: pure functions. Sizes in bytes, times in milliseconds.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "tributary/base/result.h"
#include "tributary/base/units.h"
#include "tributary/tensor/dtype.h"
#include "tributary/tensor/layout.h"

namespace tributary::job {

constexpr std::uint64_t kMaxJobBytes = 1u << 20;

struct Participants {
  std::uint32_t min = 1;          // seats filled before round 1 starts
  double fraction = 1.0;          // of the seats, selected each round, in (0, 1]; see SelectedSeats
  std::uint32_t quorum = 1;       // updates needed at the round's end
  Duration round_deadline{30 * 60 * 1000};  // without progress of a seat, which is then dropped
  std::uint64_t seed = 1;         // of the selection
};

enum class FillKind { kRandom, kConstant, kTiled };

// Named tensors, of equal size or as a published model has them; "training" adds a number to every element.
struct SyntheticModel {
  std::string shapes;          // of a published model (shapes.h); empty: `tensors` of equal size
  std::uint64_t bytes = 0;
  std::uint32_t tensors = 1;
  tensor::DType dtype = tensor::DType::kF32;
  FillKind fill = FillKind::kRandom;
  std::uint64_t distinct = 0;  // of kTiled
};

struct Model {
  std::string family;       // "synthetic", "gpt2", "resnet18"; empty when there is a `source` or a `script`
  std::string script;       // a TorchScript file to train, at this path on every trainer's machine, or empty
  std::string source;       // a Hugging Face directory to start from, or empty
  // The object that `source` was imported as, and its digest: "NAME" or "NAME@SHA256". Set where the directory is at hand
  // (tributary run, submit, model import); trainers read this.
  std::string object;
  std::uint64_t seed = 1;
  SyntheticModel synthetic;
  // gpt2
  std::uint32_t layers = 12;
  std::uint32_t heads = 12;
  std::uint32_t hidden = 768;
  std::uint32_t positions = 1024;
  double initializer_range = 0.02;  // narrow models learn faster from a wider one
  std::uint32_t vocabulary = 0;   // 0: the tokenizer's
  std::string tokenizer;          // a directory or tokenizer.json; empty: bytes, or tokenizer_object
  std::string tokenizer_object;   // "NAME@SHA256": the files of one in the blob-store, as an import puts them there, or empty
  bool tokenizer_given = false;   // the job says which, so that model.source's own is not used
  // resnet18
  std::string stem = "cifar";     // or "imagenet"
  std::uint32_t classes = 10;
};

// Low-rank adapters in place of the weights: they alone are trained and sent.
struct Adapter {
  std::uint32_t rank = 0;  // 0: none
  std::string source;      // a PEFT directory to start from, or empty
  std::string object;      // what `source` was imported as, "NAME" or "NAME@SHA256", or another sealed object of adapters; trainers read this
  double alpha = 16;
  double dropout = 0;
  std::vector<std::string> targets;  // layers by the end of their name; empty: the family's usual ones
  bool pattern = false;              // targets[0] is a regular expression over whole names
  std::string quantization = "none"; // of the base: or "nf4"
  bool double_quantization = false;
};

enum class PartitionScheme { kIid, kDirichlet, kByFile };

struct Data {
  std::string name;               // the trainer's --data NAME=PATH says where it lies
  std::string format;             // "text", "imdb", "alpaca", "jsonl", "csv", "cifar10", "synthetic"
  std::string path;               // default place, for `tributary run`; a trainer's --data wins
  PartitionScheme scheme = PartitionScheme::kIid;
  std::uint32_t count = 1;        // seats
  std::uint64_t seed = 1;
  double alpha = 0.5;             // dirichlet
  double validation_fraction = 0.1;
  std::uint64_t samples = 0;      // documents or images taken; 0: every one
  std::uint64_t validation_samples = 0;  // most that one validation looks at; 0: every one
  std::optional<std::string> text_key;  // of jsonl and csv; unset: "text", or prompt and completion
  std::optional<bool> packing;    // unset: as the format has it
  std::string loss_on;            // "all", "completion"; empty: completion where there are completions
  bool augment = false;           // of images
};

struct Train {
  std::optional<double> add;      // synthetic: to every element; unset: the seat's ordinal + 1
  std::string mode = "epoch";     // or "step"
  std::uint32_t epochs = 1;
  std::uint64_t steps = 0;        // of mode step
  std::uint32_t batch_size = 16;
  std::uint32_t gradient_accumulation = 1;
  double learning_rate = 2e-4;
  double learning_rate_min = 0;
  std::string schedule = "cosine";  // "cosine-in-round", "cosine-by-round", "constant"
  std::uint64_t warmup = 0;       // optimizer steps
  double weight_decay = 0;
  double clip_norm = 1.0;
  std::uint32_t max_length = 128;
  std::string optimizer = "adamw";
  std::string optimizer_state = "fresh";  // or "kept": on the trainer's disk, from round to round
  std::string precision = "fp32"; // or "bf16"
  bool gradient_checkpointing = false;
  std::string device = "auto";    // or "cpu", "cuda"
  std::uint32_t threads = 1;
  Duration timeout{0};            // of one local training; 0: the round's deadline alone
};

struct Strategy {
  std::string name = "fedavg";
  bool weights_by_samples = true;
  double max_norm = 0;  // L2, of an update's differences; 0: any
};

struct Transfer {
  std::string mode = "stream";    // or "container", "regular", "file"
  std::uint64_t chunk_bytes = tensor::kDefaultChunkBytes;
  tensor::Encoding encoding = tensor::Encoding::kNative;
  tensor::Encoding broadcast = tensor::Encoding::kNative;  // of the models that trainers download
  bool delta = false;             // encoded sections carry the difference to the round's model
  bool error_feedback = false;    // what an encoding lost is added to the next update
  bool deduplicate = true;        // slots that are equal to the base's do not cross the sockets
  Duration tensor_send_timeout{30'000};
  Duration streaming_read_timeout{300'000};
  Duration communication_timeout{300'000};
  Duration streaming_ack_wait{300'000};
  Duration wait_send_task_data_all_clients_timeout{0};  // 0: none
  // Timeouts that the job names are what they are; the others are the least, and grow with how slow a line is measured to be.
  bool names_tensor_send_timeout = false;
  bool names_streaming_read_timeout = false;
  bool names_communication_timeout = false;
  bool names_streaming_ack_wait = false;

  // How the mode cuts a model into messages; file streams chunks, through a file at the trainer.
  tensor::Cut cut() const {
    return mode == "container" ? tensor::Cut::kTensors : mode == "regular" ? tensor::Cut::kSections : tensor::Cut::kChunks;
  }
};

struct Checkpoint {
  std::uint32_t every = 0;  // rounds; 0: only the last is kept
  std::uint32_t keep = 1;
  std::uint64_t max_shard_bytes = 0;  // of one file of exported weights; 0: one file
  bool export_model = true;  // into the work directory, at the end of `tributary run`
  bool best = false;        // the model of the lowest val_loss is kept, too
};

struct Job {
  std::string name;
  std::uint32_t rounds = 1;
  Participants participants;
  bool validate = false;          // tasks: [train, validate]
  Model model;
  Data data;
  Train train;
  Adapter adapter;
  Strategy strategy;
  Transfer transfer;
  Checkpoint checkpoint;

  bool synthetic() const { return model.family == "synthetic"; }
  // Whether its exported model can be given to tributary generate.
  bool writes_text() const { return !synthetic() && !adapted() && model.family != "resnet18" && model.script.empty(); }
  bool adapted() const { return adapter.rank > 0; }
  // False where what is trained on, if anything, is made up.
  bool reads_data() const { return !synthetic() && data.format != "synthetic"; }
};

// One `--set path.to.key=value`.
struct Override {
  std::string path;
  std::string value;
};

// A path of "a.b" and a value in YAML flow syntax ("3", "[train, validate]", "{r: 8}"); the value null removes the key.
// `text` is what follows --set.
Result<Override> ParseOverride(const std::string& text);

// `file` names the text in errors. Overrides are applied before checking; an error in one names --set.
Result<Job> ParseJob(const std::string& text, const std::string& file, const std::vector<Override>& overrides = {});
// Reads the file (at most kMaxJobBytes) and parses it.
Result<Job> ReadJobFile(const std::string& path, const std::vector<Override>& overrides = {});
// The text of a job file, for sending; checked for size alone.
Result<std::string> ReadJobText(const std::string& path);
// The text with overrides merged in, for sending; REQUIRES that ParseJob accepts the same.
Result<std::string> MergeOverrides(const std::string& text, const std::string& file,
                                   const std::vector<Override>& overrides);

// Tensors of a synthetic model: those of `shapes`, or "tensor.0000" ... of equal size; the last takes the remainder.
Result<tensor::Layout> SyntheticLayout(const SyntheticModel& model, std::uint64_t chunk_bytes, tensor::Cut cut = tensor::Cut::kChunks);

// How many of `seats` a round selects: fraction x seats rounded up, at least 1.
std::uint32_t SelectedSeats(const Participants& participants, std::uint32_t seats);
// What a seat's local training of a synthetic model adds to every element.
inline float SyntheticConstant(const Train& train, std::uint32_t ordinal) {
  return train.add ? static_cast<float>(*train.add) : static_cast<float>(ordinal + 1);
}

}  // namespace tributary::job
