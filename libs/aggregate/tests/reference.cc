#include "reference.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "tributary/encoding/encoding.h"

namespace tributary::aggregate {
namespace {

using tensor::DType;
using tensor::Encoding;

template <class T>
T At(const std::vector<std::byte>& bytes, std::size_t i) {
  T value;
  std::memcpy(&value, bytes.data() + i * sizeof(T), sizeof(T));
  return value;
}

float Widen(DType dtype, Encoding encoding, const std::vector<std::byte>& bytes, std::size_t i, std::size_t elements) {
  if (encoding == Encoding::kInt8 || encoding == Encoding::kNf4) {
    const std::size_t first = i / encoding::kBlock * encoding::kBlock;
    std::vector<float> values(std::min<std::size_t>(encoding::kBlock, elements - first));
    encoding::DecodePart(encoding, bytes, first, elements, values);
    return values[i - first];
  }
  if (encoding == Encoding::kF16 || (encoding == Encoding::kNative && dtype == DType::kF16)) {
    return tensor::F16ToFloat(At<std::uint16_t>(bytes, i));
  }
  if (encoding == Encoding::kBF16 || dtype == DType::kBF16) return tensor::BF16ToFloat(At<std::uint16_t>(bytes, i));
  if (dtype == DType::kF64) return static_cast<float>(At<double>(bytes, i));
  return At<float>(bytes, i);
}

__extension__ using Wide = __int128;

template <class T>
T MeanOfIntegers(const std::vector<ReferenceInput>& inputs, std::size_t i) {
  const T first = At<T>(inputs.front().chunk, i);
  volatile float acc = 0;
  for (std::size_t k = 1; k < inputs.size(); ++k) {
    const T x = At<T>(inputs[k].chunk, i);
    // 128 bits hold every difference and every sum of 64.
    const Wide difference = static_cast<Wide>(x) - static_cast<Wide>(first);
    volatile float product = inputs[k].weight * static_cast<float>(difference);
    acc = acc + product;
  }
  const Wide mean = static_cast<Wide>(first) + static_cast<Wide>(std::nearbyint(static_cast<double>(acc)));
  const Wide low = std::numeric_limits<T>::min();
  const Wide high = std::numeric_limits<T>::max();
  return static_cast<T>(std::clamp(mean, low, high));
}

}  // namespace

std::vector<std::byte> ReferenceMean(DType dtype, std::size_t elements, const std::vector<ReferenceInput>& inputs) {
  const std::size_t width = tensor::ElementBytes(dtype);
  std::vector<std::byte> out(elements * width);
  const auto put = [&](std::size_t i, auto value) { std::memcpy(out.data() + i * width, &value, sizeof value); };
  for (std::size_t i = 0; i < elements; ++i) {
    if (dtype == DType::kI64) {
      put(i, MeanOfIntegers<std::int64_t>(inputs, i));
      continue;
    }
    if (dtype == DType::kI32) {
      put(i, MeanOfIntegers<std::int32_t>(inputs, i));
      continue;
    }
    if (dtype == DType::kU8 || dtype == DType::kBool) {
      put(i, MeanOfIntegers<std::uint8_t>(inputs, i));
      continue;
    }
    // volatile: each product and each sum is rounded on its own, whatever the compiler may do.
    volatile float acc = 0;
    for (const ReferenceInput& input : inputs) {
      volatile float product = input.weight * Widen(dtype, input.encoding, input.chunk, i, elements);
      acc = acc + product;
    }
    const float mean = acc;
    if (dtype == DType::kF16) {
      put(i, tensor::FloatToF16(mean));
    } else if (dtype == DType::kBF16) {
      put(i, tensor::FloatToBF16(mean));
    } else if (dtype == DType::kF64) {
      put(i, static_cast<double>(mean));
    } else {
      put(i, mean);
    }
  }
  return out;
}

}  // namespace tributary::aggregate
