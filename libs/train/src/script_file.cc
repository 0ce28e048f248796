#include "script_file.h"

#include <ATen/ATen.h>
#include <c10/util/Exception.h>
#include <torch/csrc/autograd/grad_mode.h>
#include <torch/csrc/jit/runtime/graph_executor.h>
#include <torch/csrc/jit/serialization/import.h>

#include <fstream>
#include <map>
#include <span>
#include <sstream>

#include "tributary/digest/digest.h"

namespace tributary::train {
namespace {

constexpr const char* kForward = "forward(self, batch: Tuple[Tensor, Tensor]) -> Tensor";

Result<std::string> ReadBytes(const std::string& path) {
  std::ifstream in(path, std::ios::binary | std::ios::ate);
  const std::streamoff size = in ? static_cast<std::streamoff>(in.tellg()) : -1;
  if (size < 0) return MakeError(Code::kNotFound, "model.script: {} cannot be read; the file must lie there on every trainer's machine", path);
  std::string bytes(static_cast<std::size_t>(size), '\0');
  in.seekg(0);
  in.read(bytes.data(), size);
  if (!in) return MakeError(Code::kIo, "model.script: reading {} failed", path);
  return bytes;
}

bool IsPair(const c10::TypePtr& type) {
  const auto tuple = type->cast<c10::TupleType>();
  if (tuple == nullptr || tuple->elements().size() != 2) return false;
  return tuple->elements()[0]->kind() == c10::TypeKind::TensorType && tuple->elements()[1]->kind() == c10::TypeKind::TensorType;
}

Status CheckForward(const torch::jit::Module& module, const std::string& path) {
  const auto method = module.find_method("forward");
  if (!method) return MakeError(Code::kInvalidArgument, "model.script: {} has no forward; expected {}", path, kForward);
  const c10::FunctionSchema& schema = method->function().getSchema();
  const auto& arguments = schema.arguments();
  bool fits = arguments.size() >= 2 && IsPair(arguments[1].type());
  for (std::size_t i = 2; i < arguments.size(); ++i) fits = fits && arguments[i].default_value().has_value();
  fits = fits && schema.returns().size() == 1 && schema.returns()[0].type()->kind() == c10::TypeKind::TensorType;
  if (fits) return Ok();
  std::string found;
  for (std::size_t i = 1; i < arguments.size(); ++i) {
    found += fmt::format("{}{}: {}", i == 1 ? "" : ", ", arguments[i].name(), arguments[i].type()->repr_str());
  }
  return MakeError(Code::kInvalidArgument, "model.script: {} has forward({}) -> {}; expected {}", path, found,
                   schema.returns().empty() ? "None" : schema.returns()[0].type()->repr_str(), kForward);
}

std::string Joined(const std::string& prefix, const std::string& name) { return prefix.empty() ? name : prefix + "." + name; }

Status TakeParameters(ScriptFile& file, const std::string& path) {
  const at::NoGradGuard no_gradients;
  std::map<const void*, std::size_t> by_place;
  for (const auto& [prefix, owner] : file.module.named_modules()) {
    torch::jit::Module holder = owner;
    for (const auto& [attribute, value] : holder.named_parameters(/*recurse=*/false)) {
      const std::string name = Joined(prefix, attribute);
      if (value.scalar_type() != at::kFloat) {
        return MakeError(Code::kInvalidArgument, "model.script: {}: parameter '{}' is {}; parameters are trained and sent in float32", path, name,
                         c10::toString(value.scalar_type()));
      }
      if (value.numel() == 0) return MakeError(Code::kInvalidArgument, "model.script: {}: parameter '{}' has no elements", path, name);
      // Tied ones come out of the file as tensors of their own over the same bytes: they are made one again, or each would be stepped.
      const auto before = by_place.find(value.storage().data());
      if (before != by_place.end()) {
        const ScriptTensor& first = file.parameters[before->second];
        if (first.value.data_ptr() != value.data_ptr() || first.value.sizes() != value.sizes() || !value.is_contiguous()) {
          return MakeError(Code::kInvalidArgument, "model.script: {}: parameters '{}' and '{}' share memory and are not the same", path, first.name, name);
        }
        holder.setattr(attribute, first.value);
        continue;
      }
      at::Tensor kept = value;
      by_place.emplace(kept.storage().data(), file.parameters.size());
      if (!kept.is_contiguous()) kept.set_data(kept.contiguous());
      file.parameters.push_back({name, holder, attribute, kept});
    }
    for (const auto& [attribute, value] : holder.named_buffers(/*recurse=*/false)) {
      file.buffers.push_back({Joined(prefix, attribute), holder, attribute, value.clone()});
    }
  }
  if (file.parameters.empty()) return MakeError(Code::kInvalidArgument, "model.script: {} has no parameters: there is nothing to train", path);
  return Ok();
}

}  // namespace

std::string ScriptFault(const std::string& report) {
  std::istringstream lines(report);
  std::string last, place;
  for (std::string line; std::getline(lines, line);) {
    const auto begin = line.find_first_not_of(" \t");
    if (begin == std::string::npos) continue;
    last = line.substr(begin);
    if (last.rfind("File \"", 0) == 0) place = last;
  }
  return place.empty() || place == last ? last : fmt::format("{} ({})", last, place);
}

Result<ScriptFile> ReadScriptFile(const std::string& path, const std::string& sha256, at::Device device) {
  TRIBUTARY_ASSIGN(std::string bytes, ReadBytes(path));
  const std::string digest = digest::Hex(digest::ComputeSha256(std::as_bytes(std::span(bytes))));
  if (digest != sha256) {
    return MakeError(Code::kInvalidArgument, "model.script: {} is another file here than the job began with; copy that one: its SHA-256 is {}, this one's {}",
                     path, sha256, digest);
  }
  // Otherwise the first passes would run unlike later ones, and a training that is repeated in a new process would not give the same bits.
  torch::jit::getProfilingMode() = false;
  ScriptFile file;
  try {
    std::istringstream in(std::move(bytes));
    file.module = torch::jit::load(in, device);
  } catch (const c10::Error& e) {
    const std::string what = e.what_without_backtrace();
    return MakeError(Code::kInvalidArgument, "model.script: {} is no TorchScript file; write it with torch.jit.script(module).save(PATH) ({})", path,
                     what.substr(0, what.find('\n')));
  }
  TRIBUTARY_TRY(CheckForward(file.module, path));
  TRIBUTARY_TRY(TakeParameters(file, path));
  return file;
}

}  // namespace tributary::train
