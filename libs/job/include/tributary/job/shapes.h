// Tensor names and shapes of published models, for synthetic jobs that move what those would move.
//
// Names, order and shapes are those of the models' checkpoints. Pure functions; any thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "tributary/base/result.h"
#include "tributary/tensor/layout.h"

namespace tributary::job {

// "llama-3.1-8b", ...; what model.shapes takes.
std::vector<std::string_view> KnownShapes();
// kNotFound for a name that is not known.
Result<std::vector<tensor::TensorSpec>> ShapesOf(std::string_view name, tensor::DType dtype);

}  // namespace tributary::job
