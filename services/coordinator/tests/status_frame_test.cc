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

federation::TaskRow Dropped(std::uint32_t seat, const std::string& why) {
  federation::TaskRow row;
  row.index = seat;
  row.holder = "site/trainer-" + std::to_string(seat);
  row.state = federation::RowState::kDropped;
  row.message = why;
  return row;
}

TEST(StatusFrame, TellsWhySeatsWereLeftOut) {
  auto row = Round(1, 1);
  row.dropped = {"site/1", "site/2", "site/3"};
  auto status = StatusWithSeats(1);
  // A seat without a row has no reason; a long one is cut, not within a character.
  FitFrame(status, {Round(2, 1), row}, [](const federation::RoundRow& round) {
    EXPECT_EQ(round.round, 1u) << "only rounds that left seats out are asked for";
    return std::vector{Dropped(1, "no record"), Dropped(3, std::string(511, 'm') + "ä")};
  });
  ASSERT_EQ(status.finished.size(), 2u);
  EXPECT_TRUE(status.finished[0].dropped_because.empty());
  EXPECT_EQ(status.finished[1].dropped_because, (std::vector<std::string>{"no record", "", std::string(511, 'm')}));
}

TEST(StatusFrame, ReasonsYieldToNames) {
  auto row = Round(1, 0);
  std::vector<federation::TaskRow> updates;
  for (std::uint32_t i = 0; i < 1000; ++i) {
    row.dropped.push_back(fmt::format("site/{}", i));
    updates.push_back(Dropped(i, std::string(1000, 'm')));
  }
  auto status = StatusWithSeats(5);
  FitFrame(status, {row}, [&](const federation::RoundRow&) { return updates; });
  EXPECT_LE(wire::EncodeFrame(1, status).size(), wire::kMaxControlFrame);
  ASSERT_EQ(status.finished.size(), 1u);
  EXPECT_EQ(status.finished[0].dropped.size(), 1000u);
  EXPECT_FALSE(status.finished[0].dropped_because.empty());
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
