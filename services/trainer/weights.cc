#include "services/trainer/weights.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <optional>
#include <utility>

#include "services/trainer/script_model.h"
#include "tributary/json/json.h"
#include "tributary/modeldir/adapter_config.h"
#include "tributary/wire/object.h"

namespace tributary::trainer {
namespace {

constexpr std::size_t kNamed = 5;  // tensors that an error lists

std::string Shape(const tensor::TensorSpec& spec) {
  std::string text = fmt::format("{} [", tensor::DTypeName(spec.dtype));
  for (std::size_t i = 0; i < spec.shape.size(); ++i) text += fmt::format("{}{}", i == 0 ? "" : ", ", spec.shape[i]);
  return text + "]";
}

std::string Some(const std::vector<std::string>& names) {
  std::string text;
  for (std::size_t i = 0; i < names.size() && i < kNamed; ++i) text += (i == 0 ? "" : ", ") + names[i];
  if (names.size() > kNamed) text += fmt::format(" and {} more", names.size() - kNamed);
  return text;
}

// Which parameter of the model each stored tensor is: all of them, by name, in whatever order they are stored.
Result<std::vector<std::uint32_t>> MatchParameters(const std::vector<tensor::TensorSpec>& stored, const train::Model& model, const std::string& place) {
  const auto& parameters = model.Parameters();
  std::vector<std::uint32_t> match;
  std::vector<bool> found(parameters.size());
  for (const tensor::TensorSpec& spec : stored) {
    const auto parameter = std::find_if(parameters.begin(), parameters.end(), [&](const auto& one) { return one.name == spec.name; });
    if (parameter == parameters.end()) {
      return MakeError(Code::kInvalidArgument, "{}: tensor '{}', {}, is none of those that this job trains, '{}' ...; its model (and adapter.lora.targets) have to "
                       "be those that the file was made with", place, spec.name, Shape(spec), parameters.empty() ? "" : parameters.front().name);
    }
    if (*parameter != spec) {
      return MakeError(Code::kInvalidArgument, "{}: tensor '{}' is {}, this job trains {}", place, spec.name, Shape(spec), Shape(*parameter));
    }
    const auto index = static_cast<std::size_t>(parameter - parameters.begin());
    if (found[index]) return MakeError(Code::kInvalidArgument, "{}: tensor '{}' stands twice", place, spec.name);
    found[index] = true;
    match.push_back(static_cast<std::uint32_t>(index));
  }
  std::vector<std::string> missing;
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    if (!found[i]) missing.push_back(parameters[i].name);
  }
  if (missing.empty()) return match;
  return MakeError(Code::kInvalidArgument, "{} lacks tensors that this job trains: {}", place, Some(missing));
}

Status CheckChunk(const std::optional<blob::Chunk>& chunk, std::uint64_t slot, const tensor::Layout& layout, const ObjectName& object) {
  if (!chunk || chunk->slot != slot) return MakeError(Code::kProtocol, "slot {} of {} did not come as asked", slot, object.str());
  if (chunk->bytes.size() == layout.SlotBytes(slot)) return Ok();
  return MakeError(Code::kProtocol, "slot {} of {} came with {} bytes: expected {}", slot, object.str(), chunk->bytes.size(), layout.SlotBytes(slot));
}

}  // namespace

Error NamedBySource(const Error& error, const job::Model& model) {
  if (error.code() != Code::kInvalidArgument) return error;
  if (!model.source.empty()) return error.Wrap("model.source: " + model.source);
  return model.object.empty() ? error : error.Wrap("model.object: " + model.object);
}

Result<std::vector<std::int64_t>> MatchWeights(const std::vector<tensor::TensorSpec>& stored, const train::Model& model, const std::string& place) {
  const auto& weights = model.Weights();
  std::map<std::string, std::int64_t, std::less<>> by_name;
  for (std::size_t i = 0; i < weights.size(); ++i) {
    by_name.emplace(modeldir::BareWeightName(weights[i].name), static_cast<std::int64_t>(i));
  }
  std::vector<std::int64_t> match(stored.size(), -1);
  std::vector<bool> found(weights.size());
  std::vector<std::string> extra;
  for (std::size_t k = 0; k < stored.size(); ++k) {
    const auto weight = by_name.find(modeldir::BareWeightName(stored[k].name));
    if (weight == by_name.end()) {
      if (!modeldir::DerivedWeight(stored[k].name)) extra.push_back(stored[k].name);
      continue;
    }
    const auto index = static_cast<std::size_t>(weight->second);
    if (found[index]) return MakeError(Code::kInvalidArgument, "{}: tensor '{}' stands twice", place, weights[index].name);
    if (stored[k].shape != weights[index].shape) {
      return MakeError(Code::kInvalidArgument, "{}: tensor '{}' is {}, its config.json asks for {}", place, stored[k].name, Shape(stored[k]),
                       Shape(weights[index]));
    }
    found[index] = true;
    match[k] = weight->second;
  }
  std::vector<std::string> missing;
  for (std::size_t i = 0; i < weights.size(); ++i) {
    if (!found[i]) missing.push_back(weights[i].name);
  }
  if (!missing.empty()) {
    return MakeError(Code::kInvalidArgument, "{} lacks tensors that its config.json asks for: {}", place, Some(missing));
  }
  if (!extra.empty()) {
    return MakeError(Code::kInvalidArgument, "{} has tensors that its config.json does not know: {}", place, Some(extra));
  }
  return match;
}

