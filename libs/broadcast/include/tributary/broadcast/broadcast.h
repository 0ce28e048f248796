// A model's broadcast: its encoded form, which trainers download, beside the native one that rounds begin from.
//
// An object of its own with the model's tensors and slots, each chunk encoded from the model's of the same slot and nothing else
// (docs/encodings.md): whoever makes it, from whichever try, makes the same bytes. A generation of the model makes one of the
// broadcast. An Encoder holds a small buffer and sums; one thread. Chunks are the caller's or the store's pool's. Failures:
// kInvalidArgument for numbers that the encoding cannot hold, naming the key to change; kConflict where the model has gone on to another
// generation meanwhile; those of the store.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <stop_token>
#include <string>
#include <vector>

#include "tributary/base/names.h"
#include "tributary/base/result.h"
#include "tributary/blob/store.h"
#include "tributary/tensor/layout.h"
#include "tributary/wire/object.h"

namespace tributary::broadcast {

wire::ObjectSpec SpecOf(const wire::ObjectSpec& model, tensor::Encoding encoding);

// What encoding lost and what there was of it, as sums of squares over the elements that were encoded: they add up over parts.
struct Loss {
  double lost = 0;
  double norm = 0;
  void AddTo(std::map<std::string, double>& metrics) const;  // broadcast_lost, broadcast_norm
};

class Encoder {
 public:
  explicit Encoder(tensor::Encoding encoding) : encoding_(encoding) {}
  std::uint64_t ChunkBytes(const tensor::SlotPlace& place) const;
  // REQUIRES: native.size() == place.native_bytes(), chunk.size() == ChunkBytes(place).
  Status Encode(const tensor::SlotPlace& place, std::span<const std::byte> native, std::span<std::byte> chunk);
  const Loss& loss() const { return loss_; }

 private:
  const tensor::Encoding encoding_;
  std::vector<float> values_, back_;
  Loss loss_;
};

// Told the bytes of chunks written and read.
using Count = std::function<void(std::uint64_t up, std::uint64_t down)>;

// Makes what the broadcast lacks of `range` from the model's slots, which must be there, of `generation` (0: any, both). For what a worker
// that was killed left undone. The broadcast is open or sealed.
Status Complete(blob::BlobStore& store, const ObjectName& model, const ObjectName& broadcast, const tensor::Layout& layout,
                tensor::SlotRange range, std::uint64_t generation, Encoder& encoder, const Count& count, std::stop_token stop);

}  // namespace tributary::broadcast
