// OPT (Zhang et al. 2022): transformer with learned positions; norms before each layer, or after it as opt-350m has them.
#include <ATen/ATen.h>

#include <memory>
#include <string>
#include <vector>

#include "activations.h"
#include "attention.h"
#include "checkpointing.h"
#include "embedding.h"
#include "families.h"
#include "families/opt_config.h"
#include "linear.h"
#include "network.h"
#include "norms.h"

namespace tributary::train {
namespace {

constexpr std::int64_t kPositionOffset = 2;  // rows of the position table that stand before position 0

struct Block {
  Linear q;
  Linear k;
  Linear v;
  Linear out;
  LayerNorm attention_norm;
  Linear fc1;
  Linear fc2;
  LayerNorm mlp_norm;
};

class Opt final : public LanguageNetwork {
 public:
  Opt(const OptConfig& config, const ModelSpec& spec) : LanguageNetwork(spec), config_(config) {
    const std::int64_t h = config.hidden;
    const std::string d = "model.decoder.";
    const Init normal = Init::Normal(config.initializer_range);
    WeightSet& w = weights();
    w.set_default_targets({"q_proj", "v_proj"});
    const auto linear = [&](const std::string& name, std::int64_t in, std::int64_t out) {
      return w.AddLinear(name, in, out, MatrixOrder::kOutIn, config.bias, normal);
    };
    const auto norm = [&](const std::string& name) {
      return config.norm_weights ? LayerNorm::Add(w, name, h, kEpsilon) : LayerNorm{nullptr, nullptr, h, kEpsilon};
    };
    tokens_ = &w.Add(d + "embed_tokens.weight", {config.vocabulary, config.embedding}, normal);
    positions_ = &w.Add(d + "embed_positions.weight", {config.positions + kPositionOffset, h}, normal);
    if (projected()) {
      project_out_ = w.AddLinear(d + "project_out", h, config.embedding, MatrixOrder::kOutIn, false, normal);
      project_in_ = w.AddLinear(d + "project_in", config.embedding, h, MatrixOrder::kOutIn, false, normal);
    }
    if (config.final_norm) final_norm_ = norm(d + "final_layer_norm");
    for (std::int64_t i = 0; i < config.layers; ++i) {
      const std::string p = d + "layers." + std::to_string(i) + ".";
      Block block;
      block.k = linear(p + "self_attn.k_proj", h, h);
      block.v = linear(p + "self_attn.v_proj", h, h);
      block.q = linear(p + "self_attn.q_proj", h, h);
      block.out = linear(p + "self_attn.out_proj", h, h);
      block.attention_norm = norm(p + "self_attn_layer_norm");
      block.fc1 = linear(p + "fc1", h, config.inner);
      block.fc2 = linear(p + "fc2", config.inner, h);
      block.mlp_norm = norm(p + "final_layer_norm");
      blocks_.push_back(block);
    }
    output_ = config.tied ? tokens_ : &w.Add("lm_head.weight", {config.vocabulary, config.embedding}, normal);
  }

  const at::Tensor& OutputWeight() const override { return output_->value; }
  std::uint32_t positions() const override { return static_cast<std::uint32_t>(config_.positions); }
  std::uint32_t vocabulary() const override { return static_cast<std::uint32_t>(config_.vocabulary); }
  std::string ConfigJson() const override { return config_.ToJson(); }

  at::Tensor Hidden(const at::Tensor& tokens) override {
    const std::int64_t rows = tokens.size(0);
    const std::int64_t columns = tokens.size(1);
    at::Tensor x = Embedded(tokens_->value, tokens.view({rows * columns}), config_.padding);
    if (projected()) x = project_in_(x);
    x = x.view({rows, columns, config_.hidden}) + positions_->value.narrow(0, kPositionOffset, columns);
    x = x.view({rows * columns, config_.hidden}).to(at::kFloat);
    for (const Block& block : blocks_) {
      x = Checkpointed(weights().runtime(), x, [this, &block, rows, columns](const at::Tensor& in) {
        const at::Tensor middle = Layer(in, block.attention_norm, [&](const at::Tensor& y) { return Attend(block, y, rows, columns); });
        return Layer(middle, block.mlp_norm, [&](const at::Tensor& y) { return block.fc2(Activated(block.fc1(y), config_.activation)); });
      });
    }
    if (config_.final_norm) x = final_norm_(x);
    return projected() ? project_out_(x) : x;
  }

 private:
  static constexpr double kEpsilon = 1e-5;

  bool projected() const { return config_.embedding != config_.hidden; }

  template <class Body>
  at::Tensor Layer(const at::Tensor& x, const LayerNorm& norm, Body body) const {
    if (!config_.norm_before) return norm(x + body(x));
    return x + body(norm(x));
  }

  at::Tensor Attend(const Block& block, const at::Tensor& x, std::int64_t rows, std::int64_t columns) {
    const at::Tensor y = x.to(weights().runtime().compute);
    const auto heads = [&](const at::Tensor& z) { return SplitHeads(z, rows, columns, config_.heads); };
    return block.out(attention_(heads(block.q(y)), heads(block.k(y)), heads(block.v(y))));
  }

  OptConfig config_;
  std::vector<Block> blocks_;
  const Weight* tokens_ = nullptr;
  const Weight* positions_ = nullptr;
  const Weight* output_ = nullptr;
  Linear project_in_;
  Linear project_out_;
  LayerNorm final_norm_;
  CausalAttention attention_;
};

}  // namespace

Result<std::unique_ptr<Network>> MakeOpt(const Json& config, const ModelSpec& spec) {
  TRIBUTARY_ASSIGN(const OptConfig checked, OptConfig::Parse(config));
  auto network = std::make_unique<Opt>(checked, spec);
  TRIBUTARY_TRY(network->weights().Finish());
  return std::unique_ptr<Network>(std::move(network));
}

}  // namespace tributary::train
