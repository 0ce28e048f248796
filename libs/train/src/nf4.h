// A matrix in 4-bit NormalFloat (Dettmers et al. 2023, QLoRA), as bitsandbytes stores it.
//
// Blocks of 64 values in row-major order share one scale, their largest magnitude; each value is the nearest of 16 levels (encoding::kNf4Levels),
// two a byte, the first in the high half. Double quantization stores the scales in 8 bits: less their mean, in blocks of 256 that
// share an fp32 scale, by bitsandbytes' dynamic code book. A last block may be short. Bytes a value: 0.5 + 4/64, doubly
// quantized 0.5 + 1/64 + 4/16384. On a device apart (place.h) codes and scales lie there, and are widened there to the same values. Values are finite. One thread; may throw libtorch's exceptions.
#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "place.h"

namespace tributary::train {

// Bitsandbytes' signed 8-bit code book, ascending.
const std::array<float, 256>& DynamicCodeBook();

class Nf4 {
 public:
  static constexpr std::int64_t kBlock = 64;
  static constexpr std::int64_t kScaleBlock = 256;

  Nf4(std::vector<std::int64_t> shape, bool double_quantized, const Place& place = {});

  // values: all of the matrix, row-major.
  void Quantize(std::span<const float> values);
  // A fresh tensor of the matrix's shape where the model computes: fp32 or bf16.
  at::Tensor Dequantize(at::ScalarType type) const;
  std::uint64_t bytes() const;

 private:
  float Scale(std::size_t block) const;
  at::Tensor DequantizeThere(at::ScalarType type) const;
  // Takes what was quantized to the device.
  void MoveUp();

  std::vector<std::int64_t> shape_;
  std::int64_t count_ = 0;
  bool double_ = false;
  std::vector<std::uint8_t> codes_;
  std::vector<float> scales_;             // of blocks; empty where double_
  std::vector<std::uint8_t> scale_codes_;
  std::vector<float> scale_scales_;
  float scale_mean_ = 0;
  Place place_;
  // The same on a device apart, in whole blocks; the vectors are empty then.
  struct There {
    at::Tensor codes;         // [blocks * 32]
    at::Tensor scales;        // [blocks, 1], of singly quantized ones
    at::Tensor scale_codes;   // [whole blocks of scales], of doubly quantized ones as the rest
    at::Tensor scale_scales;  // [blocks of scales, 1]
    at::Tensor pairs;         // [256, 2]: what a byte of codes stands for
    at::Tensor book;          // [256]
  };
  There there_;
};

}  // namespace tributary::train
