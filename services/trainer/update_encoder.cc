#include "services/trainer/update_encoder.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "tributary/encoding/encoding.h"

namespace tributary::trainer {
namespace {

using tensor::Encoding;

constexpr std::size_t kPiece = 4096;
static_assert(kPiece % encoding::kBlock == 0);

}  // namespace

UpdateEncoder::UpdateEncoder(const tensor::Layout& layout, const job::Transfer& transfer) : layout_(layout), transfer_(transfer) {
  for (const tensor::Section& section : layout.sections()) {
    residual_begin_.push_back(encoded_elements_);
    if (encoding::EffectiveEncoding(section.dtype, transfer.encoding) != Encoding::kNative) encoded_elements_ += section.elements;
  }
}

Result<std::unique_ptr<UpdateEncoder>> UpdateEncoder::Open(const tensor::Layout& layout, const session::TaskContext& context,
                                                           const job::Job& job, const Identity& identity) {
  auto encoder = std::make_unique<UpdateEncoder>(layout, job.transfer);
  encoder->last_round_ = context.spec.round >= job.rounds;
  if (job.transfer.error_feedback && encoder->encoded_elements_ > 0) {
    if (identity.work_dir.empty()) {
      return Error(Code::kInvalidArgument,
                   "transfer.error_feedback keeps what encoding lost on the trainer's disk: start this trainer with --work-dir");
    }
    TRIBUTARY_ASSIGN(const auto job_id, JobId::Parse(context.spec.job));
    TRIBUTARY_ASSIGN(encoder->residual_, Residual::Open({identity.work_dir + "/residual", job_id.str(), context.job_text, context.spec.ordinal,
                                                         context.spec.round, encoder->encoded_elements_}));
  }
  return encoder;
}

void UpdateEncoder::Describe(wire::ObjectSpec& update) const {
  update.encoding = transfer_.encoding;
  update.delta = transfer_.delta;
}

bool UpdateEncoder::Encodes(std::uint64_t slot) const {
  return encoding::EffectiveEncoding(layout_.Place(slot).dtype, transfer_.encoding) != Encoding::kNative;
}

std::uint64_t UpdateEncoder::ChunkBytes(std::uint64_t slot) const {
  const auto place = layout_.Place(slot);
  return encoding::EncodedBytes(place.dtype, transfer_.encoding, place.elements);
}

std::uint64_t UpdateEncoder::TotalBytes() const {
  std::uint64_t bytes = 0;
  for (const tensor::Section& section : layout_.sections()) {
    if (section.ends.empty()) {
      bytes += encoding::EncodedBytes(section.dtype, transfer_.encoding, section.elements);
      continue;
    }
    for (std::uint64_t slot = section.slots.begin; slot < section.slots.end; ++slot) bytes += ChunkBytes(slot);
  }
  return bytes;
}

std::uint64_t UpdateEncoder::ResidualIndex(const tensor::SlotPlace& place, std::uint64_t first) const {
  return residual_begin_[place.section] + place.first_element + first;
}

Status UpdateEncoder::Encode(std::uint64_t slot, const ReadTrained& trained, std::span<const std::byte> base, std::span<std::byte> chunk) {
  if (!Encodes(slot)) {
    trained(0, chunk);
    return Ok();
  }
  const auto place = layout_.Place(slot);
  for (std::uint64_t first = 0; first < place.elements; first += kPiece) {
    const std::size_t count = std::min<std::uint64_t>(kPiece, place.elements - first);
    if (const Status encoded = EncodePiece(place, first, count, trained, base, chunk); !encoded.ok()) {
      return encoded.error().Wrap(fmt::format("slot {} of the update", slot));
    }
  }
  return Ok();
}

Status UpdateEncoder::EncodePiece(const tensor::SlotPlace& place, std::uint64_t first, std::size_t count, const ReadTrained& trained,
                                  std::span<const std::byte> base, std::span<std::byte> chunk) {
  const std::size_t width = tensor::ElementBytes(place.dtype);
  native_.resize(kPiece * width);
  values_.resize(kPiece);
  other_.resize(kPiece);
  const auto native = std::span(native_).first(count * width);
  const auto values = std::span(values_).first(count);
  const auto other = std::span(other_).first(count);
  trained(first, native);
  encoding::Widen(place.dtype, native, values);
  if (transfer_.delta) {
    encoding::Widen(place.dtype, base.subspan(first * width, count * width), other);
    for (std::size_t i = 0; i < count; ++i) values[i] = values[i] - other[i];
  }
  if (residual_) {
    TRIBUTARY_TRY(residual_->Read(ResidualIndex(place, first), other));
    for (std::size_t i = 0; i < count; ++i) values[i] = values[i] + other[i];
  }
  TRIBUTARY_TRY(encoding::EncodePart(transfer_.encoding, values, first, place.elements, chunk));
  encoding::DecodePart(transfer_.encoding, chunk, first, place.elements, other);
  for (std::size_t i = 0; i < count; ++i) {
    norm_ += static_cast<double>(values[i]) * static_cast<double>(values[i]);
    other[i] = values[i] - other[i];
    lost_ += static_cast<double>(other[i]) * static_cast<double>(other[i]);
  }
  return residual_ ? residual_->Write(ResidualIndex(place, first), other) : Ok();
}

Status UpdateEncoder::Complete() { return residual_ ? residual_->Complete() : Ok(); }

void UpdateEncoder::Sealed() {
  if (residual_) residual_->Sealed(last_round_);
}

void UpdateEncoder::AddMetrics(std::map<std::string, double>& metrics) const {
  if (norm_ > 0) metrics["encoding_error"] = std::sqrt(lost_ / norm_);
}

}  // namespace tributary::trainer
