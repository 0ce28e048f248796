// PEFT's adapter_config.json of a network's adapters.
#pragma once

#include <string>

#include "weights.h"

namespace tributary::train {

// Empty where there are none. `base_model_name_or_path` is left empty: who writes the directory knows it.
std::string AdapterConfig(const WeightSet& weights);

}  // namespace tributary::train
