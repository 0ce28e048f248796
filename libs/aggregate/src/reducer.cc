#include "tributary/aggregate/reducer.h"

#include <algorithm>
#include <cstring>

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

// Integers keep the first participant's chunk behind the accumulator.
std::uint64_t FirstOffset(std::uint64_t elements) {
  return (elements * sizeof(float) + kAccumulatorAlignment - 1) / kAccumulatorAlignment * kAccumulatorAlignment;
}

}  // namespace

std::uint64_t AccumulatorBytes(DType dtype, std::uint64_t elements) {
  return FirstOffset(elements) + (IsFloat(dtype) ? 0 : elements * tensor::ElementBytes(dtype));
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
  auto* acc = reinterpret_cast<float*>(memory_.data());
  if (IsFloat(dtype_)) {
    AddFloats(kernel, acc, chunk.data(), elements_, weight, added_ == 0);
  } else {
    std::byte* first = memory_.data() + FirstOffset(elements_);
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

Status Reducer::Finish(std::span<std::byte> out) {
  if (added_ == 0) return MakeError(Code::kInvalidArgument, "a mean of no participants was asked for");
  if (out.size() != elements_ * tensor::ElementBytes(dtype_)) {
    return MakeError(Code::kInvalidArgument, "a slot of {} elements does not fit {} bytes", elements_, out.size());
  }
  Store(KernelOf(dtype_), out.data(), reinterpret_cast<const float*>(memory_.data()),
        memory_.data() + FirstOffset(IsFloat(dtype_) ? 0 : elements_), elements_);
  return Ok();
}

}  // namespace tributary::aggregate
