#include "tributary/base/clock.h"

#include <algorithm>

namespace tributary {
namespace {

class SteadyClock final : public Clock {
 public:
  TimePoint Now() const override { return std::chrono::steady_clock::now(); }
};

}  // namespace

const Clock& Clock::Steady() {
  static const SteadyClock clock;
  return clock;
}

Duration Deadline::Left() const {
  if (limit_.count() == 0) return std::chrono::hours(24);
  const auto left = limit_ - std::chrono::duration_cast<Duration>(clock_->Now() - last_);
  return std::max(left, Duration(0));
}

}  // namespace tributary
