#include "families.h"

#include <array>
#include <string>
#include <string_view>

#include "network.h"

namespace tributary::train {
namespace {

struct Family {
  std::string_view model_type;
  Result<std::unique_ptr<Network>> (*make)(const Json& config, const ModelSpec& spec);
};
constexpr std::array kFamilies = {Family{"gpt2", MakeGpt2}};

}  // namespace

Result<std::unique_ptr<Network>> MakeNetwork(const Json& config, const ModelSpec& spec) {
  TRIBUTARY_ASSIGN(const std::string type, GetString(config, "model_type", "config.json"));
  std::string known;
  for (const Family& family : kFamilies) {
    if (family.model_type == type) return family.make(config, spec);
    known += (known.empty() ? "" : ", ") + std::string(family.model_type);
  }
  return MakeError(Code::kInvalidArgument,
                   "config.json: model_type '{}' is not supported; supported: {}", type, known);
}

}  // namespace tributary::train
