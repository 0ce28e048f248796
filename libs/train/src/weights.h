// The weights of a network: the base as its family declares it, and the adapters that are trained in its place.
//
// A family asks for its weights here, in manifest order, and keeps the references: they stay where they are as long as the set
// lives. What the job asked for (LoRA, a 4-bit base, bf16) is applied as weights are made, so that a frozen base is never held in
// fp32 first. Where the model computes on a device (place.h), the values lie there, and what travels has its bytes in `host` besides:
// CopyUp and CopyDown move them, tensor by tensor. One thread; may throw libtorch's exceptions.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <regex>
#include <string>
#include <vector>

#include "nf4.h"
#include "place.h"
#include "tributary/base/result.h"
#include "tributary/train/module.h"

namespace tributary::train {

// First values; normal and uniform ones are drawn from the seed, the same bytes on every machine.
struct Init {
  double stddev = 0;
  double bound = 0;  // uniform in [-bound, bound)
  float constant = 0;

  static Init Normal(double stddev) { return {stddev, 0, 0}; }
  static Init Uniform(double bound) { return {0, bound, 0}; }
  static Init Constant(float value) { return {0, 0, value}; }
};

struct Weight {
  std::string name;  // Hugging Face's, of adapters PEFT's
  std::vector<std::int64_t> shape;
  Init init;
  bool trained = true;    // has gradients
  at::Tensor value;       // contiguous; fp32, or bf16 of a frozen base in bf16; undefined where `packed` holds it
  std::unique_ptr<Nf4> packed;
  // The bytes that downloads write and uploads read: `value` itself on the processor, else its copy; undefined where none travel.
  at::Tensor host;

  std::int64_t count() const;
};

// What holds for one forward pass of every layer.
struct Runtime {
  at::ScalarType compute = at::kFloat;  // of matrix products
  bool checkpointing = false;
  bool training = false;                // dropout and batch statistics are on
  std::uint64_t seed = 0;               // of this pass's dropout
};

struct Lora {
  Weight* a = nullptr;  // [rank, in]
  Weight* b = nullptr;  // [out, rank]
  double scale = 1;
  double dropout = 0;
  std::uint64_t ordinal = 0;  // of the adapter: each drops other elements
};

// How a linear layer's weight is stored: [out, in] as nn.Linear, [in, out] as Hugging Face's Conv1D.
enum class MatrixOrder : std::uint8_t { kOutIn, kInOut };

class Linear;

class WeightSet {
 public:
  // The device that the spec names is there: ChoosePlace was asked.
  explicit WeightSet(const ModelSpec& spec);

  Weight& Add(const std::string& name, std::vector<std::int64_t> shape, Init init);
  // Travels with the weights and has no gradient: a batch norm's running mean.
  Weight& AddStatistic(const std::string& name, std::vector<std::int64_t> shape, Init init);
  // A tensor that is there already, on the place's device, contiguous fp32; trained if it asks for gradients.
  Weight& Adopt(const std::string& name, const at::Tensor& value);
  // NAME.weight and, with a bias, NAME.bias; an adapter where the job's targets name it.
  Linear AddLinear(const std::string& name, std::int64_t in, std::int64_t out, MatrixOrder order, bool bias, Init init);
  // What the family's adapters usually go on; before the first AddLinear.
  void set_default_targets(std::vector<std::string> targets);
  // After the last layer: refuses targets that no layer has.
  Status Finish() const;

  std::deque<Weight>& base() { return base_; }
  std::deque<Weight>& adapters() { return adapters_; }
  // The adapters where there are any, else the base.
  std::deque<Weight>& travelling() { return spec_.lora.rank > 0 ? adapters_ : base_; }
  // What travels, from its host bytes to the device and back; nothing where they are the same.
  void CopyUp();
  void CopyDown();
  const Place& place() const { return place_; }
  const Runtime& runtime() const { return runtime_; }
  Runtime& runtime() { return runtime_; }
  const ModelSpec& spec() const { return spec_; }
  const std::vector<std::string>& targets() const { return targets_; }
  // Whether adapted layers are stored as [in, out].
  bool fan_in_fan_out() const { return fan_in_fan_out_; }

 private:
  // Values of zero where they are computed with, and the host's bytes of those that travel.
  void Allocate(Weight& weight, at::ScalarType type, bool travels);
  bool IsTarget(const std::string& layer);

  ModelSpec spec_;
  Place place_;
  Runtime runtime_;
  std::deque<Weight> base_;
  std::deque<Weight> adapters_;
  std::deque<Lora> loras_;
  std::vector<std::string> targets_;
  std::vector<bool> matched_;
  std::optional<std::regex> pattern_;
  bool fan_in_fan_out_ = false;
  std::vector<std::string> layers_;  // last parts of their names, for errors
};

}  // namespace tributary::train
