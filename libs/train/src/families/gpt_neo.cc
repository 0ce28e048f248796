// GPT-Neo (Black et al. 2021): pre-norm transformer with learned positions, whose layers look at everything before or at a window of it.
#include <ATen/ATen.h>

#include <memory>
#include <string>
#include <vector>

#include "activations.h"
#include "attention.h"
#include "checkpointing.h"
#include "embedding.h"
#include "families.h"
#include "families/gpt_neo_config.h"
#include "linear.h"
#include "network.h"
#include "norms.h"

namespace tributary::train {
namespace {

struct Block {
  LayerNorm attention_norm;
  Linear q;
  Linear k;
  Linear v;
  Linear out;
  LayerNorm mlp_norm;
  Linear fc;
  Linear projection;
  bool local = false;
};

class GptNeo final : public LanguageNetwork {
 public:
  // Its scores are not scaled by the width of a head.
  GptNeo(const GptNeoConfig& config, const ModelSpec& spec)
      : LanguageNetwork(spec), config_(config), global_({.scale = 1, .window = 0}), local_({.scale = 1, .window = config.window}) {
    const std::int64_t h = config.hidden;
    const Init normal = Init::Normal(config.initializer_range);
    WeightSet& w = weights();
    w.set_default_targets({"q_proj", "v_proj"});
    const auto linear = [&](const std::string& name, std::int64_t in, std::int64_t out, bool bias) {
      return w.AddLinear(name, in, out, MatrixOrder::kOutIn, bias, normal);
    };
    tokens_ = &w.Add("transformer.wte.weight", {config.vocabulary, h}, normal);
    positions_ = &w.Add("transformer.wpe.weight", {config.positions, h}, normal);
    for (std::int64_t i = 0; i < config.layers; ++i) {
      const std::string p = "transformer.h." + std::to_string(i) + ".";
      Block block;
      block.attention_norm = LayerNorm::Add(w, p + "ln_1", h, config.epsilon);
      block.k = linear(p + "attn.attention.k_proj", h, h, false);
      block.v = linear(p + "attn.attention.v_proj", h, h, false);
      block.q = linear(p + "attn.attention.q_proj", h, h, false);
      block.out = linear(p + "attn.attention.out_proj", h, h, true);
      block.mlp_norm = LayerNorm::Add(w, p + "ln_2", h, config.epsilon);
      block.fc = linear(p + "mlp.c_fc", h, config.inner, true);
      block.projection = linear(p + "mlp.c_proj", config.inner, h, true);
      block.local = config.local[static_cast<std::size_t>(i)];
      blocks_.push_back(block);
    }
    norm_ = LayerNorm::Add(w, "transformer.ln_f", h, config.epsilon);
    output_ = config.tied ? tokens_ : &w.Add("lm_head.weight", {config.vocabulary, h}, normal);
  }

  const at::Tensor& OutputWeight() const override { return output_->value; }
  std::uint32_t positions() const override { return static_cast<std::uint32_t>(config_.positions); }
  std::uint32_t vocabulary() const override { return static_cast<std::uint32_t>(config_.vocabulary); }
  std::string ConfigJson() const override { return config_.ToJson(); }

  at::Tensor Hidden(const at::Tensor& tokens) override {
    const std::int64_t rows = tokens.size(0);
    const std::int64_t columns = tokens.size(1);
    at::Tensor x = Embedded(tokens_->value, tokens) + positions_->value.narrow(0, 0, columns);
    x = x.view({rows * columns, config_.hidden}).to(at::kFloat);
    for (const Block& block : blocks_) {
      x = Checkpointed(weights().runtime(), x, [this, &block, rows, columns](const at::Tensor& in) {
        const at::Tensor middle = in + Attend(block, block.attention_norm(in), rows, columns);
        return middle + block.projection(Activated(block.fc(block.mlp_norm(middle)), config_.activation));
      });
    }
    return norm_(x);
  }

 private:
  at::Tensor Attend(const Block& block, const at::Tensor& x, std::int64_t rows, std::int64_t columns) {
    const at::Tensor y = x.to(weights().runtime().compute);
    const auto heads = [&](const at::Tensor& z) { return SplitHeads(z, rows, columns, config_.heads); };
    CausalAttention& attention = block.local ? local_ : global_;
    return block.out(attention(heads(block.q(y)), heads(block.k(y)), heads(block.v(y))));
  }

  GptNeoConfig config_;
  std::vector<Block> blocks_;
  const Weight* tokens_ = nullptr;
  const Weight* positions_ = nullptr;
  const Weight* output_ = nullptr;
  LayerNorm norm_;
  CausalAttention global_;
  CausalAttention local_;
};

}  // namespace

Result<std::unique_ptr<Network>> MakeGptNeo(const Json& config, const ModelSpec& spec) {
  TRIBUTARY_ASSIGN(const GptNeoConfig checked, GptNeoConfig::Parse(config));
  auto network = std::make_unique<GptNeo>(checked, spec);
  TRIBUTARY_TRY(network->weights().Finish());
  return std::unique_ptr<Network>(std::move(network));
}

}  // namespace tributary::train
