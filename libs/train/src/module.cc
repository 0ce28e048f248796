// The entry of the shared object.
#include <ATen/Config.h>
#include <torch/version.h>

#include <string>

#include "families.h"
#include "guard.h"
#include "model.h"
#include "network.h"
#include "place.h"
#include "tributary/train/module.h"

namespace tributary::train {
namespace {

class TorchModule final : public Module {
 public:
  std::string Description() const override { return "libtorch " TORCH_VERSION; }

  Result<std::unique_ptr<Model>> CreateModel(const ModelSpec& spec) override {
    return Guarded("making the model", [&]() -> Result<std::unique_ptr<Model>> {
      TRIBUTARY_ASSIGN(const Place place, ChoosePlace(spec.device));
      const DeviceMemoryWatch watch(place);
      TRIBUTARY_ASSIGN(const Json config, ParseJson(spec.config_json, "config.json"));
      TRIBUTARY_ASSIGN(auto network, MakeNetwork(config, spec));
      return MakeModel(std::move(network));
    });
  }

  std::uint64_t DevicePeakBytes() const override { return train::DevicePeakBytes(); }
};

}  // namespace
}  // namespace tributary::train

extern "C" __attribute__((visibility("default"))) tributary::train::Module* TributaryTrainModule(
    int abi) {
  static tributary::train::TorchModule module;
  return abi == tributary::train::kModuleAbi ? &module : nullptr;
}

// A hook of tests, for the code of a device where there is none (PlaceAllOn): a kind of device as c10::DeviceType counts; -1: none.
extern "C" __attribute__((visibility("default"))) void TributaryTrainPlaceAllOn(int type) {
  std::optional<at::Device> device;
  if (type == 0) device = at::Device(at::kCPU);
  if (type > 0) device = at::Device(static_cast<at::DeviceType>(type), 0);
  tributary::train::PlaceAllOn(device);
}
