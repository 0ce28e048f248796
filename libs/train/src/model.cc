#include "model.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/grad_mode.h>

#include <algorithm>

#include "adapter_config.h"
#include "gaussian.h"
#include "guard.h"
#include "loss.h"
#include "sampler.h"
#include "threads.h"
#include "training.h"

namespace tributary::train {
namespace {

constexpr std::uint64_t kAdapterSeeds = std::uint64_t{1} << 32;  // apart from those of base weights

void Pack(Weight& weight, const at::Tensor& values) {
  weight.packed->Quantize({values.data_ptr<float>(), static_cast<std::size_t>(values.numel())});
}

void InitWeight(Weight& weight, std::uint64_t seed) {
  const bool direct = weight.host.defined() && weight.host.scalar_type() == at::kFloat;
  const at::Tensor target = direct ? weight.host : at::empty(weight.shape, at::kFloat);
  const std::span<float> out(target.data_ptr<float>(), static_cast<std::size_t>(target.numel()));
  if (weight.init.stddev > 0) {
    FillNormal(out, weight.init.stddev, seed);
  } else if (weight.init.bound > 0) {
    FillUniform(out, weight.init.bound, seed);
  } else {
    std::fill(out.begin(), out.end(), weight.init.constant);
  }
  if (direct) return;
  if (weight.packed != nullptr) {
    Pack(weight, target);
  } else {
    weight.value.copy_(target);
  }
}

std::vector<tensor::TensorSpec> SpecsOf(const std::deque<Weight>& weights) {
  std::vector<tensor::TensorSpec> specs;
  for (const Weight& weight : weights) {
    const bool narrow = weight.value.defined() && weight.value.scalar_type() == at::kBFloat16;
    tensor::TensorSpec spec{weight.name, narrow ? tensor::DType::kBF16 : tensor::DType::kF32, {}};
    for (const std::int64_t size : weight.shape) spec.shape.push_back(static_cast<std::uint64_t>(size));
    specs.push_back(std::move(spec));
  }
  return specs;
}

std::span<std::byte> BytesOf(const at::Tensor& value) {
  return {static_cast<std::byte*>(value.data_ptr()), static_cast<std::size_t>(value.nbytes())};
}

Result<at::ScalarType> StoredType(tensor::DType dtype, const std::string& name) {
  switch (dtype) {
    case tensor::DType::kF32: return at::kFloat;
    case tensor::DType::kF16: return at::kHalf;
    case tensor::DType::kBF16: return at::kBFloat16;
    default: break;
  }
  return MakeError(Code::kInvalidArgument, "tensor '{}' is stored as {}; weights are read as F32, F16 and BF16", name, tensor::DTypeName(dtype));
}

class NetworkModel final : public Model {
 public:
  explicit NetworkModel(std::unique_ptr<Network> network)
      : network_(std::move(network)),
        parameters_(SpecsOf(network_->weights().travelling())),
        weights_(SpecsOf(network_->weights().base())),
        rooms_(weights_.size()) {}

  const std::vector<tensor::TensorSpec>& Parameters() const override { return parameters_; }
  const std::vector<tensor::TensorSpec>& Weights() const override { return weights_; }
  std::string ConfigJson() const override { return network_->ConfigJson(); }
  std::string AdapterConfigJson() const override { return AdapterConfig(network_->weights()); }
  std::uint32_t MaxPositions() const override { return network_->positions(); }
  std::uint32_t VocabularySize() const override { return network_->vocabulary(); }

  std::span<std::byte> ParameterBytes(std::uint32_t index) override {
    bytes_ahead_ = true;  // they may be written
    return BytesOf(network_->weights().travelling()[index].host);
  }

  Result<std::span<std::byte>> WeightRoom(std::uint32_t index, tensor::DType stored) override {
    const Weight& weight = network_->weights().base()[index];
    TRIBUTARY_ASSIGN(const at::ScalarType type, StoredType(stored, weight.name));
    bytes_ahead_ = true;
    if (weight.host.defined() && weight.host.scalar_type() == type) return BytesOf(weight.host);
    return Guarded("reading weights", [&]() -> Result<std::span<std::byte>> {
      if (!rooms_[index].defined()) rooms_[index] = at::empty(weight.shape, type);
      return BytesOf(rooms_[index]);
    });
  }

