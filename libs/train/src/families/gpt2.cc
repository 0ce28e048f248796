// GPT-2 (Radford et al. 2019): pre-norm transformer with learned positions and tied output weights.
#include <ATen/ATen.h>
#include <torch/version.h>

#include <cmath>
#include <limits>
#include <memory>

#include "families.h"
#include "families/gpt2_config.h"
#include "network.h"

namespace tributary::train {
namespace {

// Indices into parameters_ of one layer; weights are [in, out], as Hugging Face's Conv1D stores
// them.
struct Layer {
  std::size_t ln1_weight, ln1_bias, qkv_weight, qkv_bias, proj_weight, proj_bias;
  std::size_t ln2_weight, ln2_bias, fc_weight, fc_bias, out_weight, out_bias;
};

class Gpt2 final : public Network {
 public:
  explicit Gpt2(const Gpt2Config& config) : config_(config) {
    const std::int64_t h = config.hidden;
    const std::int64_t inner = config.inner;
    const double stddev = config.initializer_range;
    // Every layer adds twice to the residual stream; smaller projections keep its variance.
    const double residual = stddev / std::sqrt(2.0 * static_cast<double>(config.layers));
    wte_ = Add("wte.weight", {config.vocabulary, h}, stddev, 0);
    wpe_ = Add("wpe.weight", {config.positions, h}, stddev, 0);
    for (std::int64_t i = 0; i < config.layers; ++i) {
      const std::string p = "h." + std::to_string(i) + ".";
      Layer layer;
      layer.ln1_weight = Add(p + "ln_1.weight", {h}, 0, 1);
      layer.ln1_bias = Add(p + "ln_1.bias", {h}, 0, 0);
      layer.qkv_weight = Add(p + "attn.c_attn.weight", {h, 3 * h}, stddev, 0);
      layer.qkv_bias = Add(p + "attn.c_attn.bias", {3 * h}, 0, 0);
      layer.proj_weight = Add(p + "attn.c_proj.weight", {h, h}, residual, 0);
      layer.proj_bias = Add(p + "attn.c_proj.bias", {h}, 0, 0);
      layer.ln2_weight = Add(p + "ln_2.weight", {h}, 0, 1);
      layer.ln2_bias = Add(p + "ln_2.bias", {h}, 0, 0);
      layer.fc_weight = Add(p + "mlp.c_fc.weight", {h, inner}, stddev, 0);
      layer.fc_bias = Add(p + "mlp.c_fc.bias", {inner}, 0, 0);
      layer.out_weight = Add(p + "mlp.c_proj.weight", {inner, h}, residual, 0);
      layer.out_bias = Add(p + "mlp.c_proj.bias", {h}, 0, 0);
      layers_.push_back(layer);
    }
    ln_weight_ = Add("ln_f.weight", {h}, 0, 1);
    ln_bias_ = Add("ln_f.bias", {h}, 0, 0);
  }

  std::vector<Parameter>& parameters() override { return parameters_; }
  const at::Tensor& OutputWeight() const override { return parameters_[wte_].value; }
  std::uint32_t positions() const override { return static_cast<std::uint32_t>(config_.positions); }
  std::uint32_t vocabulary() const override {
    return static_cast<std::uint32_t>(config_.vocabulary);
  }
  std::string ConfigJson() const override { return config_.ToJson(); }

  at::Tensor Hidden(const at::Tensor& tokens) override {
    const std::int64_t rows = tokens.size(0);
    const std::int64_t columns = tokens.size(1);
    const std::int64_t h = config_.hidden;
    at::Tensor x = at::embedding(P(wte_), tokens) + P(wpe_).narrow(0, 0, columns);
    x = x.view({rows * columns, h});
    for (const Layer& layer : layers_) {
      const at::Tensor normed = Norm(x, layer.ln1_weight, layer.ln1_bias);
      const at::Tensor qkv = at::addmm(P(layer.qkv_bias), normed, P(layer.qkv_weight));
      x = x + at::addmm(P(layer.proj_bias), Attend(qkv, rows, columns), P(layer.proj_weight));
      const at::Tensor wide = at::addmm(P(layer.fc_bias), Norm(x, layer.ln2_weight, layer.ln2_bias),
                                        P(layer.fc_weight));
      x = x + at::addmm(P(layer.out_bias), at::gelu(wide, "tanh"), P(layer.out_weight));
    }
    return Norm(x, ln_weight_, ln_bias_);
  }

 private:
  std::size_t Add(const std::string& name, at::IntArrayRef shape, double stddev, float constant) {
    at::Tensor value = at::zeros(shape, at::kFloat);
    value.set_requires_grad(true);
    parameters_.push_back({"transformer." + name, std::move(value), stddev, constant});
    return parameters_.size() - 1;
  }

  const at::Tensor& P(std::size_t index) const { return parameters_[index].value; }

  at::Tensor Norm(const at::Tensor& x, std::size_t weight, std::size_t bias) const {
    return at::layer_norm(x, {config_.hidden}, P(weight), P(bias), config_.epsilon);
  }

  // qkv: [rows * columns, 3 * hidden] -> [rows * columns, hidden]
  at::Tensor Attend(const at::Tensor& qkv, std::int64_t rows, std::int64_t columns) {
    const std::int64_t heads = config_.heads;
    const std::int64_t width = config_.hidden / heads;
    const at::Tensor split = qkv.view({rows, columns, 3, heads, width}).permute({2, 0, 3, 1, 4});
#if TORCH_VERSION_MAJOR >= 2
    const at::Tensor mixed = at::scaled_dot_product_attention(
        split[0], split[1], split[2], c10::nullopt, 0.0, /*is_causal=*/true);
#else
    const at::Tensor q = split[0].reshape({rows * heads, columns, width});
    const at::Tensor k = split[1].reshape({rows * heads, columns, width});
    const at::Tensor v = split[2].reshape({rows * heads, columns, width});
    const double scale = 1.0 / std::sqrt(static_cast<double>(width));
    const at::Tensor scores = at::baddbmm(Mask(columns), q, k.transpose(1, 2), 1, scale);
    const at::Tensor mixed =
        at::bmm(at::softmax(scores, -1), v).view({rows, heads, columns, width});
#endif
    return mixed.transpose(1, 2).reshape({rows * columns, heads * width});
  }

  // Zero where a position may look, minus infinity where it may not.
  const at::Tensor& Mask(std::int64_t columns) {
    if (!mask_.defined() || mask_.size(0) != columns) {
      mask_ = at::triu(
          at::full({columns, columns}, -std::numeric_limits<float>::infinity(), at::kFloat), 1);
    }
    return mask_;
  }

  Gpt2Config config_;
  std::vector<Parameter> parameters_;
  std::vector<Layer> layers_;
  std::size_t wte_ = 0;
  std::size_t wpe_ = 0;
  std::size_t ln_weight_ = 0;
  std::size_t ln_bias_ = 0;
  at::Tensor mask_;
};

}  // namespace

Result<std::unique_ptr<Network>> MakeGpt2(const Json& config) {
  TRIBUTARY_ASSIGN(const Gpt2Config checked, Gpt2Config::Parse(config));
  return std::unique_ptr<Network>(std::make_unique<Gpt2>(checked));
}

}  // namespace tributary::train
