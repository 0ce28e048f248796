// The config.json of a ResNet of basic blocks, checked: in a form of this project, whose weights have torchvision's names, or as transformers
// writes that of ResNetForImageClassification.
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "tributary/base/result.h"
#include "tributary/json/json.h"

namespace tributary::train {

struct ResNetConfig {
  static constexpr std::size_t kStages = 4;

  std::array<std::int64_t, kStages> depths{};  // blocks
  std::array<std::int64_t, kStages> widths{};  // channels
  std::int64_t channels = 3;                   // of an image
  std::int64_t classes = 0;
  bool cifar = false;  // stem: 3x3 at stride 1; else 7x7 at stride 2 and a max pool
  std::string architecture = "ResNet18";
  bool transformers = false;           // weights have the names of ResNetForImageClassification
  Json labels = Json::object();        // transformers' id2label and label2id as they stand

  static Result<ResNetConfig> Parse(const Json& config);
  std::string ToJson() const;
};

}  // namespace tributary::train
