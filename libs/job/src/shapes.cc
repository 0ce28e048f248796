#include "tributary/job/shapes.h"

#include <utility>

namespace tributary::job {
namespace {

using Shape = std::vector<std::uint64_t>;

class Tensors {
 public:
  explicit Tensors(tensor::DType dtype) : dtype_(dtype) {}
  void Add(std::string name, Shape shape) { list_.push_back({std::move(name), dtype_, std::move(shape)}); }
  std::vector<tensor::TensorSpec> Take() { return std::move(list_); }

 private:
  tensor::DType dtype_;
  std::vector<tensor::TensorSpec> list_;
};

struct Llama {
  std::uint64_t layers, hidden, key_value, intermediate, vocabulary;
};

std::vector<tensor::TensorSpec> MakeLlama(const Llama& model, tensor::DType dtype) {
  Tensors tensors(dtype);
  const std::uint64_t h = model.hidden;
  tensors.Add("model.embed_tokens.weight", {model.vocabulary, h});
  for (std::uint64_t i = 0; i < model.layers; ++i) {
    const std::string layer = fmt::format("model.layers.{}.", i);
    tensors.Add(layer + "input_layernorm.weight", {h});
    tensors.Add(layer + "mlp.down_proj.weight", {h, model.intermediate});
    tensors.Add(layer + "mlp.gate_proj.weight", {model.intermediate, h});
    tensors.Add(layer + "mlp.up_proj.weight", {model.intermediate, h});
    tensors.Add(layer + "post_attention_layernorm.weight", {h});
    tensors.Add(layer + "self_attn.k_proj.weight", {model.key_value, h});
    tensors.Add(layer + "self_attn.o_proj.weight", {h, h});
    tensors.Add(layer + "self_attn.q_proj.weight", {h, h});
    tensors.Add(layer + "self_attn.v_proj.weight", {model.key_value, h});
  }
  tensors.Add("model.norm.weight", {h});
  tensors.Add("lm_head.weight", {model.vocabulary, h});
  return tensors.Take();
}

// With the head that shares the embedding's values: what PyTorch's state_dict holds, and so what other systems send.
std::vector<tensor::TensorSpec> MakeGpt2Large(tensor::DType dtype) {
  constexpr std::uint64_t kLayers = 36, h = 1280, kVocabulary = 50257, kPositions = 1024;
  Tensors tensors(dtype);
  tensors.Add("transformer.wte.weight", {kVocabulary, h});
  tensors.Add("transformer.wpe.weight", {kPositions, h});
  const auto with_bias = [&](const std::string& name, Shape shape) {
    const std::uint64_t width = shape.back();
    tensors.Add(name + ".weight", std::move(shape));
    tensors.Add(name + ".bias", {width});
  };
  for (std::uint64_t i = 0; i < kLayers; ++i) {
    const std::string layer = fmt::format("transformer.h.{}.", i);
    with_bias(layer + "ln_1", {h});
    with_bias(layer + "attn.c_attn", {h, 3 * h});
    with_bias(layer + "attn.c_proj", {h, h});
    with_bias(layer + "ln_2", {h});
    with_bias(layer + "mlp.c_fc", {h, 4 * h});
    with_bias(layer + "mlp.c_proj", {4 * h, h});
  }
  with_bias("transformer.ln_f", {h});
  tensors.Add("lm_head.weight", {kVocabulary, h});
  return tensors.Take();
}

}  // namespace

std::vector<std::string_view> KnownShapes() { return {"llama-3.1-8b", "llama-3.1-70b", "gpt2-large"}; }

Result<std::vector<tensor::TensorSpec>> ShapesOf(std::string_view name, tensor::DType dtype) {
  if (name == "llama-3.1-8b") return MakeLlama({32, 4096, 1024, 14336, 128256}, dtype);
  if (name == "llama-3.1-70b") return MakeLlama({80, 8192, 1024, 28672, 128256}, dtype);
  if (name == "gpt2-large") return MakeGpt2Large(dtype);
  return MakeError(Code::kNotFound, "the shapes of '{}' are not known here", name);
}

}  // namespace tributary::job
