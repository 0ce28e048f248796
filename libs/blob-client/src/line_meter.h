// Private: how fast a line is, out of what the kernel counts on it.
//
// The rate of the last half minute in which bytes moved, from the first movement to the newest: a line that stands still now keeps the rate
// that it had, so that a wait for it ends. A pause counts for five seconds at most: longer ones are breaks, or nobody had anything to
// send. What is less than a request's bytes (signs of life) does not count as movement. A plain value; one thread. Bytes.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <optional>

namespace tributary::blob_client {

class LineMeter {
 public:
  using Time = std::chrono::steady_clock::time_point;

  // `bytes` of the present connection so far; less than before: it is another connection.
  void Look(Time now, std::uint64_t bytes);
  // Nobody listened since the last Look: what stood still in between was not the line.
  void Pause() { points_.clear(); }
  // Bytes a second. Nothing until it was seen for half a second, and to carry more than small talk.
  std::optional<double> Rate() const { return rate_; }

 private:
  struct Point {
    Time::duration moving;  // since the first one that there ever was
    std::uint64_t bytes;
  };
  Point newest_{};
  Time last_{};  // when that was
  std::deque<Point> points_;
  std::optional<double> rate_;
};

}  // namespace tributary::blob_client
