// Llama (Touvron et al. 2023) and Mistral: pre-norm transformer with rotary positions, grouped queries and a gated feed-forward layer.
#include <ATen/ATen.h>

#include <memory>
#include <string>
#include <vector>

#include "attention.h"
#include "checkpointing.h"
#include "embedding.h"
#include "families.h"
#include "families/llama_config.h"
#include "gated.h"
#include "linear.h"
#include "network.h"
#include "norms.h"
#include "rotary.h"

namespace tributary::train {
namespace {

struct Block {
  RmsNorm input_norm;
  Linear q;
  Linear k;
  Linear v;
  Linear o;
  RmsNorm middle_norm;
  Linear gate;
  Linear up;
  Linear down;
};

class Llama final : public LanguageNetwork {
 public:
  Llama(const LlamaConfig& config, const ModelSpec& spec)
      : LanguageNetwork(spec), config_(config), rotary_(config.rope, config.width), attention_({.scale = 0, .window = config.window}) {
    const std::int64_t h = config.hidden;
    const Init normal = Init::Normal(config.initializer_range);
    WeightSet& w = weights();
    w.set_default_targets({"q_proj", "v_proj"});
    const auto linear = [&](const std::string& name, std::int64_t in, std::int64_t out, bool bias) {
      return w.AddLinear(name, in, out, MatrixOrder::kOutIn, bias, normal);
    };
    embedding_ = &w.Add("model.embed_tokens.weight", {config.vocabulary, h}, normal);
    for (std::int64_t i = 0; i < config.layers; ++i) {
      const std::string p = "model.layers." + std::to_string(i) + ".";
      Block block;
      block.q = linear(p + "self_attn.q_proj", h, config.heads * config.width, config.attention_bias);
      block.k = linear(p + "self_attn.k_proj", h, config.key_heads * config.width, config.attention_bias);
      block.v = linear(p + "self_attn.v_proj", h, config.key_heads * config.width, config.attention_bias);
      block.o = linear(p + "self_attn.o_proj", config.heads * config.width, h, config.attention_bias);
      block.gate = linear(p + "mlp.gate_proj", h, config.inner, config.mlp_bias);
      block.up = linear(p + "mlp.up_proj", h, config.inner, config.mlp_bias);
      block.down = linear(p + "mlp.down_proj", config.inner, h, config.mlp_bias);
      block.input_norm = RmsNorm::Add(w, p + "input_layernorm", h, config.epsilon);
      block.middle_norm = RmsNorm::Add(w, p + "post_attention_layernorm", h, config.epsilon);
      blocks_.push_back(block);
    }
    norm_ = RmsNorm::Add(w, "model.norm", h, config.epsilon);
    output_ = config.tied ? embedding_ : &w.Add("lm_head.weight", {config.vocabulary, h}, normal);
  }

  const at::Tensor& OutputWeight() const override { return output_->value; }
  std::uint32_t positions() const override { return static_cast<std::uint32_t>(config_.positions); }
  std::uint32_t vocabulary() const override { return static_cast<std::uint32_t>(config_.vocabulary); }
  std::string ConfigJson() const override { return config_.ToJson(); }

  at::Tensor Hidden(const at::Tensor& tokens) override {
    const std::int64_t rows = tokens.size(0);
    const std::int64_t columns = tokens.size(1);
    at::Tensor x = Embedded(embedding_->value, tokens.view({rows * columns}), config_.padding).to(at::kFloat);
    for (const Block& block : blocks_) {
      x = Checkpointed(weights().runtime(), x, [this, &block, rows, columns](const at::Tensor& in) {
        const at::ScalarType type = weights().runtime().compute;
        const at::Tensor middle = in + Attend(block, block.input_norm(in).to(type), rows, columns);
        const at::Tensor normed = block.middle_norm(middle).to(type);
        return middle + block.down(SiluGated(block.gate(normed), block.up(normed)));
      });
    }
    return norm_(x);
  }

 private:
  at::Tensor Attend(const Block& block, const at::Tensor& x, std::int64_t rows, std::int64_t columns) {
    const at::Tensor q = rotary_(block.q(x), rows, columns);
    const at::Tensor k = rotary_(block.k(x), rows, columns);
    const at::Tensor v = SplitHeads(block.v(x), rows, columns, config_.key_heads);
    return block.o(attention_(q, k, v));
  }

  LlamaConfig config_;
  std::vector<Block> blocks_;
  const Weight* embedding_ = nullptr;
  const Weight* output_ = nullptr;
  RmsNorm norm_;
  Rotary rotary_;
  CausalAttention attention_;
};

}  // namespace

Result<std::unique_ptr<Network>> MakeLlama(const Json& config, const ModelSpec& spec) {
  TRIBUTARY_ASSIGN(const LlamaConfig checked, LlamaConfig::Parse(config));
  auto network = std::make_unique<Llama>(checked, spec);
  TRIBUTARY_TRY(network->weights().Finish());
  return std::unique_ptr<Network>(std::move(network));
}

}  // namespace tributary::train
