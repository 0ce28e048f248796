// What the coordinator decided, as rows: the whole durable truth of its jobs.
//
// State is the rows that decisions about unfinished work need; Apply puts one decision into it. The machine (federation.h) changes
// its state only through Apply, and the journal stores the same rows, so a restart sees exactly what was decided.
// Values; no threads, no I/O. Times are milliseconds since 1970 unless named otherwise.
#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <string>
#include <tuple>
#include <variant>
#include <vector>

#include "tributary/wire/control.h"

namespace tributary::federation {

using Metrics = std::map<std::string, double>;

// Numbers are stored: never renumber.
enum class JobState : std::uint32_t { kQueued = 1, kRunning = 2, kCompleted = 3, kFailed = 4, kStopped = 5 };
enum class RoundState : std::uint32_t { kInit = 1, kTrain = 2, kAggregate = 3, kSeal = 4, kValidate = 5, kDone = 6 };
// kOpen, of train: the update is open at the blob-store, with its sample count, and on its way; it may be averaged as it comes.
enum class RowState : std::uint32_t { kPending = 1, kDone = 2, kDropped = 3, kOpen = 4 };
// Its worker still has to end it.
inline bool Unfinished(RowState state) { return state == RowState::kPending || state == RowState::kOpen; }

const char* JobStateName(JobState state);      // "queued" ...
const char* RoundStateName(RoundState state);  // "init", "train" ...
inline bool Finished(JobState state) { return state != JobState::kQueued && state != JobState::kRunning; }

struct JobRow {
  std::string job;
  std::string text;            // empty in State once the job is finished
  JobState state = JobState::kQueued;
  std::uint64_t order = 0;     // of submission
  std::string message;         // failed: why
  std::int64_t started_ms = 0;
  std::int64_t ended_ms = 0;
  std::uint32_t rounds = 0;    // asked for
  std::uint32_t round = 0;     // newest sealed
  std::string digest;          // of its model
  std::uint32_t resumes = 0;   // how often it went on after an end
  bool operator==(const JobRow&) const = default;
};

struct RoundRow {
  std::string job;
  std::uint32_t round = 0;
  RoundState state = RoundState::kInit;
  std::uint64_t generation = 0;
  std::uint64_t slots = 0;
  std::string digest;          // hex, of the sealed model
  std::int64_t started_ms = 0;
  std::int64_t phase_ms = 0;   // when `state` began
  double seconds = 0;          // set when done
  std::vector<std::string> participants;  // seats whose updates are averaged, in order of seat; set with each generation
  std::vector<std::string> dropped;
  Metrics metrics;
  std::uint64_t bytes_up = 0;  // of trainers
  std::uint64_t bytes_down = 0;
  std::string broadcast_digest;  // of the model's encoded form, which trainers download; empty: they download the model
  double broadcast_error = 0;    // of that, relative
  bool operator==(const RoundRow&) const = default;
};

// An empty instance: the seat is free (no row).
struct SeatRow {
  std::string job;
  std::uint32_t ordinal = 0;
  std::string site;
  std::string instance;
  bool operator==(const SeatRow&) const = default;
};

struct TaskRow {
  std::string job;
  std::uint32_t round = 0;
  wire::TaskKind kind = wire::TaskKind::kTrain;
  std::uint32_t index = 0;       // seat ordinal, part, batch of removals
  RowState state = RowState::kPending;
  std::uint32_t attempt = 0;     // part of the task's name: raised whenever an older report must not count
  std::uint32_t failures = 0;
  std::string holder;            // worker it is (or was last) leased to
  std::uint64_t first_slot = 0;  // aggregate
  std::uint64_t end_slot = 0;
  std::vector<std::string> objects;  // train: output, then outputs of earlier holders; remove: what goes
  Metrics metrics;                   // of an open one: samples alone
  std::string digest;
  std::uint64_t bytes_up = 0;    // over all attempts
  std::uint64_t bytes_down = 0;
  std::string message;           // why it failed last
  std::string broadcast_digest;  // init, seal
  bool operator==(const TaskRow&) const = default;
};

// The unfinished round's working rows may go; train rows stay in the journal as the record of who gave what.
struct CloseRound {
  std::string job;
  std::uint32_t round = 0;
  bool operator==(const CloseRound&) const = default;
};

// A resumed job makes the rounds from this one on anew: nothing of them stays but pending removals.
struct AbandonRound {
  std::string job;
  std::uint32_t round = 0;
  bool operator==(const AbandonRound&) const = default;
};

using Decision = std::variant<JobRow, RoundRow, SeatRow, TaskRow, CloseRound, AbandonRound>;

using RoundKey = std::pair<std::string, std::uint32_t>;
using SeatKey = std::pair<std::string, std::uint32_t>;
using TaskKey = std::tuple<std::string, std::uint32_t, wire::TaskKind, std::uint32_t>;
inline TaskKey KeyOf(const TaskRow& row) { return {row.job, row.round, row.kind, row.index}; }

// Kept: all jobs; of unfinished jobs their seats, the newest done round and those after it, and these rounds' tasks;
// removals that are pending, of any job.
struct State {
  std::map<std::string, JobRow> jobs;
  std::map<RoundKey, RoundRow> rounds;
  std::map<SeatKey, SeatRow> seats;
  std::map<TaskKey, TaskRow> tasks;

  void Apply(const Decision& decision);
  bool operator==(const State&) const = default;
};

}  // namespace tributary::federation
