#include "tributary/encoding/encoding.h"

namespace tributary::encoding {

using tensor::DType;
using tensor::Encoding;

// bitsandbytes' create_normal_map, rounded to fp32.
const float kNf4Levels[16] = {
    -1.0f,
    -0.6961928009986877f,
    -0.5250730514526367f,
    -0.39491748809814453f,
    -0.28444138169288635f,
    -0.18477343022823334f,
    -0.09105003625154495f,
    0.0f,
    0.07958029955625534f,
    0.16093020141124725f,
    0.24611230194568634f,
    0.33791524171829224f,
    0.44070982933044434f,
    0.5626170039176941f,
    0.7229568362236023f,
    1.0f,
};

bool IsFloat(DType dtype) {
  return dtype == DType::kF32 || dtype == DType::kF16 || dtype == DType::kBF16 || dtype == DType::kF64;
}

Encoding EffectiveEncoding(DType dtype, Encoding encoding) {
  if (!IsFloat(dtype)) return Encoding::kNative;
  const bool halves = encoding == Encoding::kF16 || encoding == Encoding::kBF16;
  return halves && tensor::ElementBytes(dtype) <= 2 ? Encoding::kNative : encoding;
}

std::uint64_t EncodedBytes(DType dtype, Encoding encoding, std::uint64_t elements) {
  switch (EffectiveEncoding(dtype, encoding)) {
    case Encoding::kNative: break;
    case Encoding::kF16:
    case Encoding::kBF16: return elements * 2;
    case Encoding::kInt8: return Blocks(elements) * sizeof(float) + elements;
    case Encoding::kNf4: return Blocks(elements) * sizeof(float) + elements / 2 + elements % 2;
  }
  return elements * tensor::ElementBytes(dtype);
}

}  // namespace tributary::encoding
