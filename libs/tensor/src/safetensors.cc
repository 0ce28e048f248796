#include "tributary/tensor/safetensors.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "tributary/json/json.h"

namespace tributary::tensor {

Result<std::uint64_t> SafetensorsHeaderLength(std::span<const std::byte, kSafetensorsPrefix> prefix,
                                              std::uint64_t file_bytes, const std::string& path) {
  std::uint64_t length = 0;
  for (std::size_t i = 0; i < kSafetensorsPrefix; ++i) {
    length |= static_cast<std::uint64_t>(prefix[i]) << (8 * i);
  }
  if (length > kMaxSafetensorsHeader || length + kSafetensorsPrefix > file_bytes) {
    return MakeError(Code::kDataLoss,
                     "{}: its header claims {} bytes but the file has {}; it is truncated or not a "
                     "safetensors file",
                     path, length, file_bytes);
  }
  return length;
}

Result<SafetensorsHeader> ParseSafetensorsHeader(std::string_view json, std::uint64_t file_bytes,
                                                 const std::string& path) {
  TRIBUTARY_ASSIGN(const Json root, ParseJson(json, path));
  if (!root.is_object()) return MakeError(Code::kDataLoss, "{}: the header is not an object", path);
  const std::uint64_t data_begin = kSafetensorsPrefix + json.size();
  if (data_begin > file_bytes) {
    return MakeError(Code::kDataLoss, "{}: the header is longer than the file ({} bytes)", path, file_bytes);
  }
  SafetensorsHeader header;
  header.file_bytes = file_bytes;
  for (const auto& [name, value] : root.items()) {
    if (name == "__metadata__") {
      if (!value.is_object()) return MakeError(Code::kDataLoss, "{}: __metadata__ is not an object", path);
      for (const auto& [key, text] : value.items()) {
        if (text.is_string()) header.metadata[key] = text.get<std::string>();
      }
      continue;
    }
    const std::string where = fmt::format("{}: tensor '{}'", path, name);
    TRIBUTARY_ASSIGN(const std::string dtype_name, GetString(value, "dtype", where));
    auto dtype = ParseDType(dtype_name);
    if (!dtype.ok()) return dtype.error().Wrap(where);
    const auto shape = value.find("shape");
    const auto offsets = value.find("data_offsets");
    if (shape == value.end() || !shape->is_array() || offsets == value.end() || !offsets->is_array() ||
        offsets->size() != 2 || !(*offsets)[0].is_number_unsigned() || !(*offsets)[1].is_number_unsigned()) {
      return MakeError(Code::kDataLoss, "{}: shape or data_offsets is missing or malformed", where);
    }
    TensorSpec spec{name, *dtype, {}};
    for (const auto& dimension : *shape) {
      if (!dimension.is_number_unsigned()) return MakeError(Code::kDataLoss, "{}: bad shape", where);
      spec.shape.push_back(dimension.get<std::uint64_t>());
    }
    auto elements = ElementCount(spec.shape);
    if (!elements.ok()) return elements.error().Wrap(where);
    const auto begin = (*offsets)[0].get<std::uint64_t>();
    const auto end = (*offsets)[1].get<std::uint64_t>();
    const std::uint64_t bytes = *elements * ElementBytes(*dtype);
    if (end < begin || end - begin != bytes) {
      return MakeError(Code::kDataLoss, "{}: data_offsets span {} bytes but shape and dtype need {}", where,
                       end < begin ? 0 : end - begin, bytes);
    }
    if (end > file_bytes - data_begin) {
      return MakeError(Code::kDataLoss,
                       "{}: its data ends at byte {} but the file has {}; the file is truncated", where,
                       data_begin + end, file_bytes);
    }
    header.tensors.push_back({std::move(spec), data_begin + begin, bytes});
  }
  std::sort(header.tensors.begin(), header.tensors.end(),
            [](const auto& a, const auto& b) { return a.file_offset < b.file_offset; });
  std::uint64_t expected = data_begin;
  for (const StoredTensor& tensor : header.tensors) {
    if (tensor.file_offset != expected) {
      return MakeError(Code::kDataLoss, "{}: tensor '{}' overlaps another or leaves a gap before it", path,
                       tensor.spec.name);
    }
    expected += tensor.bytes;
  }
  if (expected != file_bytes) {
    return MakeError(Code::kDataLoss, "{}: {} bytes after the last tensor", path, file_bytes - expected);
  }
  return header;
}

Result<SafetensorsHeader> ReadSafetensorsHeader(const std::string& path) {
  std::error_code ec;
  const auto file_bytes = std::filesystem::file_size(path, ec);
  if (ec) return ErrnoError(ec.value(), path);
  std::ifstream in(path, std::ios::binary);
  if (!in) return ErrnoError(errno, path);
  std::array<std::byte, kSafetensorsPrefix> prefix{};
  if (!in.read(reinterpret_cast<char*>(prefix.data()), prefix.size())) {
    return MakeError(Code::kDataLoss, "{}: {} bytes are too few for a safetensors file", path, file_bytes);
  }
  TRIBUTARY_ASSIGN(const std::uint64_t length, SafetensorsHeaderLength(prefix, file_bytes, path));
  std::string json(length, '\0');
  if (!in.read(json.data(), static_cast<std::streamsize>(length))) {
    return MakeError(Code::kDataLoss, "{}: the header could not be read", path);
  }
  return ParseSafetensorsHeader(json, file_bytes, path);
}

std::string MakeSafetensorsHeader(const std::vector<TensorSpec>& tensors,
                                  const std::map<std::string, std::string>& metadata) {
  OrderedJson root = OrderedJson::object();
  if (!metadata.empty()) root["__metadata__"] = metadata;
  std::uint64_t offset = 0;
  for (const TensorSpec& tensor : tensors) {
    std::uint64_t bytes = ElementBytes(tensor.dtype);
    for (const auto dimension : tensor.shape) bytes *= dimension;
    root[tensor.name] = {{"dtype", DTypeName(tensor.dtype)},
                         {"shape", tensor.shape},
                         {"data_offsets", {offset, offset + bytes}}};
    offset += bytes;
  }
  std::string json = root.dump(-1, ' ', false, OrderedJson::error_handler_t::replace);
  while ((json.size() + kSafetensorsPrefix) % 64 != 0) json += ' ';
  std::string text(kSafetensorsPrefix, '\0');
  for (std::size_t i = 0; i < kSafetensorsPrefix; ++i) {
    text[i] = static_cast<char>((json.size() >> (8 * i)) & 0xFF);
  }
  return text + json;
}

}  // namespace tributary::tensor
