#include "rope.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "families/config_reader.h"

namespace tributary::train {
namespace {

constexpr double kMaxTheta = 1e12;
constexpr double kMaxFactor = 1e6;

// Older versions write 'type', newer ones 'rope_type', some both.
Result<std::string> ScalingType(const Json& scaling) {
  if (Given(scaling, "rope_type")) return GetString(scaling, "rope_type", "config.json: rope_scaling");
  return GetString(scaling, "type", "config.json: rope_scaling");
}

Status ParseScaling(const Json& scaling, Rope& rope) {
  if (!scaling.is_object()) return MakeError(Code::kInvalidArgument, "{}: 'rope_scaling' is no object", kConfig);
  if (Given(scaling, "rope_theta")) {
    TRIBUTARY_ASSIGN(rope.theta, PositiveOr(scaling, "rope_theta", rope.theta, kMaxTheta));
  }
  TRIBUTARY_ASSIGN(const std::string type, ScalingType(scaling));
  if (type == "default") return Ok();
  if (type != "linear" && type != "llama3") {
    return MakeError(Code::kInvalidArgument, "{}: rope_scaling of type '{}' is not supported; supported: default, linear, llama3", kConfig,
                     type);
  }
  rope.scaling = type == "linear" ? Rope::Scaling::kLinear : Rope::Scaling::kLlama3;
  if (!Given(scaling, "factor")) return MakeError(Code::kInvalidArgument, "{}: rope_scaling lacks 'factor'", kConfig);
  TRIBUTARY_ASSIGN(rope.factor, PositiveOr(scaling, "factor", 1, kMaxFactor));
  if (rope.scaling == Rope::Scaling::kLinear) return Ok();
  for (const char* key : {"low_freq_factor", "high_freq_factor", "original_max_position_embeddings"}) {
    if (!Given(scaling, key)) return MakeError(Code::kInvalidArgument, "{}: rope_scaling lacks '{}'", kConfig, key);
  }
  TRIBUTARY_ASSIGN(rope.low_factor, PositiveOr(scaling, "low_freq_factor", 1, kMaxFactor));
  TRIBUTARY_ASSIGN(rope.high_factor, PositiveOr(scaling, "high_freq_factor", 4, kMaxFactor));
  TRIBUTARY_ASSIGN(rope.original, Bounded(scaling, "original_max_position_embeddings", 1, std::int64_t{1} << 30));
  if (rope.high_factor > rope.low_factor) return Ok();
  return MakeError(Code::kInvalidArgument, "{}: rope_scaling has high_freq_factor {}, expected above low_freq_factor {}", kConfig,
                   rope.high_factor, rope.low_factor);
}

}  // namespace

Result<Rope> Rope::Parse(const Json& config) {
  Rope rope;
  TRIBUTARY_ASSIGN(rope.theta, PositiveOr(config, "rope_theta", rope.theta, kMaxTheta));
  for (const char* key : {"rope_scaling", "rope_parameters"}) {
    if (Given(config, key)) TRIBUTARY_TRY(ParseScaling(config[key], rope));
  }
  return rope;
}

void Rope::WriteTo(OrderedJson& json) const {
  json["rope_theta"] = theta;
  if (scaling == Scaling::kNone) {
    json["rope_scaling"] = nullptr;
    return;
  }
  OrderedJson& out = json["rope_scaling"];
  out["rope_type"] = scaling == Scaling::kLinear ? "linear" : "llama3";
  out["factor"] = factor;
  if (scaling == Scaling::kLinear) return;
  out["low_freq_factor"] = low_factor;
  out["high_freq_factor"] = high_factor;
  out["original_max_position_embeddings"] = original;
}

std::vector<float> Rope::Frequencies(std::int64_t width) const {
  std::vector<float> frequencies;
  for (std::int64_t i = 0; i < width; i += 2) {
    double frequency = std::pow(theta, -static_cast<double>(i) / static_cast<double>(width));
    if (scaling == Scaling::kLinear) frequency /= factor;
    if (scaling == Scaling::kLlama3) {
      // How often the wave turns within the original length decides; between the two factors there is a straight line.
      const double turns = static_cast<double>(original) * frequency / (2 * std::numbers::pi);
      const double kept = std::min(1.0, std::max(0.0, (turns - low_factor) / (high_factor - low_factor)));
      frequency = frequency * kept + frequency / factor * (1 - kept);
    }
    frequencies.push_back(static_cast<float>(frequency));
  }
  return frequencies;
}

}  // namespace tributary::train
