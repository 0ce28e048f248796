// How the elements of a slot stand in its chunk: sizes, checks, and the way there and back.
//
// docs/encodings.md gives the formats byte by byte, with rounding, error bounds and sources. Pure functions over the caller's
// memory: nothing is allocated or kept; any thread; any alignment. The same numbers give the same bytes on every processor. All
// sizes are in bytes, all positions in elements of the slot. Failures: kInvalidArgument for a number that an encoding cannot hold and
// for chunks that no encoder of ours makes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "tributary/base/result.h"
#include "tributary/tensor/dtype.h"

namespace tributary::encoding {

// Elements that share a scale in int8 and nf4; slots are multiples of it but for a section's last.
constexpr std::uint64_t kBlock = 64;

// The levels of NF4, ascending; index 7 is an exact 0.
extern const float kNf4Levels[16];

// The largest scale of int8: 127 times it is finite.
constexpr float kMaxInt8Scale = 0x1.020406p+121f;

bool IsFloat(tensor::DType dtype);

// What a chunk of this dtype holds in an object of this encoding: kNative where the encoding would not make its elements smaller.
tensor::Encoding EffectiveEncoding(tensor::DType dtype, tensor::Encoding encoding);

// Of a chunk of so many elements.
std::uint64_t EncodedBytes(tensor::DType dtype, tensor::Encoding encoding, std::uint64_t elements);
constexpr std::uint64_t Blocks(std::uint64_t elements) { return (elements + kBlock - 1) / kBlock; }

// Ok if the chunk has the size, and all that it stands for is finite. Integers and booleans are checked for size alone.
Status CheckChunk(tensor::DType dtype, tensor::Encoding encoding, std::uint64_t elements, std::span<const std::byte> chunk);

// Native elements as fp32; an F64 is rounded to nearest. REQUIRES: IsFloat(dtype), native.size() == out.size() * ElementBytes(dtype).
void Widen(tensor::DType dtype, std::span<const std::byte> native, std::span<float> out);

// The way back: fp32 rounded to nearest even in the native dtype. REQUIRES: as of Widen.
void Narrow(tensor::DType dtype, std::span<const float> values, std::span<std::byte> native);

// Encodes elements [first, first + values.size()) of a slot into their places in its chunk, so that a slot may be encoded in pieces through a
// small buffer. Writes nothing else of the chunk. REQUIRES: encoding is not native, first % kBlock == 0, values end at a block's or at
// the slot's end, and chunk has the encoded size of `elements` elements. An error names the element's place in the slot.
Status EncodePart(tensor::Encoding encoding, std::span<const float> values, std::uint64_t first, std::uint64_t elements,
                  std::span<std::byte> chunk);

// What EncodePart wrote there, read back. The same requirements; the chunk must have passed CheckChunk.
void DecodePart(tensor::Encoding encoding, std::span<const std::byte> chunk, std::uint64_t first, std::uint64_t elements,
                std::span<float> values);

// A chunk as the native elements that it stands for, one after the other through a small buffer. REQUIRES: native.size() == elements *
// ElementBytes(dtype). Chunks that no encoder of ours makes are refused, as by CheckChunk.
Status DecodeChunk(tensor::DType dtype, tensor::Encoding encoding, std::uint64_t elements, std::span<const std::byte> chunk,
                   std::span<std::byte> native);

}  // namespace tributary::encoding
