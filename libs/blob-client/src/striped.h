// Private: puts together what the shards of a store answer about one object, of which slot s lies on shard s mod their number.
//
// Pure functions. Each shard's answer counts for its own slots alone.
#pragma once

#include <span>
#include <vector>

#include "tributary/base/result.h"
#include "tributary/blob/store.h"
#include "tributary/tensor/layout.h"
#include "tributary/wire/object.h"

namespace tributary::blob_client {

// Slots that are in the ranges of their own shard. `shards`: of each, ranges in order, which may hold slots of others.
std::vector<tensor::SlotRange> MergeRanges(std::span<const std::vector<tensor::SlotRange>> shards);

// What all of them have of the object. kDataLoss when they are sealed with different digests, kUnavailable when they
// have it from different specs.
Result<blob::ObjectInfo> MergeInfo(std::span<const blob::ObjectInfo> shards);

// Of a page that begins with slot `first`: copies the digests of the slots that lie on `shard` of `shards`. REQUIRES equal sizes.
void TakeDigests(std::span<const wire::SlotDigest> told, std::uint64_t first, std::size_t shard, std::size_t shards, std::span<wire::SlotDigest> page);

}  // namespace tributary::blob_client
