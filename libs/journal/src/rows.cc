#include "rows.h"

#include <cstdlib>

namespace tributary::journal {
namespace {

using federation::Metrics;

// Lists and metrics are lines of text: readable with the sqlite3 shell. Their items hold no line ends (names are checked).
std::string Join(const std::vector<std::string>& items) {
  std::string text;
  for (const std::string& item : items) text += item + "\n";
  return text;
}

std::vector<std::string> Split(const std::string& text) {
  std::vector<std::string> items;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    items.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return items;
}

// 17 digits give every double back bit for bit.
std::string JoinMetrics(const Metrics& metrics) {
  std::string text;
  for (const auto& [name, value] : metrics) text += fmt::format("{}={:.17g}\n", name, value);
  return text;
}

Result<Metrics> SplitMetrics(const std::string& text) {
  Metrics metrics;
  for (const std::string& line : Split(text)) {
    const std::size_t equals = line.rfind('=');
    if (equals == std::string::npos) {
      return MakeError(Code::kDataLoss, "the journal holds a metric that is none: '{}'", line);
    }
    metrics[line.substr(0, equals)] = std::strtod(line.c_str() + equals + 1, nullptr);
  }
  return metrics;
}

template <class Enum>
Result<Enum> ReadEnum(std::int64_t number, Enum last, const char* what) {
  if (number < 1 || number > static_cast<std::int64_t>(last)) {
    return MakeError(Code::kDataLoss, "the journal holds a {} that is none: {}", what, number);
  }
  return static_cast<Enum>(number);
}

template <class Enum>
std::uint32_t Number(Enum value) {
  return static_cast<std::uint32_t>(value);
}

}  // namespace

const char* const kTables = R"(
CREATE TABLE jobs (job TEXT PRIMARY KEY, text TEXT NOT NULL, state INTEGER NOT NULL, submit_order INTEGER NOT NULL,
  message TEXT NOT NULL, started_ms INTEGER NOT NULL, ended_ms INTEGER NOT NULL, rounds INTEGER NOT NULL,
  round INTEGER NOT NULL, digest TEXT NOT NULL, resumes INTEGER NOT NULL DEFAULT 0) WITHOUT ROWID;
CREATE TABLE log (job TEXT NOT NULL, number INTEGER NOT NULL, time_ms INTEGER NOT NULL, warning INTEGER NOT NULL,
  text TEXT NOT NULL, PRIMARY KEY (job, number)) WITHOUT ROWID;
CREATE TABLE rounds (job TEXT NOT NULL, round INTEGER NOT NULL, state INTEGER NOT NULL, generation INTEGER NOT NULL,
  slots INTEGER NOT NULL, digest TEXT NOT NULL, started_ms INTEGER NOT NULL, phase_ms INTEGER NOT NULL,
  seconds REAL NOT NULL, participants TEXT NOT NULL, dropped TEXT NOT NULL, metrics TEXT NOT NULL,
  bytes_up INTEGER NOT NULL, bytes_down INTEGER NOT NULL, broadcast_digest TEXT NOT NULL DEFAULT '',
  broadcast_error REAL NOT NULL DEFAULT 0, PRIMARY KEY (job, round)) WITHOUT ROWID;
CREATE TABLE seats (job TEXT NOT NULL, ordinal INTEGER NOT NULL, site TEXT NOT NULL, instance TEXT NOT NULL,
  PRIMARY KEY (job, ordinal)) WITHOUT ROWID;
CREATE TABLE tasks (job TEXT NOT NULL, round INTEGER NOT NULL, kind INTEGER NOT NULL, idx INTEGER NOT NULL,
  state INTEGER NOT NULL, attempt INTEGER NOT NULL, failures INTEGER NOT NULL, holder TEXT NOT NULL,
  first_slot INTEGER NOT NULL, end_slot INTEGER NOT NULL, objects TEXT NOT NULL, metrics TEXT NOT NULL,
  digest TEXT NOT NULL, bytes_up INTEGER NOT NULL, bytes_down INTEGER NOT NULL, message TEXT NOT NULL,
  broadcast_digest TEXT NOT NULL DEFAULT '', PRIMARY KEY (job, round, kind, idx)) WITHOUT ROWID;
)";

