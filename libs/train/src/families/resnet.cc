// ResNet of basic blocks (He et al. 2016), ResNet-18 among them: torchvision's, with the stem for ImageNet or for CIFAR, and transformers', which
// computes the same as torchvision's.
//
// Batch norm's running statistics travel with the weights, so that the aggregate evaluates as what was trained; the count of batches
// does not: with a fixed momentum nothing is computed from it.
#include <ATen/ATen.h>
#include <torch/csrc/autograd/grad_mode.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "checkpointing.h"
#include "families.h"
#include "families/resnet_config.h"
#include "linear.h"
#include "network.h"

namespace tributary::train {
namespace {

constexpr double kMomentum = 0.1;
constexpr double kEpsilon = 1e-5;
constexpr std::uint32_t kMaxSide = 16384;

struct Convolution {
  const Weight* weight = nullptr;
  std::int64_t stride = 1;
  std::int64_t padding = 0;
};

struct BatchNorm {
  const Weight* weight = nullptr;
  const Weight* bias = nullptr;
  const Weight* mean = nullptr;
  const Weight* variance = nullptr;
};

struct Block {
  Convolution conv1;
  BatchNorm bn1;
  Convolution conv2;
  BatchNorm bn2;
  Convolution shortcut;  // without a weight: the input itself
  BatchNorm shortcut_norm;
};

// What the weights are called, without .weight and .bias: torchvision's names, or those of transformers' ResNetForImageClassification.
struct Names {
  bool transformers = false;

  const char* stem() const { return transformers ? "resnet.embedder.embedder.convolution" : "conv1"; }
  const char* stem_norm() const { return transformers ? "resnet.embedder.embedder.normalization" : "bn1"; }
  const char* classifier() const { return transformers ? "classifier.1" : "fc"; }
  std::string block(std::size_t stage, std::int64_t i) const {
    if (transformers) return "resnet.encoder.stages." + std::to_string(stage) + ".layers." + std::to_string(i) + ".";
    return "layer" + std::to_string(stage + 1) + "." + std::to_string(i) + ".";
  }
  const char* conv1() const { return transformers ? "layer.0.convolution" : "conv1"; }
  const char* norm1() const { return transformers ? "layer.0.normalization" : "bn1"; }
  const char* conv2() const { return transformers ? "layer.1.convolution" : "conv2"; }
  const char* norm2() const { return transformers ? "layer.1.normalization" : "bn2"; }
  const char* shortcut() const { return transformers ? "shortcut.convolution" : "downsample.0"; }
  const char* shortcut_norm() const { return transformers ? "shortcut.normalization" : "downsample.1"; }
};

class ResNet final : public Network {
 public:
  ResNet(const ResNetConfig& config, const ModelSpec& spec) : Network(spec), config_(config), names_{config.transformers} {
    weights().set_default_targets({names_.classifier()});
    stem_ = AddConvolution(names_.stem(), config.channels, config.widths[0], config.cifar ? 3 : 7, config.cifar ? 1 : 2);
    stem_norm_ = AddNorm(names_.stem_norm(), config.widths[0]);
    std::int64_t in = config.widths[0];
    for (std::size_t stage = 0; stage < ResNetConfig::kStages; ++stage) {
      for (std::int64_t i = 0; i < config.depths[stage]; ++i) {
        const std::int64_t out = config.widths[stage];
        blocks_.push_back(AddBlock(names_.block(stage, i), in, out, stage > 0 && i == 0 ? 2 : 1));
        in = out;
      }
    }
    fc_ = weights().AddLinear(names_.classifier(), in, config.classes, MatrixOrder::kOutIn, true, Init::Uniform(1 / std::sqrt(static_cast<double>(in))));
  }

  Result<std::uint64_t> Check(const Batch& batch) const override {
    TRIBUTARY_TRY(CheckShape(batch));
    std::uint64_t counted = 0;
    for (const std::int32_t label : batch.targets) {
      if (label == kIgnore) continue;
      if (label < 0 || label >= config_.classes) {
        return MakeError(Code::kInvalidArgument, "label {} is outside the model's {} classes; num_labels of config.json says how many", label,
                         config_.classes);
      }
      ++counted;
    }
    return counted;
  }

  at::Tensor Loss(const Batch& batch) override {
    const at::Tensor logits = Classify(batch);
    return at::cross_entropy_loss(logits, Ids(batch.targets, {batch.rows}, weights().place()), {}, at::Reduction::Mean, kIgnore);
  }

  BatchScore Evaluate(const Batch& batch) override {
    const at::Tensor logits = Classify(batch);
    const at::Tensor labels = Ids(batch.targets, {batch.rows}, weights().place());
    const double loss = at::cross_entropy_loss(logits, labels, {}, at::Reduction::Mean, kIgnore).item<float>();
    return {loss, static_cast<std::uint64_t>(logits.argmax(1).eq(labels).sum().item<std::int64_t>())};
  }

  at::Tensor Logits(const Batch& batch) override { return Classify(batch); }
  std::string ConfigJson() const override { return config_.ToJson(); }

 private:
  Convolution AddConvolution(const std::string& name, std::int64_t in, std::int64_t out, std::int64_t kernel, std::int64_t stride) {
    // Keeps the variance of what flows back, as torchvision begins.
    const Init init = Init::Normal(std::sqrt(2.0 / static_cast<double>(out * kernel * kernel)));
    return {&weights().Add(name + ".weight", {out, in, kernel, kernel}, init), stride, kernel / 2};
  }

