// Private: how many bytes to have under way on a line, so that it is full and no more than that is held.
//
// Twice the product of the line's rate and its round trip, as measured, and at least what a line without delay needs; twice, so that the
// measure can rise: with a window of just that product a line looks as fast as the window lets it be. The rate is the highest of the last two
// intervals of a quarter of a second or more in which something came. One thread. Bytes.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>

namespace tributary::blob_client {

class Window {
 public:
  using Time = std::chrono::steady_clock::time_point;
  using Span = std::chrono::steady_clock::duration;

  Window(std::uint64_t least, std::uint64_t most) : least_(std::min(least, most)), most_(most) {}

  // So much arrived at the other end, or here.
  void Moved(std::uint64_t bytes, Time now) {
    if (moved_ == 0) since_ = now;
    moved_ += bytes;
    const double seconds = std::chrono::duration<double>(now - since_).count();
    if (seconds < kInterval) return;
    before_ = rate_;
    rate_ = static_cast<double>(moved_) / seconds;
    moved_ = 0;
  }
  // `round_trip`: the shortest that was seen; zero: not known yet. Less than 5 ms is no line's delay but a busy machine's.
  std::uint64_t bytes(Span round_trip) const {
    if (round_trip < kShort) return least_;
    const double product = std::max(rate_, before_) * std::chrono::duration<double>(round_trip).count();
    return std::clamp(static_cast<std::uint64_t>(2 * product), least_, most_);
  }

 private:
  static constexpr double kInterval = 0.25;
  static constexpr std::chrono::milliseconds kShort{5};
  const std::uint64_t least_;
  const std::uint64_t most_;
  std::uint64_t moved_ = 0;
  Time since_{};
  double rate_ = 0;  // bytes a second
  double before_ = 0;
};

}  // namespace tributary::blob_client
