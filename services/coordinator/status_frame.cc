#include "services/coordinator/status_frame.h"

#include <algorithm>

#include "tributary/wire/codec.h"
#include "tributary/wire/frame.h"

namespace tributary::service {
namespace {

constexpr std::size_t kFrame = wire::kMaxControlFrame - 1024;  // less the header and what changes its length
constexpr std::size_t kSeats = kFrame / 2;
constexpr std::size_t kMessage = 4096;

// An upper bound of what a value takes in the frame.
std::size_t Size(const federation::Metrics& metrics) {
  std::size_t size = 3;
  for (const auto& [name, value] : metrics) size += name.size() + 3 + 9;
  return size;
}
std::size_t Size(const wire::SeatStatus& seat) {
  return 80 + seat.seat.size() + seat.instance.size() + seat.state.size() + seat.unit.size() + Size(seat.metrics);
}
std::size_t Size(const wire::RoundStatus& round) {
  std::size_t size = 150 + round.digest.size() + Size(round.metrics);
  for (const auto* list : {&round.participants, &round.dropped}) {
    for (const std::string& name : *list) size += name.size() + 3;
  }
  return size;
}

void Shorten(wire::RoundStatus& round, std::size_t limit) {
  while (Size(round) > limit && !(round.participants.empty() && round.dropped.empty())) {
    auto& longer = round.participants.size() >= round.dropped.size() ? round.participants : round.dropped;
    longer.resize(longer.size() / 2);
  }
}

}  // namespace

wire::RoundStatus ToStatus(const federation::RoundRow& row) {
  wire::RoundStatus round;
  round.round = row.round;
  round.seconds = row.seconds;
  round.participants = row.participants;
  round.dropped = row.dropped;
  round.metrics = row.metrics;
  round.bytes_up = row.bytes_up;
  round.bytes_down = row.bytes_down;
  round.digest = row.digest;
  return round;
}

void FitFrame(wire::JobStatus& status, const std::vector<federation::RoundRow>& rounds) {
  if (status.message.size() > kMessage) status.message.resize(kMessage);
  std::size_t used = 600 + status.message.size();
  std::size_t seats = 0;
  for (; seats < status.seats.size(); ++seats) {
    const std::size_t size = Size(status.seats[seats]);
    if (used + size > kSeats) break;
    used += size;
  }
  status.seats.resize(seats);
  for (const federation::RoundRow& row : rounds) {
    wire::RoundStatus round = ToStatus(row);
    if (status.finished.empty()) Shorten(round, kFrame - used);
    const std::size_t size = Size(round);
    if (used + size > kFrame) break;
    used += size;
    status.finished.push_back(std::move(round));
  }
}

}  // namespace tributary::service
