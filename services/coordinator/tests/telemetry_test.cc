#include "services/coordinator/telemetry.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

namespace tributary::service {
namespace {

using testing::HasSubstr;
using testing::Not;

class TelemetryTest : public testing::Test {
 protected:
  metrics::Registry registry_;
  Telemetry telemetry_{registry_, 64u << 20};
};

TEST_F(TelemetryTest, WhatATrainerTellsStandsBesideOurOwn) {
  telemetry_.Relay("hospital/trainer-0", {{"process_resident_memory_bytes", 1048576}, {"steps_total", 7}});
  const std::string text = registry_.Text();
  EXPECT_THAT(text, HasSubstr("process_resident_memory_bytes{trainer=\"hospital/trainer-0\"} 1048576"));
  EXPECT_THAT(text, HasSubstr("tributary_trainer_steps_total{trainer=\"hospital/trainer-0\"} 7"));
  const std::string type = "# TYPE process_resident_memory_bytes ";
  EXPECT_NE(text.find(type), std::string::npos);
  EXPECT_EQ(text.find(type), text.rfind(type)) << "a page with a family twice is refused by Prometheus";
  telemetry_.Forget("hospital/trainer-0");
  EXPECT_THAT(registry_.Text(), Not(HasSubstr("hospital")));
}

TEST_F(TelemetryTest, BadNamesAndValuesAndMoreThanABoundAreLeftOut) {
  std::map<std::string, double> samples = {{"no spaces", 1}, {"", 1}, {"x{y=\"z\"}", 1}, {std::string(65, 'x'), 1},
                                           {"nan", std::numeric_limits<double>::quiet_NaN()}};
  telemetry_.Relay("a/b", samples);
  EXPECT_THAT(registry_.Text(), Not(HasSubstr("{trainer=\"a/b\"")));
  for (int i = 0; i < 1000; ++i) samples.emplace("m" + std::to_string(i), i);
  telemetry_.Relay("a/b", samples);
  const std::string text = registry_.Text();
  int lines = 0;
  for (std::size_t at = text.find("{trainer=\"a/b\""); at != std::string::npos; at = text.find("{trainer=\"a/b\"", at + 1)) ++lines;
  EXPECT_EQ(lines, 48);
}

TEST_F(TelemetryTest, ARelayedTrainerIsNamedWithItsSiteAndHasItsPhases) {
  telemetry_.Relay("hospital/trainer-0", {{"tributary_memory_phase_peak_bytes.train", 5},
                                          {"tributary_memory_phase_peak_bytes", 6},
                                          {"tributary_memory_phase_peak_bytes.a b", 7},
                                          {"tributary_jobs.train", 8}});
  const std::string text = registry_.Text();
  EXPECT_THAT(text, HasSubstr("tributary_trainer_info{site=\"hospital\",trainer=\"hospital/trainer-0\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("tributary_memory_phase_peak_bytes{phase=\"train\",trainer=\"hospital/trainer-0\"} 5\n"));
  for (const char* refused : {"} 6\n", "} 7\n", "} 8\n"}) EXPECT_THAT(text, Not(HasSubstr(refused)));
}

TEST_F(TelemetryTest, OfARunningJobEverythingIsTold) {
  federation::Vitals vitals;
  vitals.jobs = {{federation::JobState::kRunning, 1}, {federation::JobState::kFailed, 2}};
  vitals.refused = {{federation::Refusal::kLate, 3}};
  federation::JobVitals job;
  job.job = "imdb";
  job.phase = "train";
  job.rounds = 5;
  job.round = 2;
  job.round_started_ms = 1'700'000'000'500;
  job.round_deadline = Duration(60'000);
  job.model_bytes = 1048576;
  job.round_size = 4;
  job.seats_taken = 3;
  job.seats_free = 1;
  job.training = 1;
  job.parts_waiting = 2;
  job.slots_left = 7;
  job.seats = {{"a/0", "train", Duration(1'500)}};
  vitals.running = {job};
  telemetry_.Watch(vitals);
  const std::string text = registry_.Text();
  for (const char* line :
       {"tributary_jobs{state=\"failed\"} 2", "tributary_jobs{state=\"queued\"} 0", "tributary_updates_refused_total{reason=\"late\"} 3",
        "tributary_updates_refused_total{reason=\"damaged\"} 0", "tributary_job_info{name=\"imdb\"} 1", "tributary_job_rounds{name=\"imdb\"} 5",
        "tributary_job_round{name=\"imdb\"} 2", "tributary_round_phase{name=\"imdb\",phase=\"train\"} 1",
        "tributary_round_phase{name=\"imdb\",phase=\"seal\"} 0", "tributary_round_start_timestamp_seconds{name=\"imdb\"} 1700000000.5",
        "tributary_round_deadline_seconds{name=\"imdb\"} 60", "tributary_model_bytes{name=\"imdb\"} 1048576", "tributary_round_size{name=\"imdb\"} 4",
        "tributary_job_seats{name=\"imdb\",state=\"taken\"} 3", "tributary_job_seats{name=\"imdb\",state=\"free\"} 1",
        "tributary_round_updates{name=\"imdb\",state=\"training\"} 1", "tributary_aggregation_parts{name=\"imdb\",state=\"waiting\"} 2",
        "tributary_aggregation_slots{name=\"imdb\",state=\"left\"} 7",
        "tributary_seat_unchanged_seconds{name=\"imdb\",seat=\"a/0\",phase=\"train\"} 1.5"}) {
    EXPECT_THAT(text, HasSubstr(std::string(line) + "\n"));
  }
}

TEST_F(TelemetryTest, JobsThatRunSideBySideAreToldApart) {
  federation::Vitals vitals;
  federation::JobVitals job;
  job.job = "imdb";
  job.phase = "train";
  job.round = 2;
  vitals.running.push_back(job);
  job.job = "cifar";
  job.phase = "seal";
  job.round = 7;
  vitals.running.push_back(job);
  telemetry_.Watch(vitals);
  const std::string text = registry_.Text();
  for (const char* line : {"tributary_job_info{name=\"imdb\"} 1", "tributary_job_info{name=\"cifar\"} 1", "tributary_job_round{name=\"imdb\"} 2",
                           "tributary_job_round{name=\"cifar\"} 7", "tributary_round_phase{name=\"imdb\",phase=\"seal\"} 0",
                           "tributary_round_phase{name=\"cifar\",phase=\"seal\"} 1"}) {
    EXPECT_THAT(text, HasSubstr(std::string(line) + "\n"));
  }
  const std::string type = "# TYPE tributary_job_round ";
  EXPECT_EQ(text.find(type), text.rfind(type)) << "a page with a family twice is refused by Prometheus";
}

TEST_F(TelemetryTest, WithoutAJobNothingIsToldOfOne) {
  federation::Vitals vitals;
  vitals.running.resize(1);
  vitals.running[0].job = "imdb";
  telemetry_.Watch(vitals);
  telemetry_.Watch({});
  const std::string text = registry_.Text();
  for (const char* name : {"tributary_job_info", "tributary_round_phase", "tributary_model_bytes", "tributary_round_deadline_seconds", "tributary_job_seats"}) {
    EXPECT_THAT(text, Not(HasSubstr(name))) << "left out, not 0 in disguise";
  }
  EXPECT_THAT(text, HasSubstr("tributary_jobs{state=\"running\"} 0\n"));
}

TEST_F(TelemetryTest, SeatsThatAreWantedAreThoseOfJobsThatRunOrLackNothingElse) {
  EXPECT_THAT(registry_.Text(), HasSubstr("tributary_seats_wanted 0\n")) << "what scales trainers must see that none is wanted";
  federation::Federation::Census census;
  census.seats_taken = 4;
  census.seats_free = 2;
  census.spares = 3;
  census.seats_queued = 5;
  telemetry_.Count(census, 9);
  const std::string text = registry_.Text();
  EXPECT_THAT(text, HasSubstr("tributary_seats_wanted 11\n"));
  EXPECT_THAT(text, HasSubstr("tributary_seats{state=\"free\"} 2\n"));
  EXPECT_THAT(text, HasSubstr("tributary_seats{state=\"spare\"} 3\n"));
}

TEST_F(TelemetryTest, OfManySeatsThoseThatStandStillLongestAreTold) {
  federation::Vitals vitals;
  vitals.running.resize(2);
  vitals.running[0].job = "imdb";
  vitals.running[1].job = "cifar";
  for (int i = 0; i < 1000; ++i) vitals.running[i % 2].seats.push_back({"a/" + std::to_string(i), "train", Duration(i * 1000)});
  telemetry_.Watch(vitals);
  const std::string text = registry_.Text();
  EXPECT_THAT(text, HasSubstr("seat=\"a/999\""));
  EXPECT_THAT(text, HasSubstr("seat=\"a/744\""));
  EXPECT_THAT(text, Not(HasSubstr("seat=\"a/743\"")));
  // As many, too, where all stand still alike.
  for (auto& job : vitals.running) {
    for (auto& seat : job.seats) seat.unchanged = Duration(7'000);
  }
  telemetry_.Watch(vitals);
  const std::string alike = registry_.Text();
  int lines = 0;
  for (std::size_t at = alike.find("\ntributary_seat_unchanged_seconds{"); at != std::string::npos; at = alike.find("\ntributary_seat_unchanged_seconds{", at + 1)) ++lines;
  EXPECT_EQ(lines, 256);
}

TEST_F(TelemetryTest, LossesOfTheNewestRoundStayUntilTheNextJobBegins) {
  federation::RoundRow round;
  round.job = "imdb";
  round.round = 1;
  round.state = federation::RoundState::kDone;
  round.seconds = 12;
  round.bytes_up = 100;
  round.metrics = {{"train_loss", 2.5}, {"val_loss", 3.5}, {"samples", 30}, {"tokens", 300}, {"seconds_train", 9}, {"bytes_deduplicated", 50}};
  federation::JobRow done;
  done.job = "imdb";
  done.state = federation::JobState::kCompleted;
  done.round = 1;
  telemetry_.Decided({round, done});
  std::string text = registry_.Text();
  for (const char* line : {"tributary_train_loss{name=\"imdb\"} 2.5", "tributary_validation_loss{name=\"imdb\"} 3.5", "tributary_rounds_total 1", "tributary_trained_samples_total 30",
                           "tributary_trained_tokens_total 300", "tributary_round_deduplicated_bytes_total 50",
                           "tributary_phase_duration_seconds_sum{phase=\"train\"} 9", "tributary_round_transfer_bytes_total{direction=\"up\"} 100"}) {
    EXPECT_THAT(text, HasSubstr(std::string(line) + "\n"));
  }
  EXPECT_THAT(text, Not(HasSubstr("tributary_validation_accuracy_ratio"))) << "the round has none";
  federation::JobRow next;
  next.job = "next";
  next.state = federation::JobState::kRunning;
  telemetry_.Decided({next});
  EXPECT_THAT(registry_.Text(), Not(HasSubstr("tributary_train_loss")));
}

TEST_F(TelemetryTest, LossesOfAJobStayWhileAnotherEndsOrGoesOn) {
  const auto row = [](const char* name, federation::JobState state, std::uint32_t round) {
    federation::JobRow job;
    job.job = name;
    job.state = state;
    job.round = round;
    return job;
  };
  const auto done = [](const char* name, double loss) {
    federation::RoundRow round;
    round.job = name;
    round.round = 1;
    round.state = federation::RoundState::kDone;
    round.metrics = {{"train_loss", loss}};
    return round;
  };
  using federation::JobState;
  telemetry_.Decided({row("a", JobState::kRunning, 0), row("b", JobState::kRunning, 0)});
  telemetry_.Decided({done("a", 1.5), done("b", 2.5)});
  telemetry_.Decided({row("a", JobState::kCompleted, 1)});
  telemetry_.Decided({row("b", JobState::kRunning, 1)});  // its next model is sealed: nothing begins
  EXPECT_THAT(registry_.Text(), HasSubstr("tributary_train_loss{name=\"a\"} 1.5\n"));
  EXPECT_THAT(registry_.Text(), HasSubstr("tributary_train_loss{name=\"b\"} 2.5\n"));
  telemetry_.Decided({row("c", JobState::kRunning, 0)});
  EXPECT_THAT(registry_.Text(), Not(HasSubstr("{name=\"a\"}")));
  EXPECT_THAT(registry_.Text(), HasSubstr("tributary_train_loss{name=\"b\"} 2.5\n"));
}

}  // namespace
}  // namespace tributary::service
