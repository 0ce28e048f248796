#include "services/coordinator/status_frame.h"

#include <gtest/gtest.h>

#include "tributary/wire/codec.h"

namespace tributary::service {
namespace {

wire::JobStatus StatusWithSeats(int seats) {
  wire::JobStatus status;
  status.job = std::string(63, 'j');
  for (int i = 0; i < seats; ++i) {
    wire::SeatStatus seat;
    seat.seat = fmt::format("{}/{}", std::string(60, 's'), i);
    seat.instance = std::string(63, 'i');
    seat.state = "train";
    seat.done = seat.total = 1ull << 60;
    seat.metrics = {{"train_loss", 1.5}, {"tokens_per_second", 2.5}};
    status.seats.push_back(seat);
  }
  return status;
}

federation::RoundRow Round(std::uint32_t number, int participants) {
  federation::RoundRow row;
  row.round = number;
  row.digest = std::string(64, 'a');
  row.metrics = {{"train_loss", 1.0}, {"val_loss", 2.0}};
  row.bytes_up = row.bytes_down = UINT64_MAX;
  for (int i = 0; i < participants; ++i) row.participants.push_back(fmt::format("{}/{}", std::string(60, 's'), i));
  return row;
}

TEST(StatusFrame, TellsEverythingThatFits) {
  auto status = StatusWithSeats(4);
  FitFrame(status, {Round(1, 4), Round(2, 4)});
  EXPECT_EQ(status.seats.size(), 4u);
  EXPECT_EQ(status.finished.size(), 2u);
  EXPECT_EQ(status.finished[0].participants.size(), 4u);
}

TEST(StatusFrame, StaysWithinAFrameForThousandsOfSeatsAndRounds) {
  for (int participants : {0, 3, 100, 1500}) {
    for (int seats : {0, 5, 5000}) {
      auto status = StatusWithSeats(seats);
      status.message = std::string(100'000, 'm');
      std::vector<federation::RoundRow> rounds;
      for (std::uint32_t i = 1; i <= 100; ++i) rounds.push_back(Round(i, participants));
      FitFrame(status, rounds);
      EXPECT_LE(wire::EncodeFrame(1, status).size(), wire::kMaxControlFrame);
      EXPECT_GE(status.finished.size(), 1u);  // so that asking again makes progress
    }
  }
}

}  // namespace
}  // namespace tributary::service
