#include "striped.h"

#include <algorithm>
#include <cmath>

namespace tributary::blob_client {

std::vector<tensor::SlotRange> MergeRanges(std::span<const std::vector<tensor::SlotRange>> shards) {
  std::vector<tensor::SlotRange> merged;
  const auto add = [&merged](std::uint64_t begin, std::uint64_t end) {
    if (!merged.empty() && merged.back().end == begin) {
      merged.back().end = end;
    } else {
      merged.push_back({begin, end});
    }
  };
  // Between two of these no shard's answer changes.
  std::vector<std::uint64_t> edges;
  for (const auto& ranges : shards) {
    for (const tensor::SlotRange& range : ranges) edges.insert(edges.end(), {range.begin, range.end});
  }
  std::ranges::sort(edges);
  edges.erase(std::unique(edges.begin(), edges.end()), edges.end());
  std::vector<std::size_t> next(shards.size(), 0);
  for (std::size_t i = 0; i + 1 < edges.size(); ++i) {
    const std::uint64_t begin = edges[i];
    const std::uint64_t end = edges[i + 1];
    std::vector<bool> has(shards.size());
    for (std::size_t shard = 0; shard < shards.size(); ++shard) {
      const auto& ranges = shards[shard];
      while (next[shard] < ranges.size() && ranges[next[shard]].end <= begin) ++next[shard];
      has[shard] = next[shard] < ranges.size() && ranges[next[shard]].begin <= begin;
    }
    if (std::ranges::all_of(has, std::identity())) {
      add(begin, end);
    } else if (std::ranges::any_of(has, std::identity())) {
      for (std::uint64_t slot = begin; slot < end; ++slot) {
        if (has[slot % shards.size()]) add(slot, slot + 1);
      }
    }
  }
  return merged;
}

Result<blob::ObjectInfo> MergeInfo(std::span<const blob::ObjectInfo> shards) {
  blob::ObjectInfo all = shards.front();
  double squares = all.norm * all.norm;
  for (const blob::ObjectInfo& info : shards.subspan(1)) {
    if (info.kind != all.kind || info.slots != all.slots || info.bytes != all.bytes || info.sample_count != all.sample_count) {
      return MakeError(Code::kUnavailable, "the blob-store's shards have object '{}' from different specs: it is being replaced, or a create ended half-way; "
                       "create it again", all.name.str());
    }
    all.sealed = all.sealed && info.sealed;
    all.slots_present += info.slots_present;
    all.bytes_present += info.bytes_present;
    all.generation = std::max(all.generation, info.generation);
    squares += info.norm * info.norm;
  }
  if (!all.sealed) {
    all.digest.clear();
    all.norm = 0;
    return all;
  }
  for (const blob::ObjectInfo& info : shards) {
    if (info.digest == all.digest) continue;
    return MakeError(Code::kDataLoss, "object '{}' is sealed as {} on one shard of the blob-store and as {} on another; remove it and put it again",
                     all.name.str(), all.digest, info.digest);
  }
  if (shards.size() > 1) all.norm = std::sqrt(squares);
  return all;
}

void TakeDigests(std::span<const wire::SlotDigest> told, std::uint64_t first, std::size_t shard, std::size_t shards, std::span<wire::SlotDigest> page) {
  for (std::size_t i = 0; i < page.size(); ++i) {
    if ((first + i) % shards == shard) page[i] = told[i];
  }
}

}  // namespace tributary::blob_client
