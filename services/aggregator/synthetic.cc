#include "services/aggregator/synthetic.h"

#include <algorithm>
#include <cstring>

#include "tributary/base/random.h"

namespace tributary::aggregator {
namespace {

using tensor::DType;

// SplitMix64 is a function of a counter, so number n of a sequence costs the same as the first.
constexpr std::uint64_t kGamma = 0x9E3779B97F4A7C15ULL;
std::uint64_t NumberAt(std::uint64_t seed, std::uint64_t n) { return SplitMix64(seed + n * kGamma).Next(); }

// Elements [first, first + count), `per` of them out of each number.
template <class T, unsigned kPer, class Convert>
void Generate(std::uint64_t seed, std::uint64_t first, std::uint64_t count, std::byte* out, Convert convert) {
  constexpr unsigned kBits = 64 / kPer;
  std::uint64_t i = 0;
  while (i < count) {
    const std::uint64_t number = NumberAt(seed, (first + i) / kPer);
    for (unsigned part = static_cast<unsigned>((first + i) % kPer); part < kPer && i < count; ++part, ++i) {
      const T value = convert(number >> (part * kBits));
      std::memcpy(out + i * sizeof(T), &value, sizeof(T));
    }
  }
}

void Random(DType dtype, std::uint64_t seed, std::uint64_t first, std::uint64_t count, std::byte* out) {
  switch (dtype) {
    case DType::kF32:
      return Generate<float, 2>(seed, first, count, out, [](std::uint64_t bits) {
        return static_cast<float>(bits & 0xFFFFFFu) * 0x1.0p-23f - 1.0f;
      });
    case DType::kF16:
      return Generate<std::uint16_t, 4>(seed, first, count, out, [](std::uint64_t bits) {
        return tensor::FloatToF16(static_cast<float>(bits & 0x7FFu) * 0x1.0p-10f - 1.0f);
      });
    case DType::kBF16:
      return Generate<std::uint16_t, 4>(seed, first, count, out, [](std::uint64_t bits) {
        return tensor::FloatToBF16(static_cast<float>(bits & 0xFFu) * 0x1.0p-7f - 1.0f);
      });
    case DType::kF64:
      return Generate<double, 1>(seed, first, count, out, [](std::uint64_t bits) {
        return static_cast<double>(bits >> 11) * 0x1.0p-52 - 1.0;
      });
    case DType::kI64:
      return Generate<std::int64_t, 1>(seed, first, count, out, [](std::uint64_t bits) {
        return static_cast<std::int64_t>(bits & 0xFFu) - 128;
      });
    case DType::kI32:
      return Generate<std::int32_t, 2>(seed, first, count, out, [](std::uint64_t bits) {
        return static_cast<std::int32_t>(bits & 0xFFu) - 128;
      });
    case DType::kU8:
      return Generate<std::uint8_t, 8>(seed, first, count, out,
                                       [](std::uint64_t bits) { return static_cast<std::uint8_t>(bits); });
    case DType::kBool:
      return Generate<std::uint8_t, 8>(seed, first, count, out,
                                       [](std::uint64_t bits) { return static_cast<std::uint8_t>(bits & 1); });
  }
}

template <class T>
void Constant(T value, std::uint64_t count, std::byte* out) {
  for (std::uint64_t i = 0; i < count; ++i) std::memcpy(out + i * sizeof(T), &value, sizeof(T));
}

void Constant(DType dtype, std::uint64_t count, std::byte* out) {
  switch (dtype) {
    case DType::kF32: return Constant(0.5f, count, out);
    case DType::kF16: return Constant(tensor::FloatToF16(0.5f), count, out);
    case DType::kBF16: return Constant(tensor::FloatToBF16(0.5f), count, out);
    case DType::kF64: return Constant(0.5, count, out);
    case DType::kI64: return Constant(std::int64_t{1}, count, out);
    case DType::kI32: return Constant(std::int32_t{1}, count, out);
    case DType::kU8:
    case DType::kBool: return Constant(std::uint8_t{1}, count, out);
  }
}

}  // namespace

void FillSynthetic(const job::SyntheticModel& model, std::uint64_t seed, const tensor::SlotPlace& place,
                   std::span<std::byte> out) {
  if (model.fill == job::FillKind::kConstant) return Constant(place.dtype, place.elements, out.data());
  const std::uint64_t mixed = MixSeed(seed, place.section);
  const std::uint64_t width = tensor::ElementBytes(place.dtype);
  const std::uint64_t period = std::max<std::uint64_t>(1, model.distinct / width);
  if (model.fill == job::FillKind::kRandom || model.distinct == 0) {
    return Random(place.dtype, mixed, place.first_element, place.elements, out.data());
  }
  for (std::uint64_t done = 0; done < place.elements;) {
    const std::uint64_t first = (place.first_element + done) % period;
    const std::uint64_t count = std::min(place.elements - done, period - first);
    Random(place.dtype, mixed, first, count, out.data() + done * width);
    done += count;
  }
}

}  // namespace tributary::aggregator
