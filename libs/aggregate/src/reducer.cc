#include "tributary/aggregate/reducer.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "kernels.h"
#include "tributary/encoding/encoding.h"

namespace tributary::aggregate {
namespace {

using encoding::IsFloat;
using tensor::DType;
using tensor::Encoding;

Kernel KernelOf(DType dtype) {
  switch (dtype) {
    case DType::kF32: return Kernel::kF32;
    case DType::kF16: return Kernel::kF16;
    case DType::kBF16: return Kernel::kBF16;
    case DType::kF64: return Kernel::kF64;
    case DType::kI64: return Kernel::kI64;
    case DType::kI32: return Kernel::kI32;
    case DType::kU8: return Kernel::kU8;
    case DType::kBool: return Kernel::kBool;
  }
  return Kernel::kU8;
}

// Of a chunk as it stands. REQUIRES: encoding is the effective one of the dtype.
Kernel KernelOf(DType dtype, Encoding encoding) {
  switch (encoding) {
    case Encoding::kNative: break;
    case Encoding::kF16: return Kernel::kF16;
    case Encoding::kBF16: return Kernel::kBF16;
    case Encoding::kInt8: return Kernel::kInt8;
    case Encoding::kNf4: return Kernel::kNf4;
  }
  return KernelOf(dtype);
}

// The largest sum that the dtype holds, rounding included: the next float would be stored as an infinity.
float LargestSum(DType dtype) {
  switch (dtype) {
    case DType::kF16: return 0x1.FFDFFEp+15f;
    case DType::kBF16: return 0x1.FEFFFEp+127f;
    default: return std::numeric_limits<float>::max();
  }
}

// Where the accumulator begins. The result is written from the beginning of the memory, element by element in order, so each element's
// place must not reach into sums that are still to be read: types up to four bytes lie behind their own sums, F64 catches up
// with its sums only at the last one, and integers overwrite the first participant's chunk.
std::uint64_t AccumulatorOffset(DType dtype, std::uint64_t elements) {
  const std::uint64_t native = elements * tensor::ElementBytes(dtype);
  if (dtype == DType::kF64) return elements * sizeof(float);
  if (IsFloat(dtype)) return 0;
  return (native + kAccumulatorAlignment - 1) / kAccumulatorAlignment * kAccumulatorAlignment;
}

}  // namespace

std::uint64_t AccumulatorBytes(DType dtype, std::uint64_t elements) {
  return AccumulatorOffset(dtype, elements) + elements * sizeof(float);
}

std::vector<std::string> InstructionSets() {
  std::vector<std::string> names;
  for (const Kernels& kernels : SupportedKernels()) names.emplace_back(kernels.name);
  return names;
}

Reducer::Reducer(std::span<std::byte> memory, std::size_t instruction_set)
    : kernels_(SupportedKernels()[instruction_set]), memory_(memory) {}

float* Reducer::Accumulator() const {
  return reinterpret_cast<float*>(memory_.data() + AccumulatorOffset(dtype_, elements_));
}

Status Reducer::Begin(DType dtype, std::uint64_t elements) {
  const std::uint64_t needed = AccumulatorBytes(dtype, elements);
  if (needed > memory_.size()) {
    return MakeError(Code::kResourceExhausted, "an accumulator of {} elements needs {} bytes, {} are there", elements,
                     needed, memory_.size());
  }
  dtype_ = dtype;
  elements_ = elements;
  added_ = 0;
  return Ok();
}

Status Reducer::Add(std::span<const std::byte> chunk, Encoding encoding, float weight) {
  encoding = encoding::EffectiveEncoding(dtype_, encoding);
  // Sums tell NaN and infinity of halves and native numbers; scales and codes are looked at where they stand, in a few of the bytes.
  if (encoding == Encoding::kInt8 || encoding == Encoding::kNf4) {
    TRIBUTARY_TRY(encoding::CheckChunk(dtype_, encoding, elements_, chunk));
  } else if (const std::uint64_t bytes = encoding::EncodedBytes(dtype_, encoding, elements_); chunk.size() != bytes) {
    return MakeError(Code::kInvalidArgument, "a chunk of {} bytes came for a slot of {} elements, which take {}", chunk.size(),
                     elements_, bytes);
  }
  float* acc = Accumulator();
  if (IsFloat(dtype_)) {
    const float largest = LargestSum(dtype_);
    if (!kernels_.add_floats(KernelOf(dtype_, encoding), acc, chunk.data(), elements_, weight, added_ == 0, largest)) {
      const float* bad = std::find_if_not(acc, acc + elements_, [=](float sum) { return std::abs(sum) <= largest; });
      return MakeError(Code::kInvalidArgument, "its element {} makes the sum {}: a model is of finite numbers that {} can hold",
                       bad - acc, *bad, tensor::DTypeName(dtype_));
    }
  } else {
    std::byte* first = memory_.data();
    if (added_ == 0) {
      std::memcpy(first, chunk.data(), chunk.size());
      std::fill_n(acc, elements_, 0.0f);
    } else {
      kernels_.add_differences(KernelOf(dtype_), acc, first, chunk.data(), elements_, weight);
    }
  }
  ++added_;
  return Ok();
}

Result<std::span<const std::byte>> Reducer::Finish() {
  if (added_ == 0) return MakeError(Code::kInvalidArgument, "a mean of no participants was asked for");
  kernels_.store_in_place(KernelOf(dtype_), memory_.data(), Accumulator(), elements_);
  return std::span<const std::byte>(memory_.first(elements_ * tensor::ElementBytes(dtype_)));
}

}  // namespace tributary::aggregate
