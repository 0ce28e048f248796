#include "nf4.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

#include "tributary/encoding/encoding.h"

namespace tributary::train {
namespace {

using encoding::kNf4Levels;

std::uint8_t Nearest(std::span<const float> levels, float x) {
  const auto above = std::lower_bound(levels.begin(), levels.end(), x);
  if (above == levels.begin()) return 0;
  if (above == levels.end()) return static_cast<std::uint8_t>(levels.size() - 1);
  const auto index = static_cast<std::size_t>(above - levels.begin());
  return static_cast<std::uint8_t>(x - levels[index - 1] <= *above - x ? index - 1 : index);
}

// Seven decades of evenly spaced means of both signs, twice as many in each as in the one below, and 0 and 1.
std::array<float, 256> MakeDynamicCodeBook() {
  std::vector<double> values = {0.0, 1.0};
  for (int decade = 0; decade < 7; ++decade) {
    const int count = 1 << decade;
    const double step = 0.9 / count;
    for (int i = 0; i < count; ++i) {
      const double mean = std::pow(10.0, decade - 6) * (0.1 + step * (i + 0.5));
      values.push_back(mean);
      values.push_back(-mean);
    }
  }
  std::sort(values.begin(), values.end());
  std::array<float, 256> book{};
  for (std::size_t i = 0; i < book.size(); ++i) book[i] = static_cast<float>(values[i]);
  return book;
}

std::size_t Blocks(std::size_t count, std::int64_t block) {
  const auto size = static_cast<std::size_t>(block);
  return (count + size - 1) / size;
}

}  // namespace

const std::array<float, 256>& DynamicCodeBook() {
  static const std::array<float, 256> book = MakeDynamicCodeBook();
  return book;
}

Nf4::Nf4(std::vector<std::int64_t> shape, bool double_quantized, const Place& place)
    : shape_(std::move(shape)), count_(1), double_(double_quantized), place_(place) {
  for (const std::int64_t size : shape_) count_ *= size;
  const std::size_t blocks = Blocks(static_cast<std::size_t>(count_), kBlock);
  // 7 is the level 0: a matrix that nothing was stored in is zero.
  codes_.assign((static_cast<std::size_t>(count_) + 1) / 2, 0x77);
  if (double_) {
    scale_codes_.assign(blocks, 0);
    scale_scales_.assign(Blocks(blocks, kScaleBlock), 0.0f);
  } else {
    scales_.assign(blocks, 0.0f);
  }
  MoveUp();
}

void Nf4::Quantize(std::span<const float> values) {
  const std::size_t blocks = Blocks(values.size(), kBlock);
  std::vector<float> scales(blocks);
  codes_.assign((values.size() + 1) / 2, 0);
  for (std::size_t block = 0; block < blocks; ++block) {
    const std::size_t begin = block * kBlock;
    const std::size_t end = std::min<std::size_t>(begin + kBlock, values.size());
    float largest = 0;
    for (std::size_t i = begin; i < end; ++i) largest = std::max(largest, std::abs(values[i]));
    scales[block] = largest;
    const float inverse = largest > 0 ? 1.0f / largest : 0.0f;
    for (std::size_t i = begin; i < end; ++i) {
      const std::uint8_t code = Nearest(kNf4Levels, values[i] * inverse);
      codes_[i / 2] = static_cast<std::uint8_t>(codes_[i / 2] | (i % 2 == 0 ? code << 4 : code));
    }
  }
  if (!double_) {
    scales_ = std::move(scales);
    MoveUp();
    return;
  }
  double sum = 0;
  for (const float scale : scales) sum += scale;
  scale_mean_ = blocks > 0 ? static_cast<float>(sum / static_cast<double>(blocks)) : 0.0f;
  const auto& book = DynamicCodeBook();
  scale_codes_.resize(blocks);
  scale_scales_.resize(Blocks(blocks, kScaleBlock));
  for (std::size_t begin = 0; begin < blocks; begin += kScaleBlock) {
    const std::size_t end = std::min<std::size_t>(begin + kScaleBlock, blocks);
    float largest = 0;
    for (std::size_t i = begin; i < end; ++i) largest = std::max(largest, std::abs(scales[i] - scale_mean_));
    scale_scales_[begin / kScaleBlock] = largest;
    const float inverse = largest > 0 ? 1.0f / largest : 0.0f;
    for (std::size_t i = begin; i < end; ++i) scale_codes_[i] = Nearest(book, (scales[i] - scale_mean_) * inverse);
  }
  MoveUp();
}

float Nf4::Scale(std::size_t block) const {
  if (!double_) return scales_[block];
  return DynamicCodeBook()[scale_codes_[block]] * scale_scales_[block / kScaleBlock] + scale_mean_;
}

at::Tensor Nf4::Dequantize(at::ScalarType type) const {
  if (place_.apart) return DequantizeThere(type);
  at::Tensor out = at::empty(shape_, type);
  const auto count = static_cast<std::size_t>(count_);
  const auto fill = [&](auto* to) {
    using Value = std::remove_reference_t<decltype(*to)>;
    std::array<Value, 16> levels{};
    for (std::size_t begin = 0; begin < count; begin += kBlock) {
      const float scale = Scale(begin / kBlock);
      for (std::size_t k = 0; k < levels.size(); ++k) levels[k] = static_cast<Value>(kNf4Levels[k] * scale);
      const std::size_t end = std::min<std::size_t>(begin + kBlock, count);
      std::size_t i = begin;
      for (; i + 1 < end; i += 2) {
        const std::uint8_t pair = codes_[i / 2];
        to[i] = levels[pair >> 4];
        to[i + 1] = levels[pair & 15];
      }
      if (i < end) to[i] = levels[codes_[i / 2] >> 4];
    }
  };
  if (type == at::kBFloat16) {
    fill(out.data_ptr<at::BFloat16>());
  } else {
    fill(out.data_ptr<float>());
  }
  return out;
}

namespace {

// A copy on the device, of `count` elements: what is left of them is `rest`.
template <class Value>
at::Tensor Copied(const Value* values, std::size_t size, std::size_t count, Value rest, at::ScalarType type, const Place& place) {
  const at::Tensor room = at::empty({static_cast<std::int64_t>(count)}, type);
  Value* const to = room.data_ptr<Value>();
  std::copy_n(values, size, to);
  std::fill(to + size, to + count, rest);
  return room.to(place.device);
}

}  // namespace

void Nf4::MoveUp() {
  if (!place_.apart) return;
  const std::size_t blocks = Blocks(static_cast<std::size_t>(count_), kBlock);
  there_.codes = Copied<std::uint8_t>(codes_.data(), codes_.size(), blocks * kBlock / 2, 0x77, at::kByte, place_);
  std::array<float, 512> pairs{};
  for (std::size_t pair = 0; pair < 256; ++pair) {
    pairs[2 * pair] = kNf4Levels[pair >> 4];
    pairs[2 * pair + 1] = kNf4Levels[pair & 15];
  }
  there_.pairs = Copied<float>(pairs.data(), pairs.size(), pairs.size(), 0, at::kFloat, place_).view({256, 2});
  if (double_) {
    const std::size_t parts = scale_scales_.size();
    there_.scale_codes = Copied<std::uint8_t>(scale_codes_.data(), blocks, parts * kScaleBlock, 0, at::kByte, place_);
    there_.scale_scales = Copied<float>(scale_scales_.data(), parts, parts, 0, at::kFloat, place_).unsqueeze(1);
    const auto& book = DynamicCodeBook();
    there_.book = Copied<float>(book.data(), book.size(), book.size(), 0, at::kFloat, place_);
  } else {
    there_.scales = Copied<float>(scales_.data(), blocks, blocks, 0, at::kFloat, place_).unsqueeze(1);
  }
  for (auto* bytes : {&codes_, &scale_codes_}) std::vector<std::uint8_t>().swap(*bytes);
  for (auto* floats : {&scales_, &scale_scales_}) std::vector<float>().swap(*floats);
}

at::Tensor Nf4::DequantizeThere(at::ScalarType type) const {
  at::Tensor scales = there_.scales;
  if (double_) {
    scales = there_.book.index_select(0, there_.scale_codes.to(at::kInt)).view({-1, kScaleBlock}).mul_(there_.scale_scales).add_(scale_mean_);
    scales = scales.view({-1}).narrow(0, 0, there_.codes.numel() / (kBlock / 2)).unsqueeze(1);
  }
  // Two values a byte with one look at the table; the index is as large as a bf16 matrix for as long as it takes.
  const at::Tensor values = there_.pairs.index_select(0, there_.codes.to(at::kInt)).view({-1, kBlock}).mul_(scales);
  return values.view({-1}).narrow(0, 0, count_).view(shape_).to(type);
}

std::uint64_t Nf4::bytes() const {
  if (place_.apart) {
    std::uint64_t bytes = there_.codes.nbytes();
    for (const at::Tensor* scales : {&there_.scales, &there_.scale_codes, &there_.scale_scales}) bytes += scales->defined() ? scales->nbytes() : 0;
    return bytes;
  }
  return codes_.size() + scales_.size() * sizeof(float) + scale_codes_.size() + scale_scales_.size() * sizeof(float);
}

}  // namespace tributary::train
