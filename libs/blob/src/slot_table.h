// Private: the `slots` file of an object, one checksummed record of 128 bytes a slot (docs/blob-store.md).
//
// Functions over an open file; the caller keeps readers and writers of one record apart. A record that is torn, flipped or
// cut off reads as absent.
#pragma once

#include <functional>
#include <optional>

#include "files.h"
#include "tributary/blob/local_store.h"

namespace tributary::blob {

constexpr std::size_t kSlotRecordBytes = 128;

// Where a chunk lies besides what it is. Slots of a repetitive object may share a place.
struct SlotRecord : SlotMeta {
  std::uint64_t location = 0;  // of its first byte in `data`
  bool elsewhere = false;      // on another shard: nothing of it lies in `data`
};

Result<std::optional<SlotRecord>> ReadRecord(const Fd& table, std::uint64_t slot, const std::filesystem::path& path);
Status WriteRecord(const Fd& table, std::uint64_t slot, const SlotRecord& record, const std::filesystem::path& path);
Status ClearRecord(const Fd& table, std::uint64_t slot, const std::filesystem::path& path);
// Gives `change` the record of each slot of [begin, end) in order, empty for an absent one, and writes back those of which it says that it
// changed them, many at a time. Nobody else may read or write the range meanwhile.
Status RewriteRecords(const Fd& table, tensor::SlotRange range, const std::filesystem::path& path,
                      const std::function<bool(std::uint64_t, std::optional<SlotRecord>&)>& change);
// Calls `visit` for each slot of [begin, end) in order, with null for an absent one, until it gives an error.
Status ScanRecords(const Fd& table, tensor::SlotRange range, const std::filesystem::path& path,
                   const std::function<Status(std::uint64_t, const SlotRecord*)>& visit);

}  // namespace tributary::blob