  BatchNorm AddNorm(const std::string& name, std::int64_t channels) {
    WeightSet& w = weights();
    BatchNorm norm;
    norm.weight = &w.Add(name + ".weight", {channels}, Init::Constant(1));
    norm.bias = &w.Add(name + ".bias", {channels}, Init::Constant(0));
    norm.mean = &w.AddStatistic(name + ".running_mean", {channels}, Init::Constant(0));
    norm.variance = &w.AddStatistic(name + ".running_var", {channels}, Init::Constant(1));
    return norm;
  }

  Block AddBlock(const std::string& p, std::int64_t in, std::int64_t out, std::int64_t stride) {
    Block block;
    block.conv1 = AddConvolution(p + names_.conv1(), in, out, 3, stride);
    block.bn1 = AddNorm(p + names_.norm1(), out);
    block.conv2 = AddConvolution(p + names_.conv2(), out, out, 3, 1);
    block.bn2 = AddNorm(p + names_.norm2(), out);
    if (stride == 1 && in == out) return block;
    block.shortcut = AddConvolution(p + names_.shortcut(), in, out, 1, stride);
    block.shortcut_norm = AddNorm(p + names_.shortcut_norm(), out);
    return block;
  }

  Status CheckShape(const Batch& batch) const {
    if (!batch.tokens.empty() || static_cast<std::int64_t>(batch.channels) != config_.channels) {
      return MakeError(Code::kInvalidArgument, "a batch of {} tokens and images of {} channels does not fit a model of images of {} channels",
                       batch.tokens.size(), batch.channels, config_.channels);
    }
    if (batch.height == 0 || batch.width == 0 || batch.height > kMaxSide || batch.width > kMaxSide) {
      return MakeError(Code::kInvalidArgument, "images of {} x {} are refused, expected 1 to {} a side", batch.height, batch.width, kMaxSide);
    }
    const std::uint64_t image = std::uint64_t{batch.channels} * batch.height * batch.width;
    if (batch.rows == 0 || batch.pixels.size() / image != batch.rows || batch.pixels.size() % image != 0 ||
        batch.targets.size() != batch.rows) {
      return MakeError(Code::kInvalidArgument, "a batch of {} images of {} x {} x {} has {} pixels and {} labels", batch.rows, batch.channels,
                       batch.height, batch.width, batch.pixels.size(), batch.targets.size());
    }
    // Three of the stages halve the sides, the stem for ImageNet twice.
    const std::uint32_t scale = config_.cifar ? 8 : 32;
    const auto last = [&](std::uint32_t side) { return std::uint64_t{(side + scale - 1) / scale}; };
    if (BatchStatistics() && batch.rows * last(batch.height) * last(batch.width) < 2) {
      return MakeError(Code::kInvalidArgument,
                       "one image of {} x {} leaves batch norm a single value a channel; raise train.batch_size or take the stem 'cifar'",
                       batch.height, batch.width);
    }
    return Ok();
  }

  // Under adapters the base is frozen, its statistics too.
  bool BatchStatistics() const { return weights().runtime().training && weights().spec().lora.rank == 0; }

  at::Tensor Convolve(const at::Tensor& x, const Convolution& conv) const {
    const at::ScalarType type = weights().runtime().compute;
    return at::conv2d(x.to(type), conv.weight->value.to(type), {}, conv.stride, conv.padding).to(at::kFloat);
  }

  at::Tensor Normalize(const at::Tensor& x, const BatchNorm& norm) const {
    const bool batch = BatchStatistics();
    // Computed again in the backward pass of a checkpointed block, where gradients are on, a batch counts no second time.
    const bool again = batch && weights().runtime().checkpointing && at::GradMode::is_enabled();
    return at::batch_norm(x, norm.weight->value, norm.bias->value, again ? at::Tensor() : norm.mean->value,
                          again ? at::Tensor() : norm.variance->value, batch, kMomentum, kEpsilon, /*cudnn_enabled=*/true);
  }

  at::Tensor Apply(const Block& block, const at::Tensor& x) const {
    at::Tensor y = Normalize(Convolve(x, block.conv1), block.bn1).relu_();
    y = Normalize(Convolve(y, block.conv2), block.bn2);
    const at::Tensor shortcut = block.shortcut.weight == nullptr ? x : Normalize(Convolve(x, block.shortcut), block.shortcut_norm);
    return y.add_(shortcut).relu_();
  }

  // [rows, classes], fp32.
  at::Tensor Classify(const Batch& batch) {
    at::Tensor x = Pixels(batch, weights().place());
    const Runtime& runtime = weights().runtime();
    x = Checkpointed(runtime, x, [this](const at::Tensor& in) {
      const at::Tensor y = Normalize(Convolve(in, stem_), stem_norm_).relu_();
      return config_.cifar ? y : at::max_pool2d(y, {3, 3}, {2, 2}, {1, 1});
    });
    for (const Block& block : blocks_) {
      x = Checkpointed(runtime, x, [this, &block](const at::Tensor& in) { return Apply(block, in); });
    }
    return fc_(x.mean({2, 3})).to(at::kFloat);
  }

  ResNetConfig config_;
  Names names_;
  Convolution stem_;
  BatchNorm stem_norm_;
  std::vector<Block> blocks_;
  Linear fc_;
};

}  // namespace

Result<std::unique_ptr<Network>> MakeResNet(const Json& config, const ModelSpec& spec) {
  TRIBUTARY_ASSIGN(const ResNetConfig checked, ResNetConfig::Parse(config));
  auto network = std::make_unique<ResNet>(checked, spec);
  TRIBUTARY_TRY(network->weights().Finish());
  return std::unique_ptr<Network>(std::move(network));
}

}  // namespace tributary::train
