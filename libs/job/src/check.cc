// Values that are right one by one and impossible together; defaults that depend on other keys.
#include <cmath>

#include "schema_row.h"
#include "tributary/encoding/encoding.h"
#include "tributary/job/needs.h"

namespace tributary::job {
namespace {

// One impossible value: `expected` tells the rule.
Error Impossible(const Given& given, const std::string& path, const std::string& expected) {
  return MakeError(Code::kInvalidArgument, "{}: {}, expected {}", given.Place(path), given.Got(path), expected);
}

// A script computes as it was written.
Status CheckScript(const Job& job, const Given& given) {
  if (job.adapted()) return Impossible(given, "adapter.lora.r", "it left out: a TorchScript module (model.script) takes no adapters");
  if (job.train.precision != "fp32") return Impossible(given, "train.precision", "fp32: a TorchScript module (model.script) computes as it was written");
  if (job.train.gradient_checkpointing) return Impossible(given, "train.gradient_checkpointing", "false: a TorchScript module (model.script) computes as it was written");
  return Ok();
}

// What says how large a model is belongs to the families that are made from it.
Status CheckShape(const Job& job, const Given& given) {
  const auto only = [&](const std::string& family, std::initializer_list<const char*> paths) -> Status {
    if (job.model.family == family) return Ok();
    for (const std::string path : paths) {
      if (given.Has(path)) return Impossible(given, path, "it only with model.family: " + family);
    }
    return Ok();
  };
  TRIBUTARY_TRY(only("gpt2", {"model.size", "model.layers", "model.heads", "model.hidden", "model.initializer_range", "model.positions", "model.vocabulary"}));
  TRIBUTARY_TRY(only("resnet18", {"model.stem", "model.classes"}));
  if (!job.model.script.empty()) {
    for (const std::string path : {"model.family", "model.source", "model.object", "model.format"}) {
      if (given.Has(path)) return Impossible(given, path, "either it or model.script, not both");
    }
    return CheckScript(job, given);
  }
  if (job.model.family.empty()) return Ok();
  for (const std::string path : {"model.source", "model.object", "model.format"}) {
    if (given.Has(path)) return Impossible(given, path, "either it or model.family, not both");
  }
  return Ok();
}

Status CheckAdapter(const Job& job, const Given& given) {
  if (job.adapted()) {
    if (job.adapter.double_quantization && job.adapter.quantization == "none") {
      return Impossible(given, "adapter.base.double_quantization", "it only with adapter.base.quantization: nf4");
    }
    return Ok();
  }
  for (const std::string path : {"adapter.source", "adapter.object", "adapter.lora.alpha", "adapter.lora.dropout", "adapter.lora.targets", "adapter.base.quantization",
                                 "adapter.base.double_quantization"}) {
    if (given.Has(path)) return Impossible(given, path, "it only with adapter.lora.r");
  }
  return Ok();
}

Status CheckFamilies(const Job& job, const Given& given) {
  for (const std::string path : {"name", "model.family"}) {
    if (given.Has(path) || (path == "model.family" && (given.Has("model.source") || given.Has("model.object") || given.Has("model.script")))) continue;
    for (const Row& row : Rows()) {
      if (row.path == path) return Impossible(given, path, std::string(row.expected));
    }
  }
  const For other = job.synthetic() ? For::kGpt2 : For::kSynthetic;
  for (const Row& row : Rows()) {
    if (row.family == other && given.Has(std::string(row.path))) {
      return MakeError(Code::kInvalidArgument, "{}: does not apply to model.family {}; expected it left out",
                       given.Place(std::string(row.path)), job.model.family);
    }
  }
  return CheckShape(job, given);
}

Status CheckSynthetic(Job& job, const Given& given) {
  SyntheticModel& model = job.model.synthetic;
  const std::uint64_t width = tensor::ElementBytes(model.dtype);
  if (given.Has("model.shapes")) {
    for (const std::string path : {"model.bytes", "model.tensors"}) {
      if (given.Has(path)) return Impossible(given, path, "either it or model.shapes, not both");
    }
    TRIBUTARY_ASSIGN(const auto layout, SyntheticLayout(model, job.transfer.chunk_bytes));
    model.bytes = layout.total_bytes();
    model.tensors = static_cast<std::uint32_t>(layout.tensors().size());
  } else if (!given.Has("model.bytes")) {
    return Impossible(given, "model.bytes", "a size, as in 1GiB, or model.shapes");
  }
  if (model.bytes % width != 0) {
    return Impossible(given, "model.bytes", fmt::format("a multiple of {}, the size of an element", width));
  }
  if (model.bytes / width < model.tensors) {
    return Impossible(given, "model.tensors", fmt::format("at most {}, one element each", model.bytes / width));
  }
  const bool tiled = model.fill == FillKind::kTiled;
  if (tiled && (!given.Has("model.distinct") || model.distinct > model.bytes || model.distinct % width != 0)) {
    return Impossible(given, "model.distinct",
                      fmt::format("with fill tiled, a multiple of {} of at most model.bytes", width));
  }
  if (!tiled && given.Has("model.distinct")) return Impossible(given, "model.distinct", "it only with fill: tiled");
  if (job.validate) return Impossible(given, "tasks", "[train]: a synthetic model has nothing to validate");
  if (given.Has("data.format") && job.data.format != "synthetic") {
    return Impossible(given, "data.format", "synthetic, as the model is");
  }
  job.data.format = "synthetic";
  if (job.data.name.empty()) job.data.name = "synthetic";
  return Ok();
}

// Families whose batches are images. What a model.source reads, its config.json says, and the trainer after it.
bool TakesImages(const Model& model) { return model.family.starts_with("resnet"); }

Status CheckKeysOfFormat(const Job& job, const Given& given) {
  const std::string& format = job.data.format;
  const bool images = format == "cifar10" || format == "synthetic";
  const bool pairs = format == "alpaca" || format == "jsonl" || format == "csv";
  struct Key {
    const char* path;
    bool applies;
    const char* expected;
  };
  const Key keys[] = {
      {"data.text_key", format == "jsonl" || format == "csv", "it only with data.format jsonl or csv"},
      {"data.packing", !images, "it only with a data.format of text"},
      {"data.loss_on", pairs || (!images && job.data.loss_on == "all"), "completion only with data.format alpaca, jsonl or csv"},
      {"data.samples", format != "text", "it left out: data.format text is not made of documents that could be counted"},
      {"data.augment", images, "it only with data.format cifar10 or synthetic"},
      {"data.path", format != "synthetic", "it left out: data.format synthetic reads nothing"},
  };
  for (const Key& key : keys) {
    if (given.Has(key.path) && !key.applies) return Impossible(given, key.path, key.expected);
  }
  if (format == "synthetic" && job.data.samples == 0) {
    return Impossible(given, "data.samples", "the number of images, since data.format is synthetic");
  }
  return Ok();
}

Status CheckData(const Job& job, const Given& given) {
  const std::string& format = job.data.format;
  const bool images = format == "cifar10" || format == "synthetic";
  if (!given.Has("data.name")) return Impossible(given, "data.name", "a name, as in imdb");
  if (!given.Has("data.format") || (!job.model.family.empty() && images != TakesImages(job.model))) {
    return Impossible(given, "data.format",
                      TakesImages(job.model) ? "cifar10 or synthetic, since the model reads images"
                                             : "text, imdb, alpaca, jsonl or csv, since the model reads text");
  }
  TRIBUTARY_TRY(CheckKeysOfFormat(job, given));
  const PartitionScheme scheme = job.data.scheme;
  const bool labels = images || format == "imdb";
  if (scheme == PartitionScheme::kDirichlet && !labels) {
    return Impossible(given, "data.partition.scheme", fmt::format("iid or by-file: data.format {} has no labels to deal by", format));
  }
  if (scheme == PartitionScheme::kByFile && (format == "imdb" || format == "synthetic")) {
    return Impossible(given, "data.partition.scheme",
                      fmt::format("iid or dirichlet: data.format {} {}", format, format == "imdb" ? "has a file for each review" : "has no files"));
  }
  if (scheme != PartitionScheme::kDirichlet && given.Has("data.partition.alpha")) {
    return Impossible(given, "data.partition.alpha", "it only with data.partition.scheme: dirichlet");
  }
  if (job.validate && job.data.validation_fraction <= 0) {
    return Impossible(given, "data.validation_fraction", "more than 0, since tasks has validate");
  }
  return Ok();
}

Status CheckGpt2(const Job& job, const Given& given) {
  if (given.Has("model.size")) {
    for (const std::string path : {"model.layers", "model.heads", "model.hidden"}) {
      if (given.Has(path)) return Impossible(given, path, "either it or model.size, not both");
    }
  }
  if (job.model.family == "gpt2" && job.model.hidden % job.model.heads != 0) {
    return Impossible(given, given.Has("model.heads") || !given.Has("model.hidden") ? "model.heads" : "model.hidden",
                      fmt::format("heads ({}) that divide hidden ({})", job.model.heads, job.model.hidden));
  }
  TRIBUTARY_TRY(CheckData(job, given));
  if (job.train.learning_rate_min > job.train.learning_rate) {
    return Impossible(given, "train.learning_rate_min", fmt::format("at most train.learning_rate ({})", job.train.learning_rate));
  }
  const bool steps = job.train.mode == "step";
  if (steps && !given.Has("train.steps")) {
    return Impossible(given, "train.steps", "a whole number of at least 1, since train.mode is step");
  }
  if (!steps && given.Has("train.steps")) return Impossible(given, "train.steps", "it only with train.mode: step");
  if (steps && given.Has("train.epochs")) return Impossible(given, "train.epochs", "it only with train.mode: epoch");
  if (steps && job.train.warmup > job.rounds * job.train.steps) {
    return Impossible(given, "train.warmup", fmt::format("at most rounds x steps ({})", job.rounds * job.train.steps));
  }
  if (job.train.optimizer_state == "kept" && job.train.optimizer == "sgd") {
    return Impossible(given, "train.optimizer_state", "fresh: train.optimizer sgd has no state");
  }
  if (job.model.family == "gpt2" && job.train.max_length > job.model.positions) {
    return Impossible(given, "train.max_length", fmt::format("at most model.positions ({})", job.model.positions));
  }
  return Ok();
}

Status CheckTransfer(const Job& job, const Given& given) {
  if (const auto needs = NeedsOf(job); !needs.ok()) {
    return Impossible(given, "transfer.mode", fmt::format("stream for this model: {}", needs.error().message()));
  }
  if (job.strategy.max_norm > 0 && !job.transfer.delta) {
    return Impossible(given, "strategy.max_norm", "0, or transfer.delta: true: the norm of whole weights is the model's own");
  }
  const tensor::DType dtype = job.synthetic() ? job.model.synthetic.dtype : tensor::DType::kF32;
  if (job.transfer.broadcast != tensor::Encoding::kNative &&
      encoding::EffectiveEncoding(dtype, job.transfer.broadcast) == tensor::Encoding::kNative) {
    return Impossible(given, "transfer.broadcast",
                      fmt::format("native, int8 or nf4: the model's {} numbers are no larger than that", tensor::DTypeName(dtype)));
  }
  if (job.transfer.encoding != tensor::Encoding::kNative) return Ok();
  for (const auto& [path, set] : {std::pair{"transfer.delta", job.transfer.delta}, {"transfer.error_feedback", job.transfer.error_feedback}}) {
    if (set) return Impossible(given, path, "it only with a transfer.encoding that loses something: fp16, bf16, int8 or nf4");
  }
  return Ok();
}

Status CheckParticipants(Job& job, const Given& given) {
  Participants& participants = job.participants;
  if (!given.Has("participants.min")) participants.min = job.data.count;
  if (!given.Has("data.partition.count")) job.data.count = participants.min;
  if (participants.min > job.data.count) {
    return Impossible(given, "participants.min",
                      fmt::format("at most data.partition.count ({})", job.data.count));
  }
  const std::uint32_t selected = SelectedSeats(participants, participants.min);
  if (participants.quorum > selected) {
    return Impossible(given, "participants.quorum",
                      fmt::format("at most {}, the seats that a round selects (min x fraction)", selected));
  }
  return Ok();
}

}  // namespace

std::uint32_t SelectedSeats(const Participants& participants, std::uint32_t seats) {
  // 0.1 x 30 is a hair above 3 in binary: the slack keeps that from selecting a fourth.
  const double exact = participants.fraction * static_cast<double>(seats);
  const double up = std::ceil(exact - 1e-9 * static_cast<double>(seats));
  const auto selected = static_cast<std::uint32_t>(std::max(up, 0.0));
  return std::min(std::max(selected, std::min(1u, seats)), seats);
}

std::string Given::Place(const std::string& path) const {
  std::string known = path;
  while (!nodes_.contains(known)) {
    const auto dot = known.rfind('.');
    known = dot == std::string::npos ? "" : known.substr(0, dot);
  }
  const std::string& place = nodes_.at(known)->place;
  return place == "--set " + path ? place : place + ": " + path;
}

std::string Given::Got(const std::string& path) const {
  const auto it = nodes_.find(path);
  return "got " + (it == nodes_.end() ? "nothing" : it->second->Got());
}

Status CheckJob(Job& job, const Given& given) {
  job.transfer.names_tensor_send_timeout = given.Has("transfer.tensor_send_timeout");
  job.transfer.names_streaming_read_timeout = given.Has("transfer.streaming_read_timeout");
  job.transfer.names_communication_timeout = given.Has("transfer.communication_timeout");
  job.transfer.names_streaming_ack_wait = given.Has("transfer.streaming_ack_wait");
  TRIBUTARY_TRY(CheckFamilies(job, given));
  TRIBUTARY_TRY(job.synthetic() ? CheckSynthetic(job, given) : CheckGpt2(job, given));
  TRIBUTARY_TRY(CheckAdapter(job, given));
  TRIBUTARY_TRY(CheckTransfer(job, given));
  return CheckParticipants(job, given);
}

}  // namespace tributary::job
