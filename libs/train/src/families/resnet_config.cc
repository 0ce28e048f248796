#include "families/resnet_config.h"

#include "families/config_reader.h"

namespace tributary::train {
namespace {

constexpr std::int64_t kMaxDepth = 256;
constexpr std::int64_t kMaxChannels = 16384;
constexpr std::int64_t kMaxClasses = 1 << 20;

Status ReadSizes(const Json& config, const std::string& key, std::int64_t high, std::array<std::int64_t, ResNetConfig::kStages>& out) {
  if (!Given(config, key)) return MakeError(Code::kInvalidArgument, "{}: '{}' is missing", kConfig, key);
  const Json& list = config[key];
  if (!list.is_array() || list.size() != out.size()) {
    return MakeError(Code::kInvalidArgument, "{}: '{}' is no list of {} numbers", kConfig, key, out.size());
  }
  for (std::size_t i = 0; i < out.size(); ++i) {
    if (!list[i].is_number_integer() || list[i].get<double>() < 1 || list[i].get<double>() > static_cast<double>(high)) {
      return MakeError(Code::kInvalidArgument, "{}: '{}' has {}, expected integers of 1 to {}", kConfig, key, list[i].dump(), high);
    }
    out[i] = list[i].get<std::int64_t>();
  }
  return Ok();
}

constexpr const char* kTransformers = "ResNetForImageClassification";

// transformers' own ResNet has the same model_type and other names of weights.
Result<bool> IsTransformers(const Json& config) {
  if (!Given(config, "architectures")) return false;
  const Json& architectures = config["architectures"];
  if (architectures == Json::array({kTransformers})) return true;
  const std::string text = architectures.dump();
  if (text.find("ResNetForImageClassification") == std::string::npos && text.find("ResNetModel") == std::string::npos &&
      text.find("ResNetBackbone") == std::string::npos) {
    return false;
  }
  return MakeError(Code::kInvalidArgument, "{}: architectures {} is not supported; supported: [\"{}\"], or [\"ResNet18\"] with the names of torchvision's resnet18", kConfig,
                   text, kTransformers);
}

// How many classes transformers counts: its files name each one, and the default is two.
Result<std::int64_t> CountLabels(const Json& config) {
  if (Given(config, "num_labels")) return Bounded(config, "num_labels", 2, kMaxClasses);
  if (!Given(config, "id2label")) return 2;
  const Json& names = config["id2label"];
  if (!names.is_object() || names.size() < 2 || names.size() > static_cast<std::size_t>(kMaxClasses)) {
    return MakeError(Code::kInvalidArgument, "{}: 'id2label' is no object of 2 to {} names", kConfig, kMaxClasses);
  }
  return static_cast<std::int64_t>(names.size());
}

}  // namespace

Result<ResNetConfig> ResNetConfig::Parse(const Json& config) {
  TRIBUTARY_TRY(RefuseForeign(config));
  ResNetConfig c;
  TRIBUTARY_ASSIGN(c.transformers, IsTransformers(config));
  if (c.transformers && !Given(config, "layer_type")) {
    return MakeError(Code::kInvalidArgument, "{}: 'layer_type' is missing, and then transformers' blocks are bottlenecks; supported: basic", kConfig);
  }
  TRIBUTARY_TRY(ChoiceOr(config, "layer_type", "basic", {"basic"}).status());
  TRIBUTARY_TRY(ChoiceOr(config, "hidden_act", "relu", {"relu"}).status());
  TRIBUTARY_TRY(RequireFlag(config, "downsample_in_first_stage", false));
  TRIBUTARY_TRY(ReadSizes(config, "depths", kMaxDepth, c.depths));
  TRIBUTARY_TRY(ReadSizes(config, "hidden_sizes", kMaxChannels, c.widths));
  TRIBUTARY_ASSIGN(const std::int64_t stem, BoundedOr(config, "embedding_size", c.transformers ? 64 : c.widths[0], 1, kMaxChannels));
  if (stem != c.widths[0]) {
    return MakeError(Code::kInvalidArgument, "{}: 'embedding_size' {} is not supported; supported: the first of hidden_sizes, {}", kConfig,
                     stem, c.widths[0]);
  }
  TRIBUTARY_ASSIGN(c.channels, BoundedOr(config, "num_channels", c.channels, 1, 1024));
  TRIBUTARY_ASSIGN(c.classes, c.transformers ? CountLabels(config) : Bounded(config, "num_labels", 2, kMaxClasses));
  if (!c.transformers && !Given(config, "stem")) return MakeError(Code::kInvalidArgument, "{}: 'stem' is missing: cifar or imagenet", kConfig);
  TRIBUTARY_ASSIGN(const std::string name, c.transformers ? ChoiceOr(config, "stem", "imagenet", {"imagenet"}) : ChoiceOr(config, "stem", "", {"cifar", "imagenet"}));
  c.cifar = name == "cifar";
  if (c.transformers) {
    c.architecture = kTransformers;
    for (const char* key : {"id2label", "label2id"}) {
      if (Given(config, key)) c.labels[key] = config[key];
    }
  } else if (Given(config, "architectures") && config["architectures"].is_array() && config["architectures"].size() == 1) {
    TRIBUTARY_ASSIGN(c.architecture, ChoiceOr(Json{{"architectures", config["architectures"][0]}}, "architectures", c.architecture,
                                              {"ResNet18", "ResNet34", "ResNet"}));
  }
  double parameters = static_cast<double>(c.widths.back()) * static_cast<double>(c.classes);
  for (std::size_t i = 0; i < kStages; ++i) {
    const double width = static_cast<double>(c.widths[i]);
    const double before = static_cast<double>(c.widths[i == 0 ? 0 : i - 1]);
    parameters += 9 * before * width + (2 * static_cast<double>(c.depths[i]) - 1) * 9 * width * width;
  }
  TRIBUTARY_TRY(RefuseHuge(parameters));
  return c;
}

std::string ResNetConfig::ToJson() const {
  OrderedJson json;
  json["model_type"] = "resnet";
  json["architectures"] = {architecture};
  json["depths"] = depths;
  json["hidden_sizes"] = widths;
  json["layer_type"] = "basic";
  json["num_channels"] = channels;
  if (transformers) {
    json["embedding_size"] = widths[0];
    json["hidden_act"] = "relu";
    json["downsample_in_first_stage"] = false;
    if (!labels.contains("id2label")) json["num_labels"] = classes;
    for (const auto& [key, names] : labels.items()) json[key] = names;
  } else {
    json["num_labels"] = classes;
    json["stem"] = cifar ? "cifar" : "imagenet";
  }
  json["torch_dtype"] = "float32";
  return json.dump(2) + "\n";
}

}  // namespace tributary::train
