// The weighted mean of one slot over all participants: the arithmetic of federated averaging.
//
// FedAvg (McMahan, Moore, Ramage, Hampson, Agüera y Arcas, "Communication-Efficient Learning of Deep Networks from
// Decentralized Data", AISTATS 2017, algorithm 1): w_{t+1} = Σ_k (n_k / n) · w_{t+1}^k, where n_k counts the samples of
// participant k and n = Σ n_k. A round is: every participant reads the model (S bytes down each), trains, writes its update (S
// bytes up each); aggregators read each update once (N·S) and write the mean once (S). No aggregator holds more
// than the accumulator of one slot and the chunks on their way to it.
//
// Determinism. The sum is fp32, acc = acc + (w · x): one multiplication, one addition, each rounded, never fused, starting at
// +0, in the order in which participants are added (callers sort them by name). Elements do not interact, so the result does
// not depend on slot size, on which replica reduces which slot, or on the width of the processor's vectors: the loops are compiled for
// several instruction sets, of which the widest that the processor has is used.
//   F32          x as it is; the accumulator is the result.
//   F16, BF16    widened exactly to fp32, rounded to nearest even at the end.
//   F64          each x rounded to fp32 first: sums are as precise as those of F32.
//   I64, I32, U8 first + round(Σ w · (x - first)), `first` the first participant's element: where all agree the result is exactly
//                that, else the mean rounded to nearest (ties to even) and kept in the type's range. Differences are taken in integers and
//                rounded to fp32; their mean is added in integers.
//   BOOL         as U8 on 0 and 1: the weighted majority; a tie follows the first participant.
// An encoded x (docs/encodings.md) is read back to fp32 first, which is one rounded product at most, q · scale.
// Finiteness. A sum that is infinite, no number, or more than the dtype holds after an Add is refused by that Add, so that one
// participant's broken training cannot end in the model: what Finish gives is finite.
// Ownership: a Reducer works in memory that the caller gives (a pool's buffer) and owns nothing; the result lies at that memory's
// beginning, so that the buffer that was the accumulator is what gets sent. One thread. Failures: kInvalidArgument for sizes that do
// not fit and for sums that are not finite, kResourceExhausted for too little memory.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "tributary/base/result.h"
#include "tributary/base/units.h"
#include "tributary/tensor/dtype.h"

namespace tributary::aggregate {

// Shares n_i/Σn as the coordinator computed them in double, each rounded once to fp32. kInvalidArgument unless all are finite and
// not negative and they add up to 1 within 1e-6.
Result<std::vector<float>> RoundedWeights(std::span<const double> shares);

constexpr std::size_t kAccumulatorAlignment = 64;

// Memory that a slot of this many elements needs; never less than its native bytes.
std::uint64_t AccumulatorBytes(tensor::DType dtype, std::uint64_t elements);

// Names of the instruction sets that the loops are compiled for and this processor has, the widest first.
std::vector<std::string> InstructionSets();

// How many chunks of at most so many bytes to add at once: those that a reader holds anyway, 4 MiB at most, or one.
constexpr std::size_t GroupSize(std::uint64_t chunk_bytes) {
  return chunk_bytes <= 1_MiB ? 4 : std::max<std::uint64_t>(1, 4_MiB / chunk_bytes);
}

struct Kernels;
struct Source;

// A participant's chunk of the slot, and its share. `encoding` is that of the chunk's object: what of it applies to the slot's dtype, and what the
// chunk holds, is told by encoding/encoding.h. Any alignment. The base that deltas are added to is the first chunk, native, of weight 1.
struct Summand {
  std::span<const std::byte> chunk;
  tensor::Encoding encoding = tensor::Encoding::kNative;
  float weight = 0;
};

class Reducer {
 public:
  // REQUIRES: memory.data() is aligned to kAccumulatorAlignment. `instruction_set` is an index into InstructionSets(): all give the
  // same bits, the first is the fastest.
  explicit Reducer(std::span<std::byte> memory, std::size_t instruction_set = 0);

  Status Begin(tensor::DType dtype, std::uint64_t elements);
  // Adds weight · chunk of each, in this order. Several at once cost less than one after the other, since a sum goes to
  // memory and back once for four of them; the bits are the same. After an error, of which `*culprit` is the summand, the slot begins anew with Begin.
  Status Add(std::span<const Summand> summands, std::size_t* culprit = nullptr);
  // The mean in the slot's native dtype, in the first bytes of the memory, where the accumulator was. The next
  // slot begins with Begin. REQUIRES for success: at least one Add since Begin.
  Result<std::span<const std::byte>> Finish();

 private:
  float* Accumulator() const;
  Status CheckSize(const Summand& summand) const;
  Source SourceOf(const Summand& summand) const;
  std::size_t CulpritOf(std::span<const Summand> summands, std::uint64_t element) const;
  Status AddFloats(std::span<const Summand> summands, std::size_t& culprit);
  void AddIntegers(const Summand& summand, bool first);

  const Kernels& kernels_;
  std::span<std::byte> memory_;
  tensor::DType dtype_ = tensor::DType::kF32;
  std::uint64_t elements_ = 0;
  std::uint64_t added_ = 0;
};

}  // namespace tributary::aggregate
