// Which slots of every object a blob-store has: all, or those of one of several shards (docs/blob-store.md).
//
// Plain value. REQUIRES number < count. No failures.
#pragma once

#include <cstdint>

namespace tributary::blob {

struct Shard {
  std::uint32_t number = 0;
  std::uint32_t count = 1;

  bool valid() const { return number < count; }
  bool Has(std::uint64_t slot) const { return slot % count == number; }
  static std::uint64_t Of(std::uint64_t slot, std::uint32_t count) { return slot % count; }
  // How many slots below `slot` it has.
  std::uint64_t Before(std::uint64_t slot) const { return slot / count + (slot % count > number ? 1 : 0); }

  bool operator==(const Shard&) const = default;
};

}  // namespace tributary::blob
