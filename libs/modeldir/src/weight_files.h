// The safetensors files of a model directory that is being written: one, or shards with their index, as transformers reads them.
//
// All files lie there with their headers after Make, and bytes are written in any order; one file is open at a time, whatever their number. Nothing is
// durable before Finish. One thread. Bytes.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "new_file.h"
#include "tributary/base/result.h"
#include "tributary/tensor/layout.h"

namespace tributary::modeldir {

class WeightFiles {
 public:
  // Below `directory`, named PREFIXmodel.safetensors. With `max_shard_bytes` and more bytes of tensors than that: PREFIXmodel-00001-of-0000N.safetensors and so on,
  // tensors in order, each file as many as its bytes allow and at least one, and PREFIXmodel.safetensors.index.json. kInvalidArgument for more than 99999.
  static Result<WeightFiles> Make(const std::string& directory, const std::string& prefix, const std::vector<tensor::TensorSpec>& tensors,
                                  std::uint64_t max_shard_bytes);

  Status Write(std::uint32_t tensor, std::uint64_t offset, std::span<const std::byte> bytes);
  // Lets the disk begin with what is written so far: a hint.
  void StartWriting() const;
  // Everything is on disk; the index names files that are.
  Status Finish();

  // Whether a file of this name may be one of an earlier directory's weights.
  static bool IsOurs(const std::string& name);

 private:
  struct Place {
    std::size_t file = 0;
    std::uint64_t offset = 0;
  };

  WeightFiles() = default;
  Status Open(std::size_t file);

  std::string directory_;
  std::string index_;  // its path; empty: there is one file
  std::string index_text_;
  std::vector<std::string> names_;
  std::vector<Place> places_;  // of each tensor
  std::optional<NewFile> open_;
  std::size_t open_file_ = 0;
};

}  // namespace tributary::modeldir