const char* const kFromSchema1 = R"(
ALTER TABLE rounds ADD COLUMN broadcast_digest TEXT NOT NULL DEFAULT '';
ALTER TABLE rounds ADD COLUMN broadcast_error REAL NOT NULL DEFAULT 0;
ALTER TABLE tasks ADD COLUMN broadcast_digest TEXT NOT NULL DEFAULT '';
)";

const char* const kFromSchema2 = R"(
ALTER TABLE jobs ADD COLUMN resumes INTEGER NOT NULL DEFAULT 0;
CREATE TABLE log (job TEXT NOT NULL, number INTEGER NOT NULL, time_ms INTEGER NOT NULL, warning INTEGER NOT NULL,
  text TEXT NOT NULL, PRIMARY KEY (job, number)) WITHOUT ROWID;
)";

Result<Statements> Statements::Prepare(Database& database) {
  Statements s;
  const auto put = [&](const char* table, const char* columns, int count) {
    std::string marks = "?";
    for (int i = 1; i < count; ++i) marks += ",?";
    return database.Prepare(fmt::format("INSERT OR REPLACE INTO {} ({}) VALUES ({})", table, columns, marks));
  };
  TRIBUTARY_ASSIGN(s.put_job, put("jobs", kJobColumns, 11));
  TRIBUTARY_ASSIGN(s.put_round, put("rounds", kRoundColumns, 16));
  TRIBUTARY_ASSIGN(s.put_seat, put("seats", "job, ordinal, site, instance", 4));
  TRIBUTARY_ASSIGN(s.put_task, put("tasks", kTaskColumns, 17));
  TRIBUTARY_ASSIGN(s.free_seat, database.Prepare("DELETE FROM seats WHERE job = ? AND ordinal = ?"));
  TRIBUTARY_ASSIGN(s.remove_done,
                   database.Prepare("DELETE FROM tasks WHERE job = ? AND round = ? AND kind = ? AND idx = ?"));
  // Train rows stay: they are the record of who gave what.
  TRIBUTARY_ASSIGN(s.close_round, database.Prepare(fmt::format(
                                      "DELETE FROM tasks WHERE job = ? AND round = ? AND kind NOT IN ({}, {})",
                                      Number(wire::TaskKind::kTrain), Number(wire::TaskKind::kRemove))));
  TRIBUTARY_ASSIGN(s.end_job_tasks,
                   database.Prepare(fmt::format("DELETE FROM tasks WHERE job = ? AND kind NOT IN ({}, {})",
                                                Number(wire::TaskKind::kTrain), Number(wire::TaskKind::kRemove))));
  TRIBUTARY_ASSIGN(s.abandon_round, database.Prepare("DELETE FROM rounds WHERE job = ? AND round >= ?"));
  TRIBUTARY_ASSIGN(s.abandon_tasks, database.Prepare(fmt::format("DELETE FROM tasks WHERE job = ? AND round >= ? AND kind <> {}",
                                                                 Number(wire::TaskKind::kRemove))));
  TRIBUTARY_ASSIGN(s.put_line, put("log", "job, number, time_ms, warning, text", 5));
  TRIBUTARY_ASSIGN(s.drop_lines, database.Prepare("DELETE FROM log WHERE job = ? AND number <= ?"));
  TRIBUTARY_ASSIGN(s.end_job_seats, database.Prepare("DELETE FROM seats WHERE job = ?"));
  return s;
}

