// The state machine of jobs and their rounds: events in, decisions and assignments out.
//
// A Federation owns the coordinator's State and what is only true now (who is connected, progress, deadlines). It does no I/O and
// reads no clock: each event brings its time. After an event the caller (1) commits TakeDecisions() to its journal, and only
// then (2) sends the assignments of TakeChanged() and answers the event; if the commit fails the Federation must be thrown
// away, since its memory is ahead of the journal. Restored from the journal's State it goes on where the rows say. One thread.
//
// Errors: what a peer said wrong is an Error and changes nothing. Malformed content of an otherwise known report fails that task.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tributary/base/result.h"
#include "tributary/base/units.h"
#include "tributary/federation/decisions.h"
#include "tributary/federation/vitals.h"
#include "tributary/job/job.h"
#include "tributary/wire/control.h"

namespace tributary::federation {

struct Time {
  Duration steady{0};         // deadlines: never goes back
  std::int64_t wall_ms = 0;   // journal: since 1970
};

struct Limits {
  Duration seat_timeout{15'000};    // silence after which a spare may take a seat over
  Duration lease_timeout{10'000};   // silence after which an aggregator's lease moves
  Duration wait_notice{10'000};     // waiting this long is worth a log line
  Duration gather{30'000};          // a job that no further trainer joined for so long lets others begin before it
  Duration retry_delay{1'000};      // before the first retry of a failed task; doubles
  std::uint32_t task_failures = 4;  // the fourth failure of init, aggregate or seal fails the job: three retries
  std::uint32_t seat_failures = 2;  // of train or validate drop the seat
  std::uint32_t jobs_at_once = 4;   // that run side by side, at least 1
};

using JobParser = std::function<Result<job::Job>(const std::string& text, const std::string& file)>;

struct Note {
  enum class Level { kInfo, kWarning } level = Level::kInfo;
  std::string text;
  std::string job = {};      // whose log it belongs to; empty: of none
  std::int64_t time_ms = 0;  // since 1970
};

// How a worker is named from its Hello: "site/instance" of a trainer, "instance" of an aggregator.
std::string WorkerKey(const wire::Hello& hello);

class Federation {
 public:
  Federation(Limits limits, JobParser parser, State restored, Time now);
  ~Federation();
  Federation(Federation&&) noexcept;

  // A trainer or aggregator is (again) there. Returns the worker's key, which the other calls take.
  Result<std::string> Connect(const wire::Hello& hello, Time now);
  // Its session ended without a word; lets the timeouts decide about seat and leases.
  void Disconnect(const std::string& worker);
  // False: nobody of this key is known (any longer); it must say Hello again.
  bool Report(const std::string& worker, const wire::Report& report, Time now);
  void Tick(Time now);

  // `job`: the wished-for id, [A-Za-z0-9._-]. kAlreadyExists when it exists and is not resumed.
  Result<wire::Submitted> Submit(const wire::Submit& submit, Time now);
  // Stopping a finished job changes nothing; answers with its state.
  Result<wire::Stopped> Stop(const std::string& job, Time now);

  // A finished job goes on behind its newest sealed round. `stored` is its row as the journal has it, with the text that is to hold from now on;
  // `newest` are its two newest rounds, the newest first, done or not; `updates` the train rows of the newest. kConflict when nothing is left to do.
  // `from`: an earlier done round to go on behind; its model must be one that the job keeps (kNotFound names those), and what came after it goes.
  Result<wire::Resumed> Resume(JobRow stored, std::vector<RoundRow> newest, std::vector<TaskRow> updates, std::optional<RoundRow> from, Time now);

  std::vector<Decision> TakeDecisions();
  // Workers whose assignment is not what they were told last.
  std::vector<std::string> TakeChanged();
  std::vector<Note> TakeNotes();

  wire::Assignment AssignmentOf(const std::string& worker);
  // Objects outside of the job that the text of an unfinished one names, without their digests: an imported model, its tokenizer, adapters.
  std::vector<std::string> ImportsOf(const std::string& job);
  // The text of an unfinished job; of others the journal knows it. kNotFound.
  Result<std::string> JobText(const std::string& job) const;
  // All but `finished`, which the journal tells. kNotFound.
  Result<wire::JobStatus> StatusOf(const std::string& job, Time now) const;
  wire::JobList Jobs() const;
  const State& state() const;

  struct Census {
    std::size_t trainers = 0;
    std::size_t aggregators = 0;
    std::size_t seats_taken = 0;   // of all running jobs
    std::size_t seats_free = 0;
    std::size_t seats_queued = 0;  // of queued jobs that only lack trainers to begin
    std::size_t spares = 0;        // trainers without a seat
  };
  Census Count() const;
  Vitals Watch(Time now) const;

 private:
  class Machine;
  std::unique_ptr<Machine> machine_;
};

}  // namespace tributary::federation
