// Model families by the model_type of their config.json.
#pragma once

#include <memory>

#include "tributary/base/result.h"
#include "tributary/json/json.h"
#include "tributary/train/module.h"

namespace tributary::train {

class Network;

// Refuses an unknown model_type with the names of the known ones. May throw what libtorch throws
// (no memory).
Result<std::unique_ptr<Network>> MakeNetwork(const Json& config, const ModelSpec& spec);

// One per file under families/.
Result<std::unique_ptr<Network>> MakeGpt2(const Json& config, const ModelSpec& spec);
Result<std::unique_ptr<Network>> MakeLlama(const Json& config, const ModelSpec& spec);  // and mistral
Result<std::unique_ptr<Network>> MakeOpt(const Json& config, const ModelSpec& spec);
Result<std::unique_ptr<Network>> MakeGptNeo(const Json& config, const ModelSpec& spec);
Result<std::unique_ptr<Network>> MakeResNet(const Json& config, const ModelSpec& spec);
// Of a file on this machine, which is code: who reads a config.json from elsewhere looks at its model_type first.
Result<std::unique_ptr<Network>> MakeTorchScript(const Json& config, const ModelSpec& spec);

}  // namespace tributary::train
