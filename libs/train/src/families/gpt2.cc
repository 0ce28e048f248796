// GPT-2 (Radford et al. 2019): pre-norm transformer with learned positions and tied output weights.
#include <ATen/ATen.h>

#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "attention.h"
#include "checkpointing.h"
#include "embedding.h"
#include "families.h"
#include "families/gpt2_config.h"
#include "linear.h"
#include "network.h"
#include "norms.h"

namespace tributary::train {
namespace {

struct Block {
  LayerNorm attention_norm;
  Linear qkv;
  Linear projection;
  LayerNorm mlp_norm;
  Linear fc;
  Linear out;
};

class Gpt2 final : public LanguageNetwork {
 public:
  Gpt2(const Gpt2Config& config, const ModelSpec& spec) : LanguageNetwork(spec), config_(config) {
    const std::int64_t h = config.hidden;
    const Init normal = Init::Normal(config.initializer_range);
    // Every layer adds twice to the residual stream; smaller projections keep its variance.
    const Init residual = Init::Normal(config.initializer_range / std::sqrt(2.0 * static_cast<double>(config.layers)));
    WeightSet& w = weights();
    w.set_default_targets({"c_attn"});
    wte_ = &w.Add("transformer.wte.weight", {config.vocabulary, h}, normal);
    wpe_ = &w.Add("transformer.wpe.weight", {config.positions, h}, normal);
    for (std::int64_t i = 0; i < config.layers; ++i) {
      const std::string p = "transformer.h." + std::to_string(i) + ".";
      Block block;
      block.attention_norm = LayerNorm::Add(w, p + "ln_1", h, config.epsilon);
      block.qkv = w.AddLinear(p + "attn.c_attn", h, 3 * h, MatrixOrder::kInOut, true, normal);
      block.projection = w.AddLinear(p + "attn.c_proj", h, h, MatrixOrder::kInOut, true, residual);
      block.mlp_norm = LayerNorm::Add(w, p + "ln_2", h, config.epsilon);
      block.fc = w.AddLinear(p + "mlp.c_fc", h, config.inner, MatrixOrder::kInOut, true, normal);
      block.out = w.AddLinear(p + "mlp.c_proj", config.inner, h, MatrixOrder::kInOut, true, residual);
      blocks_.push_back(block);
    }
    norm_ = LayerNorm::Add(w, "transformer.ln_f", h, config.epsilon);
  }

  const at::Tensor& OutputWeight() const override { return wte_->value; }
  std::uint32_t positions() const override { return static_cast<std::uint32_t>(config_.positions); }
  std::uint32_t vocabulary() const override { return static_cast<std::uint32_t>(config_.vocabulary); }
  std::string ConfigJson() const override { return config_.ToJson(); }

  at::Tensor Hidden(const at::Tensor& tokens) override {
    const std::int64_t rows = tokens.size(0);
    const std::int64_t columns = tokens.size(1);
    at::Tensor x = Embedded(wte_->value, tokens) + wpe_->value.narrow(0, 0, columns);
    x = x.view({rows * columns, config_.hidden}).to(at::kFloat);
    for (const Block& block : blocks_) {
      x = Checkpointed(weights().runtime(), x, [this, &block, rows, columns](const at::Tensor& in) {
        const at::Tensor qkv = block.qkv(block.attention_norm(in));
        const at::Tensor middle = in + block.projection(Attend(qkv, rows, columns));
        return middle + block.out(at::gelu(block.fc(block.mlp_norm(middle)), "tanh"));
      });
    }
    return norm_(x);
  }

 private:
  // qkv: [rows * columns, 3 * hidden] -> [rows * columns, hidden]
  at::Tensor Attend(const at::Tensor& qkv, std::int64_t rows, std::int64_t columns) {
    const std::int64_t width = config_.hidden / config_.heads;
    const at::Tensor split = qkv.view({rows, columns, 3, config_.heads, width}).permute({2, 0, 3, 1, 4});
    return attention_(split[0], split[1], split[2]);
  }

  Gpt2Config config_;
  std::vector<Block> blocks_;
  const Weight* wte_ = nullptr;
  const Weight* wpe_ = nullptr;
  LayerNorm norm_;
  CausalAttention attention_;
};

}  // namespace

Result<std::unique_ptr<Network>> MakeGpt2(const Json& config, const ModelSpec& spec) {
  TRIBUTARY_ASSIGN(const Gpt2Config checked, Gpt2Config::Parse(config));
  auto network = std::make_unique<Gpt2>(checked, spec);
  TRIBUTARY_TRY(network->weights().Finish());
  return std::unique_ptr<Network>(std::move(network));
}

}  // namespace tributary::train
