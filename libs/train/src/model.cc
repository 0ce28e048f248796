#include "model.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/grad_mode.h>

#include <algorithm>

#include "gaussian.h"
#include "guard.h"
#include "sampler.h"
#include "threads.h"
#include "training.h"

namespace tributary::train {
namespace {

class NetworkModel final : public Model {
 public:
  explicit NetworkModel(std::unique_ptr<Network> network) : network_(std::move(network)) {
    for (const Parameter& parameter : network_->parameters()) {
      tensor::TensorSpec spec{parameter.name, tensor::DType::kF32, {}};
      for (const std::int64_t size : parameter.value.sizes())
        spec.shape.push_back(static_cast<std::uint64_t>(size));
      specs_.push_back(std::move(spec));
    }
  }

  const std::vector<tensor::TensorSpec>& Parameters() const override { return specs_; }
  std::string ConfigJson() const override { return network_->ConfigJson(); }
  std::uint32_t MaxPositions() const override { return network_->positions(); }
  std::uint32_t VocabularySize() const override { return network_->vocabulary(); }

  std::span<std::byte> ParameterBytes(std::uint32_t index) override {
    const at::Tensor& value = network_->parameters()[index].value;
    return {static_cast<std::byte*>(value.data_ptr()), static_cast<std::size_t>(value.nbytes())};
  }

  Status InitFromSeed(std::uint64_t seed) override {
    auto& parameters = network_->parameters();
    for (std::size_t i = 0; i < parameters.size(); ++i) {
      const at::Tensor& value = parameters[i].value;
      const std::span<float> out(static_cast<float*>(value.data_ptr()),
                                 static_cast<std::size_t>(value.numel()));
      if (parameters[i].stddev > 0) {
        FillNormal(out, parameters[i].stddev, MixSeed(seed, i));
      } else {
        std::fill(out.begin(), out.end(), parameters[i].constant);
      }
    }
    return Ok();
  }

  Result<TrainResult> Train(BatchSource& batches, const TrainOptions& options,
                            const ProgressFn& progress, std::stop_token stop) override {
    return Guarded("training", [&] {
      SetComputeThreads(options.threads);
      return TrainNetwork(*network_, batches, options, progress, stop);
    });
  }

  Result<EvalResult> Evaluate(BatchSource& batches, std::uint32_t threads,
                              const ProgressFn& progress, std::stop_token stop) override {
    return Guarded("evaluating", [&] {
      SetComputeThreads(threads);
      return EvaluateNetwork(*network_, batches, progress, stop);
    });
  }

  Status Generate(const std::vector<std::int32_t>& prompt, const GenerateOptions& options,
                  const std::function<bool(std::int32_t)>& emit) override {
    if (prompt.empty()) {
      return MakeError(Code::kInvalidArgument,
                       "generating needs a prompt of at least one token; an end of text will do");
    }
    for (const std::int32_t id : prompt) {
      if (id < 0 || static_cast<std::uint32_t>(id) >= network_->vocabulary()) {
        return MakeError(Code::kInvalidArgument,
                         "the prompt has token {}, outside the model's vocabulary of {}", id,
                         network_->vocabulary());
      }
    }
    return Guarded("generating", [&] { return Continue(prompt, options, emit); });
  }

 private:
  Status Continue(std::vector<std::int32_t> ids, const GenerateOptions& options,
                  const std::function<bool(std::int32_t)>& emit) {
    const at::NoGradGuard no_gradients;
    SplitMix64 random(options.seed);
    for (std::uint32_t i = 0; i < options.max_tokens; ++i) {
      const std::size_t window = std::min<std::size_t>(ids.size(), network_->positions());
      at::Tensor tokens = at::empty({1, static_cast<std::int64_t>(window)}, at::kLong);
      std::copy(ids.end() - static_cast<std::ptrdiff_t>(window), ids.end(),
                tokens.data_ptr<std::int64_t>());
      const at::Tensor hidden = network_->Hidden(tokens);
      const at::Tensor logits =
          at::mv(network_->OutputWeight(), hidden[hidden.size(0) - 1]).contiguous();
      const std::int32_t next = SampleToken(
          {logits.data_ptr<float>(), static_cast<std::size_t>(logits.numel())}, options, random);
      if (next == options.stop_token) return Ok();
      if (!emit(next)) return Ok();
      ids.push_back(next);
    }
    return Ok();
  }

  std::unique_ptr<Network> network_;
  std::vector<tensor::TensorSpec> specs_;
};

}  // namespace

Result<std::unique_ptr<Model>> MakeModel(std::unique_ptr<Network> network) {
  return std::unique_ptr<Model>(std::make_unique<NetworkModel>(std::move(network)));
}

}  // namespace tributary::train
