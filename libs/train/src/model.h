// The Model of the contract over any Network.
#pragma once

#include <memory>

#include "network.h"
#include "tributary/base/result.h"
#include "tributary/train/module.h"

namespace tributary::train {

Result<std::unique_ptr<Model>> MakeModel(std::unique_ptr<Network> network);

}  // namespace tributary::train
