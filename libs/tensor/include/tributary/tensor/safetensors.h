// The header of a safetensors file: 8 bytes little-endian length, JSON, then the tensors' bytes.
//
// Format: https://huggingface.co/docs/safetensors. Reading checks everything against the file's real
// size before anything is allocated for tensors: header length (at most 100 MB), dtypes, shapes against
// offsets, offsets that overlap or leave gaps, bytes missing at the end. Pure; files are the caller's.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "tributary/base/result.h"
#include "tributary/tensor/layout.h"

namespace tributary::tensor {

struct StoredTensor {
  TensorSpec spec;
  std::uint64_t file_offset;  // from the file's beginning
  std::uint64_t bytes;
};

struct SafetensorsHeader {
  std::vector<StoredTensor> tensors;  // in order of file_offset
  std::map<std::string, std::string> metadata;
  std::uint64_t file_bytes = 0;
};

constexpr std::uint64_t kSafetensorsPrefix = 8;
constexpr std::uint64_t kMaxSafetensorsHeader = 100'000'000;

// The JSON length that the first 8 bytes claim, checked against the file's size.
Result<std::uint64_t> SafetensorsHeaderLength(std::span<const std::byte, kSafetensorsPrefix> prefix,
                                              std::uint64_t file_bytes, const std::string& path);
// `json` is the header's text (without the prefix).
Result<SafetensorsHeader> ParseSafetensorsHeader(std::string_view json, std::uint64_t file_bytes,
                                                 const std::string& path);
// Opens, reads and checks the header of a file.
Result<SafetensorsHeader> ReadSafetensorsHeader(const std::string& path);

// Prefix and JSON for these tensors laid out one after the other, padded with spaces so that the data
// begins at a multiple of 64. `header_out` of tensor i's data = the returned text's size + sum before.
std::string MakeSafetensorsHeader(const std::vector<TensorSpec>& tensors,
                                  const std::map<std::string, std::string>& metadata);

}  // namespace tributary::tensor
