#include "line_meter.h"

#include <algorithm>

namespace tributary::blob_client {
namespace {

constexpr std::chrono::milliseconds kApart{100};
constexpr std::chrono::milliseconds kLeast{500};
constexpr std::chrono::seconds kSpan{30};
constexpr LineMeter::Time::duration kLongestPause = std::chrono::seconds(5);
constexpr std::uint64_t kSignOfLife = 512;
// Requests and acknowledgements, which tell nothing of the line.
constexpr std::uint64_t kSmallTalk = 64u << 10;

}  // namespace

void LineMeter::Look(Time now, std::uint64_t bytes) {
  if (!points_.empty() && bytes < newest_.bytes) points_.clear();
  if (points_.empty()) {
    newest_ = {Time::duration(0), bytes};
    points_.push_back(newest_);
    last_ = now;
    return;
  }
  if (bytes - newest_.bytes < kSignOfLife) return;
  newest_ = {newest_.moving + std::min(now - last_, kLongestPause), bytes};
  last_ = now;
  if (newest_.moving - points_.back().moving >= kApart) points_.push_back(newest_);
  while (points_.size() > 1 && newest_.moving - points_.front().moving > kSpan) points_.pop_front();
  const auto span = newest_.moving - points_.front().moving;
  const std::uint64_t moved = newest_.bytes - points_.front().bytes;
  if (span >= kLeast && moved >= kSmallTalk) rate_ = static_cast<double>(moved) / std::chrono::duration<double>(span).count();
}

}  // namespace tributary::blob_client
