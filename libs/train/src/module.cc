// The entry of the shared object.
#include <ATen/Config.h>
#include <torch/version.h>

#include <string>

#include "families.h"
#include "guard.h"
#include "model.h"
#include "network.h"
#include "tributary/train/module.h"

namespace tributary::train {
namespace {

class TorchModule final : public Module {
 public:
  std::string Description() const override { return "libtorch " TORCH_VERSION; }

  Result<std::unique_ptr<Model>> CreateModel(const ModelSpec& spec) override {
    return Guarded("making the model", [&]() -> Result<std::unique_ptr<Model>> {
      TRIBUTARY_ASSIGN(const Json config, ParseJson(spec.config_json, "config.json"));
      TRIBUTARY_ASSIGN(auto network, MakeNetwork(config, spec));
      return MakeModel(std::move(network));
    });
  }
};

}  // namespace
}  // namespace tributary::train

extern "C" __attribute__((visibility("default"))) tributary::train::Module* TributaryTrainModule(
    int abi) {
  static tributary::train::TorchModule module;
  return abi == tributary::train::kModuleAbi ? &module : nullptr;
}
