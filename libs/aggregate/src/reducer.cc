#include "tributary/aggregate/reducer.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "kernels.h"

namespace tributary::aggregate {
namespace {

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

bool IsFloat(DType dtype) {
  return dtype == DType::kF32 || dtype == DType::kF16 || dtype == DType::kBF16 || dtype == DType::kF64;
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
  Kernel kernel = KernelOf(dtype_);
  std::uint64_t width = tensor::ElementBytes(dtype_);
  if (encoding != Encoding::kNative) {
    if (!IsFloat(dtype_) || (encoding != Encoding::kF16 && encoding != Encoding::kBF16)) {
      return MakeError(Code::kInvalidArgument, "chunks of {} in encoding {} cannot be averaged",
                       tensor::DTypeName(dtype_), tensor::EncodingName(encoding));
    }
    kernel = encoding == Encoding::kF16 ? Kernel::kF16 : Kernel::kBF16;
    width = 2;
  }
  if (chunk.size() != elements_ * width) {
    return MakeError(Code::kInvalidArgument, "a chunk of {} bytes came for a slot of {} elements of {} bytes",
                     chunk.size(), elements_, width);
  }
  float* acc = Accumulator();
  if (IsFloat(dtype_)) {
    const float largest = LargestSum(dtype_);
    if (!AddFloats(kernel, acc, chunk.data(), elements_, weight, added_ == 0, largest)) {
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
      AddDifferences(kernel, acc, first, chunk.data(), elements_, weight);
    }
  }
  ++added_;
  return Ok();
}

Result<std::span<const std::byte>> Reducer::Finish() {
  if (added_ == 0) return MakeError(Code::kInvalidArgument, "a mean of no participants was asked for");
  StoreInPlace(KernelOf(dtype_), memory_.data(), Accumulator(), elements_);
  return std::span<const std::byte>(memory_.first(elements_ * tensor::ElementBytes(dtype_)));
}

}  // namespace tributary::aggregate