Result<std::unique_ptr<train::Model>> LoadModelDirectory(const modeldir::ModelDirectory& directory, train::Module& module, train::ModelSpec wishes) {
  if (directory.weights.empty()) {
    return MakeError(Code::kNotFound, "{} has neither model.safetensors nor model.safetensors.index.json; other formats are not read",
                     directory.path);
  }
  if (IsScriptConfig(directory.config_json)) {
    // A directory may be anyone's, and the file that it names would be run.
    return MakeError(Code::kInvalidArgument, "{} has the weights of a TorchScript module, which is not loaded from there: put them into the module with "
                     "load_state_dict, save it, and set model.script", directory.path);
  }
  wishes.config_json = directory.config_json;
  auto made = module.CreateModel(wishes);
  if (!made.ok()) return made.error().Wrap(directory.path);
  std::unique_ptr<train::Model> model = std::move(*made);
  std::vector<tensor::TensorSpec> stored;
  for (const auto& weight : directory.weights) stored.push_back(weight.spec);
  TRIBUTARY_ASSIGN(const auto match, MatchWeights(stored, *model, directory.path));
  for (std::size_t k = 0; k < match.size(); ++k) {
    if (match[k] < 0) continue;
    const auto index = static_cast<std::uint32_t>(match[k]);
    const modeldir::StoredWeight& weight = directory.weights[k];
    auto room = model->WeightRoom(index, weight.spec.dtype);
    if (!room.ok()) return room.error().Wrap(weight.file);
    TRIBUTARY_TRY(modeldir::ReadWeight(weight, 0, *room));
    TRIBUTARY_TRY(model->WeightStored(index));
  }
  return model;
}

Result<std::string> BaseOf(const modeldir::AdapterDirectory& adapter, const std::string& given) {
  if (!given.empty()) return given;
  const std::string place = adapter.path + "/adapter_config.json";
  TRIBUTARY_ASSIGN(const Json config, ParseJson(adapter.config_json, place));
  TRIBUTARY_ASSIGN(const std::string base, GetString(config, "base_model_name_or_path", place));
  if (base.empty()) return MakeError(Code::kInvalidArgument, "{} names no base model; give --base DIR (that of a job's seed is made by tributary train JOB.yaml --write-base DIR)", place);
  return base;
}

Result<std::unique_ptr<train::Model>> LoadAdapterDirectory(const modeldir::AdapterDirectory& adapter, const modeldir::ModelDirectory& base,
                                                           train::Module& module, train::ModelSpec wishes) {
  const std::string place = adapter.path + "/adapter_config.json";
  TRIBUTARY_ASSIGN(modeldir::LoraConfig lora, modeldir::ParseLoraConfig(adapter.config_json, place));
  wishes.lora.rank = lora.rank;
  wishes.lora.alpha = lora.alpha;
  wishes.lora.targets = std::move(lora.targets);
  wishes.lora.pattern = lora.pattern;
  TRIBUTARY_ASSIGN(auto model, LoadModelDirectory(base, module, wishes));
  TRIBUTARY_TRY(LoadParameters(adapter.weights, adapter.path, *model));
  return model;
}

Status LoadParameters(const std::vector<modeldir::StoredWeight>& weights, const std::string& place, train::Model& model) {
  std::vector<tensor::TensorSpec> stored;
  for (const auto& weight : weights) stored.push_back(weight.spec);
  TRIBUTARY_ASSIGN(const auto match, MatchParameters(stored, model, place));
  for (std::size_t k = 0; k < match.size(); ++k) TRIBUTARY_TRY(modeldir::ReadWeight(weights[k], 0, model.ParameterBytes(match[k])));
  return Ok();
}

