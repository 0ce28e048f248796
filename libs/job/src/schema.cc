#include "tributary/job/schema.h"

#include <algorithm>

#include "scalar.h"
#include "schema_row.h"
#include "tributary/base/names.h"
#include "tributary/base/suggest.h"

namespace tributary::job {
namespace {

using namespace std::chrono_literals;

constexpr std::uint32_t kMillion = 1'000'000;
constexpr std::uint64_t kMaxModelBytes = 64ULL << 40;
constexpr Duration kShortest = 100ms;
constexpr Duration kLongest = 24h * 30;
constexpr std::string_view kTimeout = "a time of 100ms to 720h, as in 30s or 5m";
constexpr std::string_view kSeed = "a whole number of 0 to 18446744073709551615";
constexpr std::string_view kNameText =
    "1 to 63 letters, digits, '.', '_' or '-', beginning with a letter or digit";

bool ReadTasks(const Node& node, Job& job) {
  if (node.kind != Node::Kind::kList) return false;
  int train = 0;
  int validate = 0;
  for (const Node& item : node.items) {
    std::string word;
    if (!ReadWord(item, word, "train|validate")) return false;
    ++(word == "train" ? train : validate);
  }
  job.validate = validate == 1;
  return train == 1 && validate <= 1;
}

bool ReadSize(const Node& node, Job& job) {
  struct Size {
    std::string_view name;
    std::uint32_t layers, heads, hidden;
  };
  // The four published sizes of GPT-2.
  static constexpr Size kSizes[] = {
      {"small", 12, 12, 768}, {"medium", 24, 16, 1024}, {"large", 36, 20, 1280}, {"xl", 48, 25, 1600}};
  for (const Size& size : kSizes) {
    if (node.kind != Node::Kind::kScalar || node.text != size.name) continue;
    job.model.layers = size.layers;
    job.model.heads = size.heads;
    job.model.hidden = size.hidden;
    return true;
  }
  return false;
}

bool ReadEncoding(const Node& node, tensor::Encoding& encoding) {
  std::string word;
  if (!ReadWord(node, word, "native|fp16|bf16|int8|nf4")) return false;
  encoding = tensor::ParseEncoding(word).value();
  return true;
}

bool ReadDType(const Node& node, Job& job) {
  std::string word;
  if (!ReadWord(node, word, "f32|f16|bf16")) return false;
  job.model.synthetic.dtype = tensor::ParseDType(word).value();
  return true;
}

bool ReadFill(const Node& node, Job& job) {
  std::string word;
  if (!ReadWord(node, word, "random|constant|tiled")) return false;
  job.model.synthetic.fill = word == "random"     ? FillKind::kRandom
                             : word == "constant" ? FillKind::kConstant
                                                  : FillKind::kTiled;
  return true;
}

bool ReadScheme(const Node& node, Job& job) {
  std::string word;
  if (!ReadWord(node, word, "iid|dirichlet|by-file")) return false;
  job.data.scheme = word == "iid"         ? PartitionScheme::kIid
                    : word == "dirichlet" ? PartitionScheme::kDirichlet
                                          : PartitionScheme::kByFile;
  return true;
}

bool ReadPacking(const Node& node, Job& job) {
  bool packing = false;
  if (!ReadBool(node, packing)) return false;
  job.data.packing = packing;
  return true;
}

bool ReadAdd(const Node& node, Job& job) {
  if (node.kind == Node::Kind::kScalar && node.text == "seat") {
    job.train.add.reset();
    return true;
  }
  double add = 0;
  if (!ReadDouble(node, add, -1e6, 1e6)) return false;
  job.train.add = add;
  return true;
}

bool ReadTargets(const Node& node, Job& job) {
  job.adapter.targets.clear();
  job.adapter.pattern = node.kind == Node::Kind::kScalar;
  if (job.adapter.pattern) return ReadText(node, job.adapter.targets.emplace_back(), 1024);
  if (node.kind != Node::Kind::kList || node.items.empty() || node.items.size() > 64) return false;
  for (const Node& item : node.items) {
    if (!ReadText(item, job.adapter.targets.emplace_back(), 255)) return false;
  }
  return true;
}

bool ReadTokenizer(const Node& node, Job& job) {
  constexpr std::string_view kObject = "object:";
  std::string text;
  if (!ReadText(node, text)) return false;
  job.model.tokenizer_given = true;
  job.model.tokenizer.clear();
  job.model.tokenizer_object.clear();
  if (text == "bytes") return true;
  if (!text.starts_with(kObject)) {
    job.model.tokenizer = std::move(text);
    return true;
  }
  // Pinned by its digest: a trainer is told which files it may take, not where some may lie.
  text.erase(0, kObject.size());
  const std::size_t at = text.find('@');
  if (at == std::string::npos || !ObjectName::Parse(text.substr(0, at)).ok()) return false;
  const std::string digest = text.substr(at + 1);
  if (digest.size() != 64 || digest.find_first_not_of("0123456789abcdef") != std::string::npos) return false;
  job.model.tokenizer_object = std::move(text);
  return true;
}

// A word with one value in this release: nothing to keep.
template <const char* kWord>
bool ReadOnly(const Node& node, Job&) {
  return node.kind == Node::Kind::kScalar && node.text == kWord;
}
constexpr char kNll[] = "nll";
template <bool kValue>
bool ReadOnlyBool(const Node& node, Job&) {
  bool value = !kValue;
  return ReadBool(node, value) && value == kValue;
}

#define READ [](const Node& n, Job& j)
constexpr For kEvery = For::kEvery;
constexpr For kGpt2 = For::kGpt2;
constexpr For kSynthetic = For::kSynthetic;

const Row kRows[] = {
    {"name", kNameText, "", "names the job, and its id, folder and objects after it", "", kEvery,
     READ { return ReadName(n, j.name); }},
    {"rounds", "a whole number of 1 to 1000000", "1", "how often the model is trained and averaged", "", kEvery,
     READ { return ReadUint32(n, j.rounds, 1, kMillion); }},
    {"tasks", "[train] or [train, validate]", "[train]",
     "what each round does; validate measures the averaged model on each seat's held-out part", "", kEvery,
     ReadTasks},

    {"participants.min", "a whole number of 1 to 65536", "data.partition.count",
     "seats that are filled before the first round starts", "", kEvery,
     READ { return ReadUint32(n, j.participants.min, 1, 65536); }},
    {"participants.fraction", "a number over 0 and up to 1", "1.0",
     "share of the seats that each round selects, rounded up", "", kEvery,
     READ { return ReadDouble(n, j.participants.fraction, 0, 1) && j.participants.fraction > 0; }},
    {"participants.quorum", "a whole number of 1 to 65536", "1",
     "updates that a round needs; with fewer at its end the job fails", "", kEvery,
     READ { return ReadUint32(n, j.participants.quorum, 1, 65536); }},
    {"participants.round_deadline", kTimeout, "30m", "a seat that makes no progress for this long is dropped", "",
     kEvery, READ { return ReadDuration(n, j.participants.round_deadline, kShortest, kLongest); }},
    {"participants.seed", kSeed, "1", "of the selection", "", kEvery,
     READ { return ReadUint64(n, j.participants.seed); }},

    {"model.family", "gpt2, resnet18 or synthetic", "", "the architecture; left out where model.source or model.script says it", "", kEvery,
     READ { return ReadWord(n, j.model.family, "gpt2|resnet18|synthetic"); }},
    {"model.seed", kSeed, "1", "of the first weights", "", kEvery, READ { return ReadUint64(n, j.model.seed); }},
    {"model.source", "a path of 1 to 4096 bytes", "",
     "a Hugging Face directory to start from: config.json and safetensors; in place of model.family", "", kGpt2,
     READ { return ReadText(n, j.model.source); }},
    {"model.script", "a path of 1 to 4096 bytes", "",
     "a TorchScript file whose forward gives the loss (models.md), at this path on every trainer's machine; in place of model.family", "", kGpt2,
     READ { return ReadText(n, j.model.script); }},
    {"model.object", "an object's name, or NAME@DIGEST", "",
     "the sealed model to start from, with the tokenizer beside it (models.md); tributary run and "
     "tributary submit set it to what model.source was imported as, but submit takes one that is given", "", kGpt2,
     READ { return ReadText(n, j.model.object, 1024); }},
    {"model.format", "pytorch", "pytorch", "of the directory that model.source names: safetensors", "numpy", kGpt2,
     READ { std::string word; (void)j; return ReadWord(n, word, "pytorch"); }},
    {"model.stem", "cifar or imagenet", "cifar", "of resnet18: 3x3 without pooling, or 7x7 with it", "", kGpt2,
     READ { return ReadWord(n, j.model.stem, "cifar|imagenet"); }},
    {"model.classes", "a whole number of 2 to 100000", "10", "labels of resnet18", "", kGpt2,
     READ { return ReadUint32(n, j.model.classes, 2, 100000); }},
    {"model.size", "small, medium, large or xl", "small", "sets layers, heads and hidden to a published size", "",
     kGpt2, ReadSize},
    {"model.layers", "a whole number of 1 to 1024", "12", "transformer blocks", "", kGpt2,
     READ { return ReadUint32(n, j.model.layers, 1, 1024); }},
    {"model.heads", "a whole number of 1 to 1024", "12", "attention heads; divides hidden", "", kGpt2,
     READ { return ReadUint32(n, j.model.heads, 1, 1024); }},
    {"model.hidden", "a whole number of 1 to 65536", "768", "width of the residual stream", "", kGpt2,
     READ { return ReadUint32(n, j.model.hidden, 1, 65536); }},
    {"model.initializer_range", "a number of 0.000001 to 1", "0.02", "standard deviation of the first weights", "", kGpt2,
     READ { return ReadDouble(n, j.model.initializer_range, 1e-6, 1); }},
    {"model.positions", "a whole number of 2 to 1048576", "1024", "longest sequence", "", kGpt2,
     READ { return ReadUint32(n, j.model.positions, 2, 1u << 20); }},
    {"model.vocabulary", "a whole number of 0 to 10000000", "0", "token ids; 0: as many as the tokenizer has", "",
     kGpt2, READ { return ReadUint32(n, j.model.vocabulary, 0, 10 * kMillion); }},
    {"model.tokenizer", "bytes, a directory, a tokenizer.json, or object:NAME@DIGEST", "that of model.source or model.object, else bytes",
     "how text becomes tokens; a path is of each trainer's machine, bytes needs no file, an object is one that an import made (models.md)", "", kGpt2,
     ReadTokenizer},
    {"model.shapes", "llama-3.1-8b, llama-3.1-70b or gpt2-large", "",
     "the tensors of a published model, by name and shape, instead of model.bytes and model.tensors", "", kSynthetic,
     READ { return ReadWord(n, j.model.synthetic.shapes, "llama-3.1-8b|llama-3.1-70b|gpt2-large"); }},
    {"model.bytes", "a size of 1B to 64TiB, as in 1GiB", "", "of the whole model", "", kSynthetic,
     READ { return ReadBytes(n, j.model.synthetic.bytes, 1, kMaxModelBytes); }},
    {"model.tensors", "a whole number of 1 to 65536", "1", "equal parts that bytes is cut into", "", kSynthetic,
     READ { return ReadUint32(n, j.model.synthetic.tensors, 1, tensor::kMaxTensors); }},
    {"model.dtype", "f32, f16 or bf16", "f32", "of every element", "f64|i64|i32|u8|bool", kSynthetic, ReadDType},
    {"model.fill", "random, constant or tiled", "random",
     "the first values; tiled repeats model.distinct bytes of random ones", "", kSynthetic, ReadFill},
    {"model.distinct", "a size of 1B to 64TiB, as in 256MiB", "", "bytes that fill: tiled repeats", "", kSynthetic,
     READ { return ReadBytes(n, j.model.synthetic.distinct, 1, kMaxModelBytes); }},

    {"data.name", kNameText, "", "what a trainer's --data NAME=PATH gives a place to", "", kEvery,
     READ { return ReadName(n, j.data.name); }},
    {"data.format", "text, imdb, alpaca, jsonl, csv, cifar10 or synthetic", "", "what lies there (data.md); synthetic: nothing, it is made up", "",
     kEvery, READ { return ReadWord(n, j.data.format, "text|imdb|alpaca|jsonl|csv|cifar10|synthetic"); }},
    {"data.path", "a path of 1 to 4096 bytes", "", "where it lies, for tributary run; a trainer's own --data tells it otherwise", "",
     kGpt2, READ { return ReadText(n, j.data.path); }},
    {"data.text_key", "1 to 4096 bytes", "text", "key of jsonl or column of csv that holds the text", "", kGpt2,
     READ { return ReadText(n, j.data.text_key.emplace()); }},
    {"data.packing", "true or false", "true, of prompts and completions false",
     "true: documents end to end, cut into windows of train.max_length; false: a document a row, cut off there", "", kGpt2, ReadPacking},
    {"data.loss_on", "completion or all", "completion, where there are completions", "which tokens are learned", "", kGpt2,
     READ { return ReadWord(n, j.data.loss_on, "completion|all"); }},
    {"data.samples", "a whole number of 0 to 1000000000000", "0",
     "documents or images taken of the whole before it is dealt, by data.partition.seed; 0: every one; synthetic: how many images are made up", "",
     kGpt2, READ { return ReadUint64(n, j.data.samples, 0, 1'000'000ull * kMillion); }},
    {"data.augment", "true or false", "false", "cuts training images at random out of a border of 4 pixels and mirrors half of them", "", kGpt2,
     READ { return ReadBool(n, j.data.augment); }},
    {"data.validation_fraction", "a number of 0 up to 0.9", "0.1",
     "share of each seat's part that is held out; imdb and cifar10 hold out their own test data where it is there", "", kGpt2,
     READ { return ReadDouble(n, j.data.validation_fraction, 0, 0.9); }},
    {"data.validation_samples", "a whole number of 0 to 1000000000000", "0",
     "most samples of a seat that one validation looks at, evenly spread; 0: every one", "", kGpt2,
     READ { return ReadUint64(n, j.data.validation_samples, 0, 1'000'000ull * kMillion); }},
    {"data.partition.scheme", "iid, dirichlet or by-file", "iid", "how the data is dealt out to the seats", "", kGpt2, ReadScheme},
    {"data.partition.count", "a whole number of 1 to 65536", "participants.min", "seats; further trainers are spares",
     "", kEvery, READ { return ReadUint32(n, j.data.count, 1, 65536); }},
    {"data.partition.seed", kSeed, "1", "of the dealing", "", kGpt2, READ { return ReadUint64(n, j.data.seed); }},
    {"data.partition.alpha", "a number of 0.001 to 1000000", "0.5", "of scheme dirichlet: the lower, the more seats differ in their labels", "",
     kGpt2, READ { return ReadDouble(n, j.data.alpha, 0.001, kMillion); }},

    {"train.mode", "epoch or step", "epoch", "what a local training counts", "", kGpt2,
     READ { return ReadWord(n, j.train.mode, "epoch|step"); }},
    {"train.epochs", "a whole number of 1 to 1000000", "1", "passes over the seat's part, of mode epoch", "", kGpt2,
     READ { return ReadUint32(n, j.train.epochs, 1, kMillion); }},
    {"train.steps", "a whole number of 1 to 1000000000", "", "optimizer steps, of mode step", "", kGpt2,
     READ { return ReadUint64(n, j.train.steps, 1, 1000ull * kMillion); }},
    {"train.batch_size", "a whole number of 1 to 65536", "16", "sequences of one forward pass", "", kGpt2,
     READ { return ReadUint32(n, j.train.batch_size, 1, 65536); }},
    {"train.gradient_accumulation", "a whole number of 1 to 65536", "1", "batches of one optimizer step", "", kGpt2,
     READ { return ReadUint32(n, j.train.gradient_accumulation, 1, 65536); }},
    {"train.loss", "nll", "nll", "mean negative log-likelihood of the next token", "", kGpt2, ReadOnly<kNll>},
    {"train.learning_rate", "a number over 0 and up to 100", "2e-4", "of the optimizer, at its highest", "", kGpt2,
     READ { return ReadDouble(n, j.train.learning_rate, 0, 100) && j.train.learning_rate > 0; }},
    {"train.learning_rate_min", "a number of 0 to 100", "0", "where a cosine ends; at most train.learning_rate", "", kGpt2,
     READ { return ReadDouble(n, j.train.learning_rate_min, 0, 100); }},
    {"train.schedule", "cosine, cosine-in-round, cosine-by-round or constant", "cosine",
     "of the learning rate: over the steps of all rounds, anew in each round, or from round to round and constant within one", "", kGpt2,
     READ { return ReadWord(n, j.train.schedule, "cosine|cosine-in-round|cosine-by-round|constant"); }},
    {"train.warmup", "a whole number of 0 to 1000000000", "0", "optimizer steps of linear rise", "", kGpt2,
     READ { return ReadUint64(n, j.train.warmup, 0, 1000ull * kMillion); }},
    {"train.weight_decay", "a number of 0 to 100", "0", "decoupled, as in AdamW", "", kGpt2,
     READ { return ReadDouble(n, j.train.weight_decay, 0, 100); }},
    {"train.clip_norm", "a number of 0 to 1000000", "1.0", "largest norm of a gradient; 0: no clipping", "", kGpt2,
     READ { return ReadDouble(n, j.train.clip_norm, 0, kMillion); }},
    {"train.max_length", "a whole number of 2 to 1048576", "128", "tokens of a sequence; at most model.positions", "",
     kGpt2, READ { return ReadUint32(n, j.train.max_length, 2, 1u << 20); }},
    {"train.optimizer", "adamw, adam or sgd", "adamw", "what turns gradients into steps", "", kGpt2,
     READ { return ReadWord(n, j.train.optimizer, "adamw|adam|sgd"); }},
    {"train.optimizer_state", "fresh or kept", "fresh",
     "whether Adam's moments begin anew in every round, or stay on the trainer's disk from the seat's round before", "", kGpt2,
     READ { return ReadWord(n, j.train.optimizer_state, "fresh|kept"); }},
    {"train.precision", "fp32 or bf16", "fp32", "of matrix products; trained weights, their sums and what is sent stay fp32", "", kGpt2,
     READ { return ReadWord(n, j.train.precision, "fp32|bf16"); }},
    {"train.gradient_checkpointing", "true or false", "false", "computes activations twice to hold fewer", "", kGpt2,
     READ { return ReadBool(n, j.train.gradient_checkpointing); }},
    {"train.device", "auto, cpu or cuda", "auto", "where the local training runs; auto: a GPU where libtorch and the machine have one", "", kGpt2,
     READ { return ReadWord(n, j.train.device, "auto|cpu|cuda"); }},
    {"train.threads", "a whole number of 1 to 256", "1", "of libtorch; 1 keeps sums in one order", "", kGpt2,
     READ { return ReadUint32(n, j.train.threads, 1, 256); }},
    {"train.timeout", "a time of up to 720h, as in 30m; 0: none", "0",
     "longest local training; 0: the round's deadline alone", "", kGpt2,
     READ { return ReadDuration(n, j.train.timeout, Duration(0), kLongest); }},

    {"train.add", "seat, or a number of -1000000 to 1000000", "seat",
     "what local training adds to every element; seat: 1 for the first seat, 2 for the second, and so on; 0: tensors are only exchanged",
     "", kSynthetic, ReadAdd},

    {"adapter.source", "a path of 1 to 4096 bytes", "",
     "a PEFT directory whose adapters the job starts from: adapter_config.json and adapter_model.safetensors", "", kGpt2,
     READ { return ReadText(n, j.adapter.source); }},
    {"adapter.object", "an object's name, or NAME@DIGEST", "",
     "the sealed adapters to start from, an import's or those of a round that a job keeps; tributary run and tributary submit set it to what adapter.source "
     "was imported as, but submit takes one that is given", "", kGpt2,
     READ { return ReadText(n, j.adapter.object, 1024); }},
    {"adapter.lora.r", "a whole number of 1 to 4096", "", "rank of low-rank adapters, which are trained and sent in place of the weights", "", kGpt2,
     READ { return ReadUint32(n, j.adapter.rank, 1, 4096); }},
    {"adapter.lora.alpha", "a number over 0 and up to 1000000", "16", "adapters are scaled by alpha / r", "", kGpt2,
     READ { return ReadDouble(n, j.adapter.alpha, 0, kMillion) && j.adapter.alpha > 0; }},
    {"adapter.lora.dropout", "a number of 0 up to 0.99", "0", "share of an adapter's input that is dropped in training", "", kGpt2,
     READ { return ReadDouble(n, j.adapter.dropout, 0, 0.99); }},
    {"adapter.lora.targets", "a list of layers, as in [q_proj, v_proj], or one regular expression over whole names", "the family's",
     "linear layers that adapters go on", "", kGpt2, ReadTargets},
    {"adapter.base.quantization", "none or nf4", "none", "of the linear layers below the adapters: 4-bit NormalFloat in blocks of 64", "", kGpt2,
     READ { return ReadWord(n, j.adapter.quantization, "none|nf4"); }},
    {"adapter.base.double_quantization", "true or false", "false", "stores the scales of nf4 in 8 bits", "", kGpt2,
     READ { return ReadBool(n, j.adapter.double_quantization); }},

    {"strategy.name", "fedavg", "fedavg", "how updates become the next model", "", kEvery,
     READ { return ReadWord(n, j.strategy.name, "fedavg"); }},
    {"strategy.weights", "samples or equal", "samples", "what an update weighs in the mean", "", kEvery,
     READ {
       std::string word;
       if (!ReadWord(n, word, "samples|equal")) return false;
       j.strategy.weights_by_samples = word == "samples";
       return true;
     }},
    {"strategy.max_norm", "a number of 0 to 1e30; 0: any", "0",
     "largest L2 norm of an update's difference to the model; one above it is left out of the round, needs transfer.delta", "", kEvery,
     READ { return ReadDouble(n, j.strategy.max_norm, 0, 1e30); }},
    {"strategy.same_init_model", "true", "true", "every seat starts from the same first model", "false", kEvery,
     ReadOnlyBool<true>},

    {"transfer.mode", "stream, container, file or regular", "stream",
     "how tensors cross the sockets: in chunks; for comparison one message a tensor, in chunks through a file, or all in one message", "",
     kEvery, READ { return ReadWord(n, j.transfer.mode, "stream|container|file|regular"); }},
    {"transfer.chunk_bytes", "a size of 4KiB to 4MiB, as in 1MiB", "1MiB", "of one slot in the model's own dtype", "",
     kEvery,
     READ { return ReadBytes(n, j.transfer.chunk_bytes, tensor::kMinChunkBytes, tensor::kMaxChunkBytes); }},
    {"transfer.encoding", "native, fp16, bf16, int8 or nf4", "native",
     "of the chunks of an update, where it makes them smaller (encodings.md)", "", kEvery,
     READ { return ReadEncoding(n, j.transfer.encoding); }},
    {"transfer.broadcast", "native, fp16, bf16, int8 or nf4", "native",
     "of the chunks of a model as trainers download it; the model itself stays native (encodings.md)", "", kEvery,
     READ { return ReadEncoding(n, j.transfer.broadcast); }},
    {"transfer.delta", "true or false", "false", "what is encoded is the difference to the round's model", "", kEvery,
     READ { return ReadBool(n, j.transfer.delta); }},
    {"transfer.error_feedback", "true or false", "false", "carries what an encoding lost into the next update", "", kEvery,
     READ { return ReadBool(n, j.transfer.error_feedback); }},
    {"transfer.deduplicate", "true or false", "true",
     "slots of an update that are equal to the model's are not sent: the store copies them", "", kEvery,
     READ { return ReadBool(n, j.transfer.deduplicate); }},
    {"transfer.tensor_send_timeout", kTimeout, "30s", "a sender without progress for this long gives up the try", "",
     kEvery, READ { return ReadDuration(n, j.transfer.tensor_send_timeout, kShortest, kLongest); }},
    {"transfer.streaming_read_timeout", kTimeout, "5m", "a reader without progress for this long gives up the try", "",
     kEvery, READ { return ReadDuration(n, j.transfer.streaming_read_timeout, kShortest, kLongest); }},
    {"transfer.communication_timeout", kTimeout, "5m", "a peer that is silent for this long counts as gone", "",
     kEvery, READ { return ReadDuration(n, j.transfer.communication_timeout, kShortest, kLongest); }},
    {"transfer.streaming_ack_wait", kTimeout, "5m", "a sender whose last bytes nobody acknowledges for this long gives up the try", "",
     kEvery, READ { return ReadDuration(n, j.transfer.streaming_ack_wait, kShortest, kLongest); }},
    {"transfer.wait_send_task_data_all_clients_timeout", "a time of up to 720h, as in 5m; 0: none", "0",
     "a seat that fetches the round's model and makes no progress for this long stops the job; 0: it is dropped at participants.round_deadline",
     "", kEvery,
     READ { return ReadDuration(n, j.transfer.wait_send_task_data_all_clients_timeout, Duration(0), kLongest); }},

    {"checkpoint.every", "a whole number of 0 to 1000000", "0",
     "rounds between models that are kept; 0: only the last is", "", kEvery,
     READ { return ReadUint32(n, j.checkpoint.every, 0, kMillion); }},
    {"checkpoint.keep", "a whole number of 1 to 1000000", "1", "how many of them are kept", "", kEvery,
     READ { return ReadUint32(n, j.checkpoint.keep, 1, kMillion); }},
    {"checkpoint.best", "true or false", "false", "keeps the model of the lowest val_loss, too, and exports it as model-best", "", kGpt2,
     READ { return ReadBool(n, j.checkpoint.best); }},
    {"checkpoint.max_shard_size", "a size of 1MB to 64TiB, as in 5GB", "one file",
     "cuts models that are written out into model-00001-of-0000N.safetensors of at most this and their index, as transformers' save_pretrained does", "", kEvery,
     READ { return ReadBytes(n, j.checkpoint.max_shard_bytes, 1'000'000, kMaxModelBytes); }},
    {"checkpoint.export", "true or false", "true",
     "writes the last model into the work directory of tributary run; false: it stays in the blob-store", "", kEvery,
     READ { return ReadBool(n, j.checkpoint.export_model); }},
};
#undef READ

const Row* FindRow(const std::string& path) {
  for (const Row& row : kRows) {
    if (row.path == path) return &row;
  }
  return nullptr;
}

// The words that may stand directly under `prefix` ("" or "train.").
std::vector<std::string> KeysUnder(const std::string& prefix) {
  std::vector<std::string> keys;
  for (const Row& row : kRows) {
    if (row.path.substr(0, prefix.size()) != prefix) continue;
    const std::string_view rest = row.path.substr(prefix.size());
    const std::string key(rest.substr(0, rest.find('.')));
    if (std::find(keys.begin(), keys.end(), key) == keys.end()) keys.push_back(key);
  }
  return keys;
}

Status Walk(const Node& map, const std::string& prefix, Job& job, Given& given) {
  for (const auto& [key, node] : map.entries) {
    const std::string path = prefix + key;
    given.Add(path, &node);
    const std::string place = given.Place(path);
    const bool dotted = key.find('.') != std::string::npos;
    if (const Row* row = dotted ? nullptr : FindRow(path); row != nullptr) {
      if (row->read == nullptr) {
        return MakeError(Code::kInvalidArgument, "{}: not in this release; expected {}", place, row->expected);
      }
      if (row->read(node, job)) continue;
      const bool later = node.kind == Node::Kind::kScalar && IsWord(node.text, row->later);
      return MakeError(Code::kInvalidArgument, "{}: got {}{}, expected {}", place, node.Got(),
                       later ? ", which is not in this release" : "", row->expected);
    }
    if (dotted || KeysUnder(path + ".").empty()) {
      return MakeError(Code::kInvalidArgument, "{}: unknown key{}", place, DidYouMean(key, KeysUnder(prefix)));
    }
    if (node.kind != Node::Kind::kMap) {
      return MakeError(Code::kInvalidArgument, "{}: got {}, expected a map of keys below it", place, node.Got());
    }
    TRIBUTARY_TRY(Walk(node, path + ".", job, given));
  }
  return Ok();
}

}  // namespace

std::span<const Row> Rows() { return kRows; }

Status ReadTree(const Node& root, Job& job, Given& given) {
  given.Add("", &root);
  if (root.kind != Node::Kind::kMap) {
    return MakeError(Code::kInvalidArgument, "{}: got {}, expected a map with name, rounds, model, data ...",
                     root.place, root.Got());
  }
  return Walk(root, "", job, given);
}

std::vector<KeyInfo> JobKeys() {
  std::vector<KeyInfo> keys;
  for (const Row& row : kRows) {
    keys.push_back({row.path, row.expected, row.fallback, row.meaning, row.read != nullptr});
  }
  return keys;
}

}  // namespace tributary::job
