// Writes a sealed model of the blob-store as a Hugging Face directory: model.safetensors (or its shards and their index), config.json, and the files of its tokenizer; adapters
// as PEFT does: adapter_model.safetensors, adapter_config.json.
//
// Streams chunk by chunk: memory is the reader's window, whatever the model's size. Files are written into DIR.tmp, synced, and the
// directory renamed, so that DIR is whole or absent (an earlier export there is replaced at the end; a directory that
// holds anything else is refused, kAlreadyExists). One thread. Bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <stop_token>
#include <string>
#include <vector>

#include "tributary/base/result.h"
#include "tributary/blob/store.h"

namespace tributary::modeldir {

// Called after each chunk with bytes written and in all; an error ends the export with it.
using ExportProgress = std::function<Status(std::uint64_t done, std::uint64_t total)>;

struct ExportOptions {
  // A directory or a tokenizer.json, as of the job's model.tokenizer: its files are copied beside the weights. Empty: bytes, which
  // need no file.
  std::string tokenizer;
  // In place of it, "NAME@SHA256" of a tokenizer in the same store (tokenizer_files.h), as of the job's model.tokenizer.
  std::string tokenizer_object = {};
  // What adapters call their base by (PEFT's base_model_name_or_path), where they name none themselves. Empty: they stay without.
  std::string base = {};
  // Bytes of tensors in one file of weights, as transformers' max_shard_size; a larger tensor has a file of its own. 0: one file. Adapters are one file.
  std::uint64_t max_shard_bytes = 0;
  ExportProgress progress;
  std::stop_token stop = {};  // kCancelled, whether it is in the weights or in the tokenizer
};

// kUnavailable if the object is not sealed; kNotFound if there is no tokenizer at options.tokenizer or options.tokenizer_object, which is looked for
// before anything is written. config.json is the object's `info`; without one it is left out.
Status ExportModel(blob::BlobStore& store, const ObjectName& object, const std::string& directory, const ExportOptions& options = {});

// The same of a model in memory: bytes(i) are those of tensors[i]. `info` and `tokenizer` are as above.
Status SaveModel(const std::vector<tensor::TensorSpec>& tensors, const std::function<std::span<const std::byte>(std::uint32_t)>& bytes,
                 const std::string& info, const std::string& directory, const std::string& tokenizer, std::uint64_t max_shard_bytes = 0);

}  // namespace tributary::modeldir
