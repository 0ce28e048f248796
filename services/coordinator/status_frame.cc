#include "services/coordinator/status_frame.h"

#include <algorithm>

#include "tributary/wire/codec.h"
#include "tributary/wire/frame.h"

namespace tributary::service {
namespace {

constexpr std::size_t kFrame = wire::kMaxControlFrame - 1024;  // less the header and what changes its length
constexpr std::size_t kSeats = kFrame / 2;
constexpr std::size_t kMessage = 4096;
constexpr std::size_t kReason = 512;

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
  for (const auto* list : {&round.participants, &round.dropped, &round.dropped_because}) {
    for (const std::string& name : *list) size += name.size() + 3;
  }
  return size;
}

void Shorten(wire::RoundStatus& round, std::size_t limit) {
  while (Size(round) > limit && !round.dropped_because.empty()) round.dropped_because.resize(round.dropped_because.size() / 2);
  while (Size(round) > limit && !(round.participants.empty() && round.dropped.empty())) {
    auto& longer = round.participants.size() >= round.dropped.size() ? round.participants : round.dropped;
    longer.resize(longer.size() / 2);
  }
}

// Not within a character.
std::string Cut(const std::string& text, std::size_t limit) {
  if (text.size() <= limit) return text;
  while (limit > 0 && (static_cast<unsigned char>(text[limit]) & 0xC0) == 0x80) --limit;
  return text.substr(0, limit);
}

std::string ReasonOf(const std::string& seat, const std::vector<federation::TaskRow>& updates) {
  const auto row = std::ranges::find_if(updates, [&](const federation::TaskRow& update) {
    return update.state == federation::RowState::kDropped && seat == fmt::format("{}/{}", update.holder.substr(0, update.holder.find('/')), update.index);
  });
  return row == updates.end() ? std::string() : Cut(row->message, kReason);
}

}  // namespace

wire::RoundStatus ToStatus(const federation::RoundRow& row, const std::vector<federation::TaskRow>& updates) {
  wire::RoundStatus round;
  round.round = row.round;
  round.seconds = row.seconds;
  round.participants = row.participants;
  round.dropped = row.dropped;
  round.metrics = row.metrics;
  round.bytes_up = row.bytes_up;
  round.bytes_down = row.bytes_down;
  round.digest = row.digest;
  if (updates.empty()) return round;
  for (const std::string& seat : row.dropped) round.dropped_because.push_back(ReasonOf(seat, updates));
  return round;
}

void FitFrame(wire::JobStatus& status, const std::vector<federation::RoundRow>& rounds, const UpdatesOf& updates) {
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
    wire::RoundStatus round = ToStatus(row, updates == nullptr || row.dropped.empty() ? std::vector<federation::TaskRow>() : updates(row));
    if (status.finished.empty()) Shorten(round, kFrame - used);
    const std::size_t size = Size(round);
    if (used + size > kFrame) break;
    used += size;
    status.finished.push_back(std::move(round));
  }
}

}  // namespace tributary::service
