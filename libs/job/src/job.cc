#include "tributary/job/job.h"

#include <cerrno>
#include <fstream>

#include "schema_row.h"
#include "tree.h"
#include "tributary/job/shapes.h"

namespace tributary::job {
namespace {

Status ApplyOverride(Node& root, const Override& change) {
  const std::string place = "--set " + change.path;
  TRIBUTARY_ASSIGN(Node value, ParseTree(change.value, place, false));
  Node* node = &root;
  for (std::string rest = change.path;;) {
    const auto dot = rest.find('.');
    const std::string key = rest.substr(0, dot);
    if (key.empty()) {
      return MakeError(Code::kInvalidArgument, "{}: expected keys joined by dots, as in train.batch_size", place);
    }
    if (node->kind == Node::Kind::kNull) node->kind = Node::Kind::kMap;
    if (node->kind != Node::Kind::kMap) {
      return MakeError(Code::kInvalidArgument, "{}: there is no '{}' below {}", place, key, node->Got());
    }
    Node* next = node->Find(key);
    if (dot == std::string::npos) {
      if (value.kind == Node::Kind::kNull) {
        std::erase_if(node->entries, [&](const auto& entry) { return entry.first == key; });
      } else if (next != nullptr) {
        *next = std::move(value);
      } else {
        node->entries.emplace_back(key, std::move(value));
      }
      return Ok();
    }
    if (next == nullptr) {
      Node section;
      section.kind = Node::Kind::kMap;
      section.place = place;
      next = &node->entries.emplace_back(key, std::move(section)).second;
    }
    node = next;
    rest = rest.substr(dot + 1);
  }
}

Result<Node> Merge(const std::string& text, const std::string& file, const std::vector<Override>& overrides) {
  TRIBUTARY_ASSIGN(Node root, ParseTree(text, file, true));
  for (const Override& change : overrides) TRIBUTARY_TRY(ApplyOverride(root, change));
  return root;
}

}  // namespace

Result<Override> ParseOverride(const std::string& text) {
  const auto equals = text.find('=');
  if (equals == std::string::npos || equals == 0) {
    return MakeError(Code::kInvalidArgument, "--set: got '{}', expected path.to.key=value", text);
  }
  return Override{text.substr(0, equals), text.substr(equals + 1)};
}

Result<Job> ParseJob(const std::string& text, const std::string& file, const std::vector<Override>& overrides) {
  TRIBUTARY_ASSIGN(const Node root, Merge(text, file, overrides));
  Job job;
  Given given;
  TRIBUTARY_TRY(ReadTree(root, job, given));
  TRIBUTARY_TRY(CheckJob(job, given));
  return job;
}

Result<std::string> ReadJobText(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) return ErrnoError(errno, "job file " + path);
  std::string text(kMaxJobBytes + 1, '\0');
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  // A directory opens but does not read.
  if (in.bad()) return MakeError(Code::kIo, "job file {}: not a readable file", path);
  text.resize(static_cast<std::size_t>(in.gcount()));
  if (text.size() > kMaxJobBytes) {
    return MakeError(Code::kInvalidArgument, "job file {}: larger than {} bytes", path, kMaxJobBytes);
  }
  return text;
}

Result<Job> ReadJobFile(const std::string& path, const std::vector<Override>& overrides) {
  TRIBUTARY_ASSIGN(const std::string text, ReadJobText(path));
  return ParseJob(text, path, overrides);
}

Result<std::string> MergeOverrides(const std::string& text, const std::string& file,
                                   const std::vector<Override>& overrides) {
  TRIBUTARY_ASSIGN(const Node root, Merge(text, file, overrides));
  return EmitTree(root);
}

Result<tensor::Layout> SyntheticLayout(const SyntheticModel& model, std::uint64_t chunk_bytes, tensor::Cut cut) {
  if (!model.shapes.empty()) {
    TRIBUTARY_ASSIGN(auto tensors, ShapesOf(model.shapes, model.dtype));
    return tensor::Layout::Make(std::move(tensors), chunk_bytes, cut);
  }
  const std::uint64_t elements = model.bytes / tensor::ElementBytes(model.dtype);
  if (model.tensors == 0 || model.tensors > tensor::kMaxTensors || elements < model.tensors) {
    return MakeError(Code::kInvalidArgument, "a synthetic model of {} bytes cannot have {} tensors", model.bytes,
                     model.tensors);
  }
  const std::uint64_t each = elements / model.tensors;
  std::vector<tensor::TensorSpec> tensors;
  tensors.reserve(model.tensors);
  for (std::uint32_t i = 0; i < model.tensors; ++i) {
    const bool last = i + 1 == model.tensors;
    tensors.push_back({fmt::format("tensor.{:04}", i), model.dtype, {last ? elements - each * i : each}});
  }
  return tensor::Layout::Make(std::move(tensors), chunk_bytes, cut);
}

}  // namespace tributary::job