Status Write(Statements& s, const federation::Decision& decision) {
  if (const auto* job = std::get_if<federation::JobRow>(&decision)) {
    TRIBUTARY_TRY(s.put_job
                      .With(job->job, job->text, Number(job->state), job->order, job->message, job->started_ms,
                            job->ended_ms, job->rounds, job->round, job->digest, job->resumes)
                      .Run());
    if (!Finished(job->state)) return Ok();
    TRIBUTARY_TRY(s.end_job_tasks.With(job->job).Run());
    return s.end_job_seats.With(job->job).Run();
  }
  if (const auto* round = std::get_if<federation::RoundRow>(&decision)) {
    return s.put_round
        .With(round->job, round->round, Number(round->state), round->generation, round->slots, round->digest,
              round->started_ms, round->phase_ms, round->seconds, Join(round->participants), Join(round->dropped),
              JoinMetrics(round->metrics), round->bytes_up, round->bytes_down, round->broadcast_digest, round->broadcast_error)
        .Run();
  }
  if (const auto* seat = std::get_if<federation::SeatRow>(&decision)) {
    if (seat->instance.empty()) return s.free_seat.With(seat->job, seat->ordinal).Run();
    return s.put_seat.With(seat->job, seat->ordinal, seat->site, seat->instance).Run();
  }
  if (const auto* task = std::get_if<federation::TaskRow>(&decision)) {
    if (task->kind == wire::TaskKind::kRemove && task->state != federation::RowState::kPending) {
      return s.remove_done.With(task->job, task->round, Number(task->kind), task->index).Run();
    }
    return s.put_task
        .With(task->job, task->round, Number(task->kind), task->index, Number(task->state), task->attempt,
              task->failures, task->holder, task->first_slot, task->end_slot, Join(task->objects),
              JoinMetrics(task->metrics), task->digest, task->bytes_up, task->bytes_down, task->message, task->broadcast_digest)
        .Run();
  }
  if (const auto* abandoned = std::get_if<federation::AbandonRound>(&decision)) {
    TRIBUTARY_TRY(s.abandon_round.With(abandoned->job, abandoned->round).Run());
    return s.abandon_tasks.With(abandoned->job, abandoned->round).Run();
  }
  const auto& close = std::get<federation::CloseRound>(decision);
  return s.close_round.With(close.job, close.round).Run();
}

Result<federation::JobRow> ReadJob(const Statement& row) {
  federation::JobRow job;
  job.job = row.Text(0);
  job.text = row.Text(1);
  TRIBUTARY_ASSIGN(job.state, ReadEnum(row.Int(2), federation::JobState::kStopped, "job state"));
  job.order = static_cast<std::uint64_t>(row.Int(3));
  job.message = row.Text(4);
  job.started_ms = row.Int(5);
  job.ended_ms = row.Int(6);
  job.rounds = static_cast<std::uint32_t>(row.Int(7));
  job.round = static_cast<std::uint32_t>(row.Int(8));
  job.digest = row.Text(9);
  job.resumes = static_cast<std::uint32_t>(row.Int(10));
  return job;
}

Result<federation::RoundRow> ReadRound(const Statement& row) {
  federation::RoundRow round;
  round.job = row.Text(0);
  round.round = static_cast<std::uint32_t>(row.Int(1));
  TRIBUTARY_ASSIGN(round.state, ReadEnum(row.Int(2), federation::RoundState::kDone, "round state"));
  round.generation = static_cast<std::uint64_t>(row.Int(3));
  round.slots = static_cast<std::uint64_t>(row.Int(4));
  round.digest = row.Text(5);
  round.started_ms = row.Int(6);
  round.phase_ms = row.Int(7);
  round.seconds = row.Real(8);
  round.participants = Split(row.Text(9));
  round.dropped = Split(row.Text(10));
  TRIBUTARY_ASSIGN(round.metrics, SplitMetrics(row.Text(11)));
  round.bytes_up = static_cast<std::uint64_t>(row.Int(12));
  round.bytes_down = static_cast<std::uint64_t>(row.Int(13));
  round.broadcast_digest = row.Text(14);
  round.broadcast_error = row.Real(15);
  return round;
}

Result<federation::TaskRow> ReadTask(const Statement& row) {
  federation::TaskRow task;
  task.job = row.Text(0);
  task.round = static_cast<std::uint32_t>(row.Int(1));
  TRIBUTARY_ASSIGN(task.kind, ReadEnum(row.Int(2), wire::TaskKind::kRemove, "task kind"));
  task.index = static_cast<std::uint32_t>(row.Int(3));
  TRIBUTARY_ASSIGN(task.state, ReadEnum(row.Int(4), federation::RowState::kOpen, "task state"));
  task.attempt = static_cast<std::uint32_t>(row.Int(5));
  task.failures = static_cast<std::uint32_t>(row.Int(6));
  task.holder = row.Text(7);
  task.first_slot = static_cast<std::uint64_t>(row.Int(8));
  task.end_slot = static_cast<std::uint64_t>(row.Int(9));
  task.objects = Split(row.Text(10));
  TRIBUTARY_ASSIGN(task.metrics, SplitMetrics(row.Text(11)));
  task.digest = row.Text(12);
  task.bytes_up = static_cast<std::uint64_t>(row.Int(13));
  task.bytes_down = static_cast<std::uint64_t>(row.Int(14));
  task.message = row.Text(15);
  task.broadcast_digest = row.Text(16);
  return task;
}

}  // namespace tributary::journal
