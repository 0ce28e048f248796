// A TorchScript file as it lies on this machine: read once, held against its digest, and loaded from the bytes that were digested.
//
// TorchScript is code: whoever loads a file runs it. The bytes are the site's own (docs/models.md), so nothing is defended against
// here but mistakes. A ScriptFile owns the module; parameters and buffers are references into it. One thread. Failures: kNotFound,
// kInvalidArgument with one line each.
#pragma once

#include <ATen/core/Tensor.h>
#include <torch/csrc/jit/api/module.h>

#include <string>
#include <vector>

#include "tributary/base/result.h"

namespace tributary::train {

struct ScriptTensor {
  std::string name;  // with the names of the modules that it lies in: "head.weight"
  torch::jit::Module owner;
  std::string attribute;
  at::Tensor value;
};

struct ScriptFile {
  torch::jit::Module module;
  std::vector<ScriptTensor> parameters;  // contiguous fp32; tied ones once; a module's own before those of the modules in it
  std::vector<ScriptTensor> buffers;     // copies: `value` stays what the file says
};

// `sha256`: what the file's digest must be, hexadecimal. All tensors of the module, those that it makes no parameters of too, lie on `device`.
Result<ScriptFile> ReadScriptFile(const std::string& path, const std::string& sha256, at::Device device);

// What went wrong in the user's code: the last line of libtorch's report, and the line of Python that it names.
std::string ScriptFault(const std::string& report);

}  // namespace tributary::train
