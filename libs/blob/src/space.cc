#include "space.h"

#include <algorithm>

#include "files.h"
#include "slot_table.h"
#include "tributary/base/units.h"

namespace tributary::blob {

Status Space::Take(const ObjectName& object, std::uint64_t bytes, std::uint64_t soon) {
  auto full = TryTake(object, bytes, soon);
  if (full && reclaim_ && bytes <= quota_) {
    const std::uint64_t used = used_ - std::min<std::uint64_t>(used_, soon);
    reclaim_(used + bytes - std::min(used + bytes, quota_));
    full = TryTake(object, bytes, soon);
  }
  return full ? Status(*full) : Ok();
}

std::optional<Error> Space::TryTake(const ObjectName& object, std::uint64_t bytes, std::uint64_t soon) {
  std::uint64_t used = used_;
  do {
    const std::uint64_t kept = used - std::min(used, soon);
    if (quota_ != 0 && (kept > quota_ || bytes > quota_ - kept)) {
      return MakeError(Code::kResourceExhausted,
                       "object '{}' does not fit the quota of this blob-store; remove objects that nobody needs, or raise --quota: {} more "
                       "are needed, {} of {} are taken",
                       object.str(), FormatBytes(bytes), FormatBytes(kept), FormatBytes(quota_));
    }
  } while (!used_.compare_exchange_weak(used, used + bytes));
  return std::nullopt;
}

void Space::Give(std::uint64_t bytes) {
  std::uint64_t used = used_;
  while (!used_.compare_exchange_weak(used, used - std::min(used, bytes))) {
  }
}

std::uint64_t TakenBytes(std::uint64_t data, std::uint64_t slots) {
  return UpToBlock(data) + UpToBlock(slots) + UpToBlock(slots / kSlotRecordBytes * wire::kSlotDigestBytes);
}

std::uint64_t TakenBytesOf(const std::filesystem::path& directory) {
  const auto bytes = [&](const char* file) {
    const auto found = FileBytes(directory / file);
    return found.ok() ? *found : 0;
  };
  return TakenBytes(bytes("data"), bytes("slots"));
}

}  // namespace tributary::blob
