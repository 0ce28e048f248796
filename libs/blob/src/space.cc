#include "space.h"

#include <algorithm>

#include "files.h"
#include "slot_table.h"
#include "tributary/base/units.h"

namespace tributary::blob {

Status Space::Take(const ObjectName& object, std::uint64_t bytes, std::uint64_t soon) {
  if (const std::string owner = OwnerOf(object); !owner.empty()) {
    const std::lock_guard lock(mutex_);
    // Who is refused leaves no entry: names of sites are the peers' to choose where there are no keys.
    const auto found = shares_.find(owner);
    const std::uint64_t used = found == shares_.end() ? 0 : found->second;
    const std::uint64_t kept = used - std::min(used, soon);
    if (kept > share_ || bytes > share_ - kept) {
      return MakeError(Code::kResourceExhausted, "object '{}' does not fit what '{}' may have of this blob-store; remove objects of it that nobody needs, or raise --site-quota: {} more "
                       "are needed, {} of {} are taken", object.str(), owner, FormatBytes(bytes), FormatBytes(kept), FormatBytes(share_));
    }
    if (bytes > 0) shares_[owner] += bytes;
  }
  auto full = TryTake(object, bytes, soon);
  if (full && reclaim_ && bytes <= quota_) {
    const std::uint64_t used = used_ - std::min<std::uint64_t>(used_, soon);
    reclaim_(used + bytes - std::min(used + bytes, quota_));
    full = TryTake(object, bytes, soon);
  }
  if (!full) return Ok();
  GiveShare(object, bytes);
  return *full;
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

void Space::TakeAnyway(const ObjectName& object, std::uint64_t bytes) {
  used_ += bytes;
  if (const std::string owner = OwnerOf(object); !owner.empty()) {
    const std::lock_guard lock(mutex_);
    shares_[owner] += bytes;
  }
}

void Space::GiveShare(const ObjectName& object, std::uint64_t bytes) {
  const std::string owner = OwnerOf(object);
  if (owner.empty()) return;
  const std::lock_guard lock(mutex_);
  const auto found = shares_.find(owner);
  if (found == shares_.end()) return;
  found->second -= std::min(found->second, bytes);
  if (found->second == 0) shares_.erase(found);
}

void Space::Give(const ObjectName& object, std::uint64_t bytes) {
  GiveShare(object, bytes);
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
