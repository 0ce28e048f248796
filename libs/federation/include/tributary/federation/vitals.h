// What is worth watching of a coordinator's jobs, at a moment: what its metrics tell.
//
// Values; no threads, no I/O. Nothing here has more entries than the running jobs have seats, and there are jobs_at_once of these.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "tributary/base/units.h"
#include "tributary/federation/decisions.h"

namespace tributary::federation {

// Why an update does not count in its round. The rest of the round goes on without it.
enum class Refusal {
  kFailed,   // its trainer could not make it
  kInvalid,  // its trainer or its bytes broke a rule: numbers that are not finite, another layout
  kLate,     // no progress for participants.round_deadline
  kMissing,  // the blob-store does not have it any more
  kDamaged,  // its bytes are not what their digest says
};
constexpr Refusal kRefusals[] = {Refusal::kFailed, Refusal::kInvalid, Refusal::kLate, Refusal::kMissing, Refusal::kDamaged};
const char* RefusalName(Refusal refusal);  // "failed" ...

// A seat that its round waits for.
struct SeatAge {
  std::string seat;
  std::string phase;       // of a set of our own: what a trainer calls otherwise is "other"
  Duration unchanged{0};   // since it last made progress
};

// Of one running job.
struct JobVitals {
  std::string job;
  std::string phase;                 // "wait", "init", "train" ...
  std::uint32_t rounds = 0;          // asked for
  std::uint32_t round = 0;           // under way, or done last
  std::int64_t round_started_ms = 0;  // since 1970, of the one that is under way; 0: none is
  Duration round_deadline{0};        // 0: none
  std::uint64_t model_bytes = 0;     // in whole chunks; 0 before the first model is there
  std::uint32_t round_size = 0;      // trainers that a round asks for
  std::uint64_t seats_taken = 0, seats_free = 0;

  // Of the round that is under way.
  std::uint64_t training = 0, sending = 0, done = 0, left_out = 0;        // updates
  std::uint64_t parts_waiting = 0, parts_leased = 0, parts_done = 0;      // ranges of slots to average
  std::uint64_t slots_done = 0, slots_left = 0;                           // of these
  std::vector<SeatAge> seats;
};

struct Vitals {
  std::map<JobState, std::uint64_t> jobs;      // of all jobs that the journal knows
  std::map<Refusal, std::uint64_t> refused;    // updates, since this process began
  std::vector<JobVitals> running;              // oldest first
};

}  // namespace tributary::federation
