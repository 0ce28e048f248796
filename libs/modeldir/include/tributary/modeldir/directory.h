// A Hugging Face model directory: config.json, and model.safetensors or its shards and index.
//
// Opening reads texts and headers, never weights, and checks them against the files' real sizes: what a directory says may come from
// anywhere. A ModelDirectory is a plain value; files are opened again for each read. Errors name the file. Any thread. Bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tributary/base/result.h"
#include "tributary/tensor/layout.h"

namespace tributary::modeldir {

struct StoredWeight {
  tensor::TensorSpec spec;
  std::string file;           // path
  std::uint64_t offset = 0;   // in the file
  std::uint64_t bytes = 0;
};

struct ModelDirectory {
  std::string path;
  std::string config_json;
  std::vector<StoredWeight> weights;  // in order of files, then of offsets; empty where there is config.json alone
  bool has_tokenizer = false;         // one of the files that text::OpenTokenizer reads lies beside them
};

// kNotFound without config.json. Tensors that are derived from others (DerivedWeight) are listed, too.
Result<ModelDirectory> OpenModelDirectory(const std::string& path);

// What PEFT writes: adapter_config.json and adapter_model.safetensors.
struct AdapterDirectory {
  std::string path;
  std::string config_json;
  std::vector<StoredWeight> weights;
};
bool IsAdapterDirectory(const std::string& path);
Result<AdapterDirectory> OpenAdapterDirectory(const std::string& path);

// The file by which the weights of a directory are read: model.safetensors, the index of its shards, or adapter_model.safetensors.
std::string WeightsFileOf(const std::string& path);

// Whether a tensor of this name may lie in a file though a model does without: masks, tables of rotations, and an output layer that is
// tied to the embedding. Older versions of transformers saved them.
bool DerivedWeight(std::string_view name);
// The name without "transformer." or "model.", which some files leave out.
std::string_view BareWeightName(std::string_view name);

// Reads `out.size()` bytes from `offset` within the weight.
Status ReadWeight(const StoredWeight& weight, std::uint64_t offset, std::span<std::byte> out);

}  // namespace tributary::modeldir
