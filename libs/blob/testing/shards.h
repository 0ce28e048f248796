// Several stores that are the shards of one, for test programs: what whoever puts and seals does with them, one call at a time.
#pragma once

#include <memory>
#include <vector>

#include "libs/blob/testing/store_testing.h"
#include "tributary/blob/local_store.h"

namespace tributary::blob::testing {

// In order of shard.
using Shards = std::vector<SlotStore*>;

inline Status PutSlots(const Shards& shards, const ObjectName& name, const tensor::Layout& layout, std::uint64_t salt = 0,
                       std::uint64_t generation = 0) {
  for (std::uint64_t slot = 0; slot < layout.slot_count(); ++slot) {
    TRIBUTARY_TRY(PutOne(*shards[slot % shards.size()], name, slot, Pattern(layout.SlotBytes(slot), slot, salt), generation));
  }
  return Ok();
}

// What all shards together have of a page.
inline Result<std::vector<wire::SlotDigest>> CollectDigests(const Shards& shards, const ObjectName& name, std::uint64_t page) {
  std::vector<wire::SlotDigest> all;
  for (SlotStore* shard : shards) {
    TRIBUTARY_ASSIGN(const auto own, shard->OwnDigests(name, page));
    all.resize(own.size());
    for (std::size_t i = 0; i < own.size(); ++i) {
      if (own[i] != wire::SlotDigest()) all[i] = own[i];
    }
  }
  return all;
}

inline Status TellDigests(const Shards& shards, const ObjectName& name, std::uint64_t generation = 0) {
  TRIBUTARY_ASSIGN(const ObjectInfo info, shards[0]->Stat(name));
  for (std::uint64_t page = 0; page * wire::kPageDigests < info.slots; ++page) {
    TRIBUTARY_ASSIGN(const auto digests, CollectDigests(shards, name, page));
    for (SlotStore* shard : shards) TRIBUTARY_TRY(shard->PutDigests(name, page, generation, digests));
  }
  return Ok();
}

// The digests that the shards give, in their order.
inline Result<std::vector<std::string>> SealShards(const Shards& shards, const ObjectName& name, std::uint64_t generation = 0, bool durable = false) {
  if (shards.size() > 1) TRIBUTARY_TRY(TellDigests(shards, name, generation));
  std::vector<std::string> digests;
  for (SlotStore* shard : shards) {
    TRIBUTARY_ASSIGN(const std::string digest, shard->Seal(name, generation, durable));
    digests.push_back(digest);
  }
  return digests;
}

}  // namespace tributary::blob::testing
