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

std::uint64_t BitsOf(Kernel kernel) {
  switch (kernel) {
    case Kernel::kF32: return 32;
    case Kernel::kF64: return 64;
    case Kernel::kF16:
    case Kernel::kBF16: return 16;
    case Kernel::kInt8: return 8;
    case Kernel::kNf4: return 4;
    default: return 0;
  }
}

// REQUIRES: the chunk has the bytes of `elements`; `encoding` is the effective one of the dtype.
Source MakeSource(DType dtype, Encoding encoding, std::uint64_t elements, const std::byte* chunk, float weight) {
  const Kernel kernel = KernelOf(dtype, encoding);
  const bool scaled = kernel == Kernel::kInt8 || kernel == Kernel::kNf4;
  const std::uint64_t scales = scaled ? encoding::Blocks(elements) * sizeof(float) : 0;
  return {kernel, chunk, chunk + scales, weight};
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

Status Reducer::CheckSize(const Summand& summand) const {
  const Encoding encoding = encoding::EffectiveEncoding(dtype_, summand.encoding);
  // Sums tell NaN and infinity of halves and native numbers; scales and codes are looked at where they stand, in a few of the bytes.
  if (encoding == Encoding::kInt8 || encoding == Encoding::kNf4) return encoding::CheckChunk(dtype_, encoding, elements_, summand.chunk);
  if (const std::uint64_t bytes = encoding::EncodedBytes(dtype_, encoding, elements_); summand.chunk.size() != bytes) {
    return MakeError(Code::kInvalidArgument, "a chunk of {} bytes came for a slot of {} elements, which take {}", summand.chunk.size(),
                     elements_, bytes);
  }
  return Ok();
}

Source Reducer::SourceOf(const Summand& summand) const {
  return MakeSource(dtype_, encoding::EffectiveEncoding(dtype_, summand.encoding), elements_, summand.chunk.data(), summand.weight);
}

// Whose element it is that spoils the sum: the first that is no number by itself, else the largest.
std::size_t Reducer::CulpritOf(std::span<const Summand> summands, std::uint64_t element) const {
  std::size_t culprit = 0;
  float most = -1;
  for (std::size_t i = 0; i < summands.size(); ++i) {
    // A block of it, as the kernels read it.
    const std::uint64_t from = element / encoding::kBlock * encoding::kBlock;
    Source source = SourceOf(summands[i]);
    source.scales += from / encoding::kBlock * sizeof(float);
    source.elements += from * BitsOf(source.kernel) / 8;
    source.weight = 1.0f;
    float block[encoding::kBlock];
    kernels_.add_floats(&source, 1, block, std::min<std::uint64_t>(encoding::kBlock, elements_ - from), true, 0.0f);
    const float value = block[element - from];
    if (!std::isfinite(value)) return i;
    if (const float size = std::abs(value * summands[i].weight); size > most) {
      most = size;
      culprit = i;
    }
  }
  return culprit;
}

Status Reducer::AddFloats(std::span<const Summand> summands, std::size_t& culprit) {
  float* acc = Accumulator();
  const float largest = LargestSum(dtype_);
  for (std::size_t begin = 0; begin < summands.size(); begin += kMaxSources) {
    const auto group = summands.subspan(begin, std::min(kMaxSources, summands.size() - begin));
    Source sources[kMaxSources];
    for (std::size_t i = 0; i < group.size(); ++i) sources[i] = SourceOf(group[i]);
    if (kernels_.add_floats(sources, group.size(), acc, elements_, added_ + begin == 0, largest)) continue;
    const float* bad = std::find_if_not(acc, acc + elements_, [=](float sum) { return std::abs(sum) <= largest; });
    culprit = begin + CulpritOf(group, static_cast<std::uint64_t>(bad - acc));
    return MakeError(Code::kInvalidArgument, "its element {} makes the sum {}: a model is of finite numbers that {} can hold",
                     bad - acc, *bad, tensor::DTypeName(dtype_));
  }
  return Ok();
}

void Reducer::AddIntegers(const Summand& summand, bool first) {
  float* acc = Accumulator();
  if (first) {
    std::memcpy(memory_.data(), summand.chunk.data(), summand.chunk.size());
    std::fill_n(acc, elements_, 0.0f);
  } else {
    kernels_.add_differences(KernelOf(dtype_), acc, memory_.data(), summand.chunk.data(), elements_, summand.weight);
  }
}

Status Reducer::Add(std::span<const Summand> summands, std::size_t* culprit) {
  std::size_t own = 0;
  std::size_t& at = culprit != nullptr ? *culprit : own;
  for (at = 0; at < summands.size(); ++at) TRIBUTARY_TRY(CheckSize(summands[at]));
  if (IsFloat(dtype_)) {
    TRIBUTARY_TRY(AddFloats(summands, at));
  } else {
    for (at = 0; at < summands.size(); ++at) AddIntegers(summands[at], added_ + at == 0);
  }
  added_ += summands.size();
  return Ok();
}

Result<std::span<const std::byte>> Reducer::Finish() {
  if (added_ == 0) return MakeError(Code::kInvalidArgument, "a mean of no participants was asked for");
  kernels_.store_in_place(KernelOf(dtype_), memory_.data(), Accumulator(), elements_);
  return std::span<const std::byte>(memory_.first(elements_ * tensor::ElementBytes(dtype_)));
}

}  // namespace tributary::aggregate