  Status WeightStored(std::uint32_t index) override {
    if (!rooms_[index].defined()) return Ok();
    return Guarded("reading weights", [&]() -> Status {
      const at::NoGradGuard no_gradients;
      Weight& weight = network_->weights().base()[index];
      const at::Tensor room = std::move(rooms_[index]);
      rooms_[index] = at::Tensor();
      if (weight.packed != nullptr) {
        Pack(weight, room.to(at::kFloat));
      } else {
        (weight.host.defined() ? weight.host : weight.value).copy_(room);
      }
      return Ok();
    });
  }

  Status InitFromSeed(std::uint64_t seed) override {
    return Guarded("making the first weights", [&]() -> Status {
      const at::NoGradGuard no_gradients;
      bytes_ahead_ = true;
      TRIBUTARY_ASSIGN(const bool restored, network_->RestoreFirst());
      if (restored) return Ok();
      WeightSet& set = network_->weights();
      for (std::size_t i = 0; i < set.base().size(); ++i) InitWeight(set.base()[i], MixSeed(seed, i));
      for (std::size_t i = 0; i < set.adapters().size(); ++i) InitWeight(set.adapters()[i], MixSeed(seed, kAdapterSeeds + i));
      return Ok();
    });
  }

  Status InitAdapter(std::uint64_t seed) override {
    return Guarded("making the first adapter", [&]() -> Status {
      const at::NoGradGuard no_gradients;
      bytes_ahead_ = true;
      WeightSet& set = network_->weights();
      for (std::size_t i = 0; i < set.adapters().size(); ++i) InitWeight(set.adapters()[i], MixSeed(seed, kAdapterSeeds + i));
      return Ok();
    });
  }

  Result<TrainResult> Train(BatchSource& batches, const TrainOptions& options,
                            const ProgressFn& progress, std::stop_token stop) override {
    return OnDevice("training", [&]() -> Result<TrainResult> {
      SetComputeThreads(options.threads);
      bytes_ahead_ = true;  // a training that does not come to its end leaves the bytes as they were
      TRIBUTARY_ASSIGN(const TrainResult result, TrainNetwork(*network_, batches, options, progress, stop));
      network_->weights().CopyDown();
      bytes_ahead_ = false;
      return result;
    });
  }

  Result<EvalResult> Evaluate(BatchSource& batches, std::uint32_t threads,
                              const ProgressFn& progress, std::stop_token stop) override {
    return OnDevice("evaluating", [&] {
      SetComputeThreads(threads);
      return EvaluateNetwork(*network_, batches, progress, stop);
    });
  }

  Result<std::vector<RowScore>> Score(const Batch& batch, std::uint32_t threads) override {
    TRIBUTARY_TRY(RequireLanguage("scoring text"));
    TRIBUTARY_TRY(network_->Check(batch).status());
    return OnDevice("scoring", [&]() -> Result<std::vector<RowScore>> {
      const at::NoGradGuard no_gradients;
      SetComputeThreads(threads);
      // Rows of the same tokens one after another, as the answers to one question are, are computed once; and of all positions only
      // those whose targets count meet the vocabulary.
      std::vector<std::int32_t> tokens;
      std::vector<std::int32_t> targets;
      std::vector<std::int32_t> positions;
      std::vector<std::uint32_t> rows;
      std::int64_t distinct = 0;
      for (std::uint32_t row = 0; row < batch.rows; ++row) {
        const auto begin = batch.tokens.begin() + static_cast<std::ptrdiff_t>(row) * batch.columns;
        if (row == 0 || !std::equal(begin, begin + batch.columns, begin - batch.columns)) {
          tokens.insert(tokens.end(), begin, begin + batch.columns);
          ++distinct;
        }
        for (std::uint32_t column = 0; column < batch.columns; ++column) {
          const std::int32_t target = batch.targets[static_cast<std::size_t>(row) * batch.columns + column];
          if (target == kIgnore) continue;
          targets.push_back(target);
          positions.push_back(static_cast<std::int32_t>((distinct - 1) * batch.columns + column));
          rows.push_back(row);
        }
      }
      std::vector<RowScore> scores(batch.rows);
      if (targets.empty()) return scores;
      const auto count = static_cast<std::int64_t>(targets.size());
      const Place& place = network_->weights().place();
      const at::Tensor hidden = language_->Hidden(Ids(tokens, {distinct, batch.columns}, place));
      const at::Tensor values = LogProbabilities(hidden.index_select(0, Ids(positions, {count}, place)), language_->OutputWeight(),
                                                 Ids(targets, {count}, place), network_->weights().runtime().compute)
                                    .to(at::kCPU);
      for (std::size_t i = 0; i < rows.size(); ++i) {
        scores[rows[i]].log_probability += static_cast<double>(values.data_ptr<float>()[i]);
        ++scores[rows[i]].targets;
      }
      return scores;
    });
  }

