// Time as a seam: code that waits takes a Clock, tests give one that they move by hand.
//
// A Clock is thread-safe and outlives its users. Deadline is a value for one owner: it means "no
// progress for this long", so every sign of progress renews it (law 5 of docs/architecture.md).
#pragma once

#include <chrono>

#include "tributary/base/units.h"

namespace tributary {

class Clock {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;
  virtual ~Clock() = default;
  virtual TimePoint Now() const = 0;
  // The machine's monotonic clock; lives for ever.
  static const Clock& Steady();
};

class Deadline {
 public:
  // A zero limit means "for ever".
  Deadline(const Clock& clock, Duration limit) : clock_(&clock), limit_(limit) { Renew(); }
  void Renew() { last_ = clock_->Now(); }
  bool Expired() const { return limit_.count() > 0 && clock_->Now() - last_ >= limit_; }
  Duration limit() const { return limit_; }
  // Time left; a large number when it never ends; never negative.
  Duration Left() const;

 private:
  const Clock* clock_;
  Duration limit_;
  Clock::TimePoint last_;
};

}  // namespace tributary
