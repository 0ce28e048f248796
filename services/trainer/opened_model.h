// A model directory, or PEFT's adapters over one, opened for use: the model with its weights, and its tokenizer.
//
// Both belong to the caller; one thread. A wrong path is told before the training module is loaded. Without tokenizer files a model of
// 257 tokens reads bytes.
#pragma once

#include <memory>
#include <string>

#include "services/trainer/task_support.h"
#include "tributary/base/result.h"
#include "tributary/text/tokenizer.h"

namespace tributary::trainer {

struct OpenedModel {
  std::unique_ptr<train::Model> model;
  std::unique_ptr<text::Tokenizer> tokenizer;
};

// `base`: where the base of adapters lies; empty: where they say. `wishes` says all but config and adapters; a 4-bit base is for
// adapters alone.
Result<OpenedModel> OpenModel(const std::string& directory, const std::string& base, const train::ModelSpec& wishes, const LoadModule& load);

}  // namespace tributary::trainer