Status LoadAdapters(const modeldir::AdapterDirectory& directory, const job::Adapter& wished, train::Model& model) {
  TRIBUTARY_TRY(modeldir::CheckLoraConfig(directory.config_json, directory.path + "/adapter_config.json", wished.rank, wished.alpha));
  return LoadParameters(directory.weights, directory.path, model);
}

Status DownloadAdapters(blob::BlobStore& store, const ObjectName& object, const job::Adapter& wished, train::Model& model, session::TaskProgress& progress,
                        ByteCount& bytes, std::stop_token stop) {
  TRIBUTARY_ASSIGN(const auto spec, store.Spec(object));
  TRIBUTARY_TRY(modeldir::CheckLoraConfig(spec.info, object.str(), wished.rank, wished.alpha));
  TRIBUTARY_ASSIGN(const auto match, MatchParameters(spec.tensors, model, object.str()));
  TRIBUTARY_ASSIGN(const auto layout, wire::MakeLayout(spec));
  if (spec.encoding != tensor::Encoding::kNative) {
    return MakeError(Code::kInvalidArgument, "{} holds its numbers as {}: a job starts from the model itself, jobs/ID/models/ROUND", object.str(),
                     tensor::EncodingName(spec.encoding));
  }
  progress.Phase("adapters", layout.total_bytes(), "bytes");
  blob::ReadOptions options;
  options.stop = stop;
  TRIBUTARY_ASSIGN(const auto reader, store.Read(blob::SlotsOf(object, layout.all_slots()), options));
  std::uint64_t done = 0;
  for (std::uint64_t slot = 0; slot < layout.slot_count(); ++slot) {
    if (stop.stop_requested()) return MakeError(Code::kCancelled, "the download was stopped");
    TRIBUTARY_ASSIGN(const auto chunk, reader->Next());
    TRIBUTARY_TRY(CheckChunk(chunk, slot, layout, object));
    for (const tensor::SlotPiece& piece : layout.Pieces(slot)) {
      const auto to = model.ParameterBytes(match[piece.tensor]);
      std::memcpy(to.data() + piece.tensor_offset, chunk->bytes.data() + piece.chunk_offset, piece.bytes);
    }
    bytes.Down(chunk->bytes.size());
    progress.Done(done += chunk->bytes.size());
  }
  return Ok();
}

Status DownloadWeights(blob::BlobStore& store, const ObjectName& object, train::Model& model, session::TaskProgress& progress, ByteCount& bytes,
                       std::stop_token stop) {
  TRIBUTARY_ASSIGN(const auto spec, store.Spec(object));
  TRIBUTARY_ASSIGN(const auto layout, wire::MakeLayout(spec));
  TRIBUTARY_ASSIGN(const auto match, MatchWeights(spec.tensors, model, object.str()));
  progress.Phase("base", layout.total_bytes(), "bytes");
  blob::ReadOptions options;
  options.stop = stop;
  TRIBUTARY_ASSIGN(const auto reader, store.Read(blob::SlotsOf(object, layout.all_slots()), options));
  // Slots come in order of elements: of each dtype one tensor is under way at a time.
  std::map<std::uint32_t, std::uint64_t> left;  // bytes of tensors that have begun
  std::map<std::uint32_t, std::span<std::byte>> rooms;
  std::uint64_t done = 0;
  for (std::uint64_t slot = 0; slot < layout.slot_count(); ++slot) {
    if (stop.stop_requested()) return MakeError(Code::kCancelled, "the download was stopped");
    TRIBUTARY_ASSIGN(const auto chunk, reader->Next());
    TRIBUTARY_TRY(CheckChunk(chunk, slot, layout, object));
    for (const tensor::SlotPiece& piece : layout.Pieces(slot)) {
      if (match[piece.tensor] < 0) continue;
      const auto index = static_cast<std::uint32_t>(match[piece.tensor]);
      if (!rooms.contains(piece.tensor)) {
        TRIBUTARY_ASSIGN(rooms[piece.tensor], model.WeightRoom(index, spec.tensors[piece.tensor].dtype));
        left[piece.tensor] = rooms[piece.tensor].size();
      }
      std::memcpy(rooms[piece.tensor].data() + piece.tensor_offset, chunk->bytes.data() + piece.chunk_offset, piece.bytes);
      if ((left[piece.tensor] -= piece.bytes) > 0) continue;
      TRIBUTARY_TRY(model.WeightStored(index));
      rooms.erase(piece.tensor);
      left.erase(piece.tensor);
    }
    bytes.Down(chunk->bytes.size());
    progress.Done(done += chunk->bytes.size());
  }
  return Ok();
}

}  // namespace tributary::trainer
