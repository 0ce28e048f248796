// Headers of safetensors files: the first two bytes scale the size that the file is said to have, the rest is the JSON.
#include "tests/fuzz/target.h"
#include "tributary/tensor/safetensors.h"

using namespace tributary;

std::vector<std::string> tributary::fuzz::Seeds() {
  const std::string header = tensor::MakeSafetensorsHeader({{"a", tensor::DType::kF32, {3, 4}}, {"b", tensor::DType::kBF16, {8}}}, {{"format", "pt"}});
  const std::string json = header.substr(tensor::kSafetensorsPrefix);
  const std::uint64_t bytes = header.size() + 64;
  std::string size{static_cast<char>(bytes & 0xFF), static_cast<char>(bytes >> 8)};
  return {size + json, size + R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})"};
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const std::uint64_t file_bytes = data[0] | (static_cast<std::uint64_t>(data[1]) << 8);
  const auto header = tensor::ParseSafetensorsHeader(fuzz::Text(data + 2, size - 2), file_bytes, "input");
  if (!header.ok()) return 0;
  for (const auto& stored : header->tensors) {
    fuzz::Promise(stored.file_offset <= file_bytes && stored.bytes <= file_bytes - stored.file_offset, "a tensor lies in its file");
  }
  return 0;
}
