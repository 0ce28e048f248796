#include "services/trainer/weights.h"

#include <cstring>
#include <map>
#include <utility>

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

}  // namespace

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
    if (!chunk || chunk->slot != slot) return MakeError(Code::kProtocol, "slot {} of {} did not come as asked", slot, object.str());
    if (chunk->bytes.size() != layout.SlotBytes(slot)) {
      return MakeError(Code::kProtocol, "slot {} of {} came with {} bytes: expected {}", slot, object.str(), chunk->bytes.size(), layout.SlotBytes(slot));
    }
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
