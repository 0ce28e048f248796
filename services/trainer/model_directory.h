// Reads a Hugging Face directory (config.json, model.safetensors or its shards and index) into a model.
//
// Tensors are read one at a time straight into parameter memory. Everything is checked before the first byte is read: names (with or
// without the prefix "transformer."), dtypes, shapes, the files' real sizes; what is missing or left over is named. One thread.
#pragma once

#include <memory>
#include <string>

#include "tributary/base/result.h"
#include "tributary/train/module.h"

namespace tributary::trainer {

// What can be said of a directory without the module: that its files are there, whole and what they claim.
Status CheckModelDirectory(const std::string& directory);

Result<std::unique_ptr<train::Model>> LoadModelDirectory(const std::string& directory, train::Module& module);

}  // namespace tributary::trainer
