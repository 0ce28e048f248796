// Makes the chunks of an update as the job's `transfer` asks: encoding, delta against the base, error feedback (docs/encodings.md).
//
// Works in pieces of a few thousand elements, so that it holds a constant, whatever the model. Refers to the layout that it was made with. One
// thread. Failures: kInvalidArgument for numbers that the encoding cannot hold, and those of the residual's disk.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "services/trainer/residual.h"
#include "services/trainer/task_support.h"
#include "tributary/broadcast/broadcast.h"
#include "tributary/job/job.h"
#include "tributary/tensor/layout.h"

namespace tributary::trainer {

class UpdateEncoder {
 public:
  // Fills `native` with the trained elements of the slot that begin with `first`.
  using ReadTrained = std::function<void(std::uint64_t first, std::span<std::byte> native)>;

  // `transfer` as it stands, without error feedback.
  UpdateEncoder(const tensor::Layout& layout, const job::Transfer& transfer);
  // What the job asks for; with error feedback this opens the seat's residual under the trainer's work directory.
  static Result<std::unique_ptr<UpdateEncoder>> Open(const tensor::Layout& layout, const session::TaskContext& context,
                                                     const job::Job& job, const Identity& identity);

  // Sets encoding and delta.
  void Describe(wire::ObjectSpec& update) const;
  std::uint64_t ChunkBytes(std::uint64_t slot) const;
  std::uint64_t TotalBytes() const;  // of all chunks
  // Encode reads the base's chunk of this slot.
  bool NeedsBase(std::uint64_t slot) const { return transfer_.delta && Encodes(slot); }
  // Slots that the store has already came with residuals that are on this disk; else all must be made again.
  bool MayResume() const { return residual_ == nullptr || residual_->resumed(); }

  // Makes the slot's chunk. `base`: the base's native chunk where NeedsBase, else not looked at. The residual is on disk when this returns.
  Status Encode(std::uint64_t slot, const ReadTrained& trained, std::span<const std::byte> base, std::span<std::byte> chunk);
  // Before the update is sealed.
  Status Complete();
  // After it. Lets go of residuals that no later try or round needs.
  void Sealed();
  broadcast::Loss loss() const { return {lost_, norm_}; }
  // encoding_error, if anything was encoded.
  void AddMetrics(std::map<std::string, double>& metrics) const;

 private:
  bool Encodes(std::uint64_t slot) const;
  Status EncodePiece(const tensor::SlotPlace& place, std::uint64_t first, std::size_t count, const ReadTrained& trained,
                     std::span<const std::byte> base, std::span<std::byte> chunk);
  // Of a section's element among all that are encoded.
  std::uint64_t ResidualIndex(const tensor::SlotPlace& place, std::uint64_t first) const;

  const tensor::Layout& layout_;
  const job::Transfer transfer_;
  std::vector<std::uint64_t> residual_begin_;  // by section
  std::uint64_t encoded_elements_ = 0;
  std::unique_ptr<Residual> residual_;
  bool last_round_ = false;
  std::vector<std::byte> native_;
  std::vector<float> values_, other_;
  double lost_ = 0, norm_ = 0;  // sums of squares
};

}  // namespace tributary::trainer
