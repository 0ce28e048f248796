#include <algorithm>
#include <bit>
#include <cmath>

#include "loads.h"
#include "tributary/encoding/encoding.h"
#include "tributary/encoding/half.h"

namespace tributary::encoding {
namespace {

using tensor::Encoding;

constexpr std::uint32_t kMagnitude = 0x7FFFFFFFu;

// Midpoints of neighbouring levels, as bitsandbytes decides.
constexpr float kNf4Thresholds[15] = {
    -0.8480964004993439f,  -0.6106329262256622f, -0.4599952697753906f, -0.33967943489551544f, -0.23460740596055984f,
    -0.13791173323988914f, -0.045525018125772476f, 0.03979014977812767f, 0.1202552504837513f,  0.2035212516784668f,
    0.2920137718319893f,   0.3893125355243683f,  0.5016634166240692f,  0.6427869200706482f,  0.8614784181118011f,
};

Error Unfit(Encoding encoding, std::span<const float> values, std::uint64_t first, float largest) {
  const auto bad = std::find_if_not(values.begin(), values.end(), [=](float x) { return std::abs(x) <= largest; });
  return MakeError(Code::kInvalidArgument, "element {} is {}: {} holds finite numbers up to {}; did the training diverge?",
                   first + static_cast<std::uint64_t>(bad - values.begin()), *bad, tensor::EncodingName(encoding), largest);
}

// Halves: exponents of all ones after rounding are what does not fit.
template <std::uint16_t kExponent, class Narrow>
bool NarrowAll(std::span<const float> values, std::byte* out, Narrow narrow) {
  std::uint32_t bad = 0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    const std::uint16_t half = narrow(values[i]);
    bad |= (half & kExponent) == kExponent ? 1u : 0u;
    Put<std::uint16_t>(out, i, half);
  }
  return bad == 0;
}

// The largest magnitude, as bits, which are ordered as magnitudes are: NaN and infinities come out largest.
std::uint32_t LargestBits(const float* block) {
  std::int32_t largest = 0;
  for (std::size_t i = 0; i < kBlock; ++i) {
    largest = std::max(largest, static_cast<std::int32_t>(std::bit_cast<std::uint32_t>(block[i]) & kMagnitude));
  }
  return static_cast<std::uint32_t>(largest);
}

// Adding and subtracting 1.5 · 2^23 rounds to the nearest whole number, ties to even, without a library call.
void Int8Block(const float* block, float scale, std::int8_t* codes) {
  for (std::size_t i = 0; i < kBlock; ++i) {
    float q = block[i] / scale;
    q = q < -127.0f ? -127.0f : q;
    q = q > 127.0f ? 127.0f : q;
    codes[i] = static_cast<std::int8_t>(std::bit_cast<std::int32_t>(q + 0x1.8p23f) - 0x4B400000);
  }
}

void Nf4Block(const float* block, float largest, std::int32_t* codes) {
  for (std::size_t i = 0; i < kBlock; ++i) {
    const float x = block[i] / largest;
    std::int32_t code = 0;
    for (const float threshold : kNf4Thresholds) code += x > threshold ? 1 : 0;
    codes[i] = code;
  }
}

// A block at a time in memory of its own, filled up with zeros, so that loops are of one length.
template <class Encode>
Status EncodeBlocks(Encoding encoding, std::span<const float> values, std::uint64_t first, Encode encode) {
  float block[kBlock];
  for (std::size_t at = 0; at < values.size(); at += kBlock) {
    const std::size_t count = std::min<std::size_t>(kBlock, values.size() - at);
    std::fill(std::copy_n(values.begin() + static_cast<std::ptrdiff_t>(at), count, block), block + kBlock, 0.0f);
    const std::uint32_t largest = LargestBits(block);
    if (largest > 0x7F7FFFFFu) {
      return Unfit(encoding, values.subspan(at, count), first + at, std::numeric_limits<float>::max());
    }
    encode(block, std::bit_cast<float>(largest), first + at, count);
  }
  return Ok();
}

Status EncodeInt8(std::span<const float> values, std::uint64_t first, std::uint64_t elements, std::byte* chunk) {
  std::byte* codes = chunk + Blocks(elements) * sizeof(float);
  return EncodeBlocks(Encoding::kInt8, values, first, [&](const float* block, float largest, std::uint64_t at, std::size_t count) {
    const float scale = std::min(largest / 127.0f, kMaxInt8Scale);
    std::int8_t q[kBlock] = {};
    if (scale > 0) Int8Block(block, scale, q);
    Put<float>(chunk, at / kBlock, scale);
    std::memcpy(codes + at, q, count);
  });
}

Status EncodeNf4(std::span<const float> values, std::uint64_t first, std::uint64_t elements, std::byte* chunk) {
  std::byte* codes = chunk + Blocks(elements) * sizeof(float);
  return EncodeBlocks(Encoding::kNf4, values, first, [&](const float* block, float largest, std::uint64_t at, std::size_t count) {
    std::int32_t indices[kBlock];
    std::fill(indices, indices + kBlock, 7);
    if (largest > 0) Nf4Block(block, largest, indices);
    if (count % 2 != 0) indices[count] = 0;
    Put<float>(chunk, at / kBlock, largest);
    std::byte packed[kBlock / 2];
    for (std::size_t i = 0; i < kBlock / 2; ++i) packed[i] = static_cast<std::byte>(indices[2 * i] << 4 | indices[2 * i + 1]);
    std::memcpy(codes + at / 2, packed, (count + 1) / 2);
  });
}

}  // namespace

Status EncodePart(Encoding encoding, std::span<const float> values, std::uint64_t first, std::uint64_t elements,
                  std::span<std::byte> chunk) {
  switch (encoding) {
    case Encoding::kNative: break;
    case Encoding::kF16:
      if (NarrowAll<0x7C00>(values, chunk.data() + first * 2, NarrowF16)) return Ok();
      return Unfit(encoding, values, first, 0x1.FFDFFEp+15f);
    case Encoding::kBF16:
      if (NarrowAll<0x7F80>(values, chunk.data() + first * 2, NarrowBF16)) return Ok();
      return Unfit(encoding, values, first, 0x1.FEFFFEp+127f);
    case Encoding::kInt8: return EncodeInt8(values, first, elements, chunk.data());
    case Encoding::kNf4: return EncodeNf4(values, first, elements, chunk.data());
  }
  return Error(Code::kInternal, "native elements are not encoded");
}

}  // namespace tributary::encoding
