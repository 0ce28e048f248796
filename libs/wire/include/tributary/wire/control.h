// Messages of the control plane: between the coordinator and everybody who dials in. At most 64 KiB a frame.
//
// Level-triggered: a worker reports all its tasks' states, the coordinator answers with all tasks that the worker should
// have. Either message may be lost or repeated without harm. Plain values; docs/protocol.md tells the exchanges.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "tributary/wire/frame.h"

namespace tributary::wire {

struct ErrorBody {
  static constexpr Type kType = Type::kError;
  std::int32_t code = 0;  // tributary::Code
  std::string message;
};

struct Ping {
  static constexpr Type kType = Type::kPing;
};
struct Pong {
  static constexpr Type kType = Type::kPong;
  std::string service;  // "coordinator", "blob-store"
  std::string version;
};

enum class Role : std::uint32_t { kTrainer = 1, kAggregator = 2, kClient = 3 };

// The first message of a trainer or aggregator on each connection.
struct Hello {
  static constexpr Type kType = Type::kHello;
  std::uint32_t role = 0;
  std::string site;                     // trainers
  std::string instance;                 // the same after a restart
  std::int64_t ordinal = -1;            // trainers: the seat it would like, or -1
  std::string version;                  // of the program, for logs
  std::vector<std::string> data;        // names of the data a trainer has
  std::vector<std::uint32_t> encodings; // tensor::Encoding numbers it can send
  std::string life;                     // of the process, new with each start; empty: not told
  std::vector<std::string> offers;      // names of what a trainer gives out on request
  std::uint64_t memory_budget = 0;      // bytes; 0: not told
};
struct Welcome {
  static constexpr Type kType = Type::kWelcome;
  std::string session;                   // named in every Report
  std::uint64_t heartbeat_ms = 1000;
  std::vector<std::string> blob_stores;  // endpoints, in order of shard
  std::uint64_t blob_store_shards = 1;
};

enum class TaskKind : std::uint32_t {
  kInit = 1,       // make the first model
  kTrain = 2,
  kValidate = 3,
  kAggregate = 4,  // a range of slots
  kSeal = 5,
  kRemove = 6,     // objects that no one needs any more
  kOffer = 7,      // put what the site offers under a name into the blob-store
};
enum class TaskState : std::uint32_t { kRunning = 1, kDone = 2, kFailed = 3 };

struct Input {
  std::string object;
  double weight = 0;
  std::string digest;  // hex, as its trainer reported it; empty: not told
  bool operator==(const Input&) const = default;
};

struct TaskSpec {
  std::string task;               // unique in the coordinator's life, stable over its restarts
  std::uint32_t kind = 0;         // TaskKind
  std::string job;
  std::uint32_t round = 0;        // from 1; 0 for init
  std::uint64_t generation = 0;   // of provisional result slots
  std::string seat;               // train, validate: "site/ordinal"
  std::uint32_t ordinal = 0;
  std::string base;               // object read: the round's model, or the layout's source; offer: the offer's name
  std::string base_digest;        // hex SHA-256 of its manifest root; empty if unknown
  std::string output;             // object written or sealed
  std::uint64_t first_slot = 0;   // aggregate: [first_slot, end_slot)
  std::uint64_t end_slot = 0;     // 0: all
  std::uint32_t encoding = 0;     // of updates
  std::vector<Input> inputs;      // aggregate: in order of name
  std::vector<std::string> objects;  // remove
  std::string broadcast;          // init, aggregate, seal: written or sealed beside output, its encoded form for trainers; empty: none
  std::string trained_from;       // aggregate, seal: hex digest of the object that updates were made from; empty: base_digest
  std::vector<std::byte> grant;   // trainers, where there are keys: to be shown to the blob-store, which alone reads it (wire/grant.h)
};

struct TaskReport {
  std::string task;
  std::uint32_t state = 0;        // TaskState
  std::string phase;              // "download", "train", "upload", "aggregate" ...
  std::uint64_t done = 0;         // of the phase
  std::uint64_t total = 0;
  std::string unit;               // "bytes", "steps", "slots"
  std::uint64_t bytes_up = 0;
  std::uint64_t bytes_down = 0;
  std::map<std::string, double> metrics;  // train_loss, val_loss, samples, tokens, seconds ...
  std::string digest;             // of the sealed object
  std::uint64_t slots = 0;        // init, seal: slots of the object
  std::int32_t code = 0;          // failed
  std::string message;
  std::string broadcast_digest;   // init, seal: of the sealed broadcast
};

struct Report {
  static constexpr Type kType = Type::kReport;
  std::string session;
  std::vector<TaskReport> tasks;
  std::map<std::string, double> samples;  // metrics that ride along (trainers cannot be scraped)
  bool leaving = false;                   // clean stop: the seat and leases come free at once
};
struct Assignment {
  static constexpr Type kType = Type::kAssignment;
  std::string seat;             // of a trainer, in one job at most; empty: a spare
  std::vector<TaskSpec> tasks;  // all that this worker should have; others it drops
};

struct GetJobText {
  static constexpr Type kType = Type::kGetJobText;
  std::string job;
};
struct JobText {
  static constexpr Type kType = Type::kJobText;
  std::string job;
  std::string text;
};

struct Submit {
  static constexpr Type kType = Type::kSubmit;
  std::string name;   // wished-for job id; the coordinator answers with the one given
  std::string text;   // YAML, at most 48 KiB
  bool resume = false;  // attach to an unfinished job of this id and the same text
};
struct Submitted {
  static constexpr Type kType = Type::kSubmitted;
  std::string job;
  bool resumed = false;
};

struct GetStatus {
  static constexpr Type kType = Type::kGetStatus;
  std::string job;
  std::uint32_t since_round = 0;  // rounds after this one are told in full
};
struct RoundStatus {
  std::uint32_t round = 0;
  double seconds = 0;
  std::vector<std::string> participants;
  std::vector<std::string> dropped;
  std::map<std::string, double> metrics;
  std::uint64_t bytes_up = 0;
  std::uint64_t bytes_down = 0;
  std::string digest;  // of the round's model
  std::vector<std::string> dropped_because;  // of each of `dropped`, in their order; those at the end may lack
};
struct SeatStatus {
  std::string seat;
  std::string instance;
  std::string state;   // "free", "idle", "download", "train", "upload", "validate", "done", "lost"
  std::uint64_t done = 0;
  std::uint64_t total = 0;
  std::string unit;
  std::map<std::string, double> metrics;
};
struct JobStatus {
  static constexpr Type kType = Type::kStatus;
  std::string job;
  std::string state;   // "queued", "running", "completed", "failed", "stopped"
  std::string phase;   // "wait", "init", "train", "aggregate", "seal", "validate", "done"; finished: "remove", then "done"
  std::uint32_t round = 0;
  std::uint32_t rounds = 0;
  double seconds = 0;
  std::string message;           // failed: why and what to do
  std::string model;             // object of the newest sealed model
  std::string model_digest;
  std::uint64_t slots_done = 0;  // of aggregation
  std::uint64_t slots_total = 0;
  std::vector<SeatStatus> seats;
  std::vector<RoundStatus> finished;  // rounds > since_round, as many as fit a frame
};

struct ListJobs {
  static constexpr Type kType = Type::kListJobs;
};
struct JobSummary {
  std::string job;
  std::string state;
  std::uint32_t round = 0;
  std::uint32_t rounds = 0;
};
struct JobList {
  static constexpr Type kType = Type::kJobList;
  std::vector<JobSummary> jobs;  // newest first, at most 500
};

struct StopJob {
  static constexpr Type kType = Type::kStopJob;
  std::string job;
};
struct Stopped {
  static constexpr Type kType = Type::kStopped;
  std::string job;
  std::string state;
};

// What the coordinator decided about a job, line by line.
struct GetLog {
  static constexpr Type kType = Type::kGetLog;
  std::string job;
  std::uint64_t since = 0;  // lines with a number above this one
};
struct LogLine {
  std::uint64_t number = 0;  // from 1, ascending; gaps: the oldest are dropped in time
  std::int64_t time_ms = 0;  // since 1970
  bool warning = false;
  std::string text;
};
struct Log {
  static constexpr Type kType = Type::kLog;
  std::string job;
  std::string state;           // of the job, as in JobStatus
  std::vector<LogLine> lines;  // as many as fit a frame; none: there are no newer ones
};

// A stopped or failed job goes on behind its newest sealed round; a completed one only to more rounds.
struct ResumeJob {
  static constexpr Type kType = Type::kResumeJob;
  std::string job;
  std::uint32_t rounds = 0;  // in all; 0: as it was submitted
  std::uint32_t from_round = 0;  // behind this one, whose model is kept; 0: behind the newest
};
struct Resumed {
  static constexpr Type kType = Type::kResumed;
  std::string job;
  std::string state;
  std::uint32_t round = 0;   // newest sealed
  std::uint32_t rounds = 0;
};

struct ListOffers {
  static constexpr Type kType = Type::kListOffers;
  std::string site;  // empty: all
};
struct OfferSummary {
  std::string site;
  std::string name;
  std::uint32_t trainers = 0;  // that are connected and offer it
};
struct OfferList {
  static constexpr Type kType = Type::kOfferList;
  std::vector<OfferSummary> offers;  // in order of site and name, as many as fit a frame
};

// Asks for an offer, and says again that it is still wanted: the coordinator forgets who falls silent.
struct Retrieve {
  static constexpr Type kType = Type::kRetrieve;
  std::string request;  // the client's own name for it, unlike any other
  std::string site;
  std::string name;
  bool over = false;    // the client has it, or gave up
};
struct Retrieval {
  static constexpr Type kType = Type::kRetrieval;
  std::string request;
  std::string state;       // "waiting", "sending", "done", "failed", "over"
  std::string object;      // done: where it lies
  std::string digest;      // done: its digest
  std::vector<std::string> blob_stores;  // endpoints, in order of shard, as the coordinator knows them
  std::string trainer;     // who sends or sent it
  std::uint64_t done = 0;  // bytes
  std::uint64_t total = 0;
  std::int32_t code = 0;   // failed
  std::string message;     // waiting: for what; failed: why
};

}  // namespace tributary::wire