  Result<std::vector<float>> Logits(const Batch& batch) override {
    TRIBUTARY_TRY(network_->Check(batch).status());
    return OnDevice("computing logits", [&]() -> Result<std::vector<float>> {
      const at::NoGradGuard no_gradients;
      const at::Tensor logits = network_->Logits(batch).to(at::kCPU).contiguous();
      const auto* values = logits.data_ptr<float>();
      return std::vector<float>(values, values + logits.numel());
    });
  }

  Status Generate(const std::vector<std::int32_t>& prompt, const GenerateOptions& options,
                  const std::function<bool(std::int32_t)>& emit) override {
    TRIBUTARY_TRY(RequireLanguage("generating text"));
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
    return OnDevice("generating", [&] { return Continue(prompt, options, emit); });
  }

  std::string DeviceName() const override { return network_->weights().place().device.str(); }

 private:
  // Runs `body` where the model computes, on the weights that its bytes say.
  template <class Body>
  auto OnDevice(std::string_view doing, Body body) -> decltype(body()) {
    return Guarded(doing, [&]() -> decltype(body()) {
      WeightSet& set = network_->weights();
      const DeviceMemoryWatch watch(set.place());
      if (bytes_ahead_) set.CopyUp();
      bytes_ahead_ = false;
      return body();
    });
  }

  Status Continue(std::vector<std::int32_t> ids, const GenerateOptions& options,
                  const std::function<bool(std::int32_t)>& emit) {
    const at::NoGradGuard no_gradients;
    SplitMix64 random(options.seed);
    for (std::uint32_t i = 0; i < options.max_tokens; ++i) {
      const std::size_t window = std::min<std::size_t>(ids.size(), network_->positions());
      const std::vector<std::int32_t> seen(ids.end() - static_cast<std::ptrdiff_t>(window), ids.end());
      const at::Tensor tokens = Ids(seen, {1, static_cast<std::int64_t>(window)}, network_->weights().place());
      const at::Tensor hidden = language_->Hidden(tokens);
      const at::Tensor logits =
          at::mv(language_->OutputWeight().to(at::kFloat), hidden[hidden.size(0) - 1].to(at::kFloat)).to(at::kCPU).contiguous();
      const std::int32_t next = SampleToken(
          {logits.data_ptr<float>(), static_cast<std::size_t>(logits.numel())}, options, random);
      if (next == options.stop_token) return Ok();
      if (!emit(next)) return Ok();
      ids.push_back(next);
    }
    return Ok();
  }

  Status RequireLanguage(std::string_view doing) const {
    if (language_ != nullptr) return Ok();
    return MakeError(Code::kInvalidArgument, "{} needs a language model", doing);
  }

  std::unique_ptr<Network> network_;
  LanguageNetwork* language_ = dynamic_cast<LanguageNetwork*>(network_.get());
  std::vector<tensor::TensorSpec> parameters_;
  std::vector<tensor::TensorSpec> weights_;
  bool bytes_ahead_ = true;        // of what the device has: written, or given out to be, since they were the same
  std::vector<at::Tensor> rooms_;  // of weights whose stored bytes are to be converted
};

}  // namespace

Result<std::unique_ptr<Model>> MakeModel(std::unique_ptr<Network> network) {
  return std::unique_ptr<Model>(std::make_unique<NetworkModel>(std::move(network)));
}

}  // namespace tributary::train
