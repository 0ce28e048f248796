#include "tributary/journal/journal.h"

#include <algorithm>
#include <map>

#include "rows.h"
#include "sqlite.h"

namespace tributary::journal {
namespace {

// "trib" as a number: tells a journal from any other SQLite file.
constexpr std::int64_t kApplicationId = 0x74726962;

Status Prepare(Database& database, const std::string& path) {
  // Small caches: the coordinator lives in 25 MiB. The exclusive lock is what keeps a second coordinator out, and needs no
  // shared-memory file beside the journal.
  TRIBUTARY_TRY(database.Execute("PRAGMA locking_mode=EXCLUSIVE; PRAGMA cache_size=-512; PRAGMA temp_store=MEMORY; "
                                 "PRAGMA mmap_size=0;"));
  TRIBUTARY_ASSIGN(const std::int64_t version, database.Number("PRAGMA user_version"));
  TRIBUTARY_ASSIGN(const std::int64_t tables, database.Number("SELECT count(*) FROM sqlite_schema"));
  TRIBUTARY_ASSIGN(const std::int64_t application, database.Number("PRAGMA application_id"));
  if (tables > 0 && application != kApplicationId) {
    return MakeError(Code::kDataLoss, "{} is an SQLite file but no journal of a coordinator; give another --state-dir",
                     path);
  }
  if (version > kSchema) {
    return MakeError(Code::kProtocol,
                     "the journal {} was written by a newer release (schema {}, this one knows {}); install that release",
                     path, version, kSchema);
  }
  TRIBUTARY_TRY(database.Execute("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA wal_autocheckpoint=256;"));
  // Takes the lock now, so that a second coordinator is told at its start and not at its first decision.
  TRIBUTARY_TRY(database.Execute("BEGIN IMMEDIATE"));
  if (version == 0) {
    TRIBUTARY_TRY(database.Execute(kTables));
    TRIBUTARY_TRY(database.Execute(
        fmt::format("PRAGMA application_id={}; PRAGMA user_version={};", kApplicationId, kSchema)));
  } else if (version < kSchema) {
    // Columns are only ever added, with defaults that mean what was true before.
    if (version == 1) TRIBUTARY_TRY(database.Execute(kFromSchema1));
    TRIBUTARY_TRY(database.Execute(kFromSchema2));
    TRIBUTARY_TRY(database.Execute(fmt::format("PRAGMA user_version={};", kSchema)));
  }
  return database.Execute("COMMIT");
}

Status CheckIntegrity(Database& database, const std::string& path) {
  TRIBUTARY_ASSIGN(Statement check, database.Prepare("PRAGMA quick_check(1)"));
  TRIBUTARY_ASSIGN(const bool row, check.Step());
  if (row && check.Text(0) == "ok") return Ok();
  return MakeError(Code::kDataLoss,
                   "the journal {} is damaged; nothing was changed: restore it from a copy, or give the coordinator another "
                   "--state-dir ({})",
                   path, row ? check.Text(0) : "no answer");
}

}  // namespace

struct Journal::Impl {
  std::unique_ptr<Database> database;  // outlives the statements
  Statements statements;
  std::map<std::string, std::uint64_t> lines;  // newest number of a job's log

  Status WriteLine(const federation::Note& note) {
    auto known = lines.find(note.job);
    if (known == lines.end()) {
      TRIBUTARY_ASSIGN(Statement newest, database->Prepare("SELECT coalesce(max(number), 0) FROM log WHERE job = ?"));
      TRIBUTARY_TRY(newest.With(note.job).Step().status());
      known = lines.emplace(note.job, static_cast<std::uint64_t>(newest.Int(0))).first;
    }
    const std::uint64_t number = ++known->second;
    TRIBUTARY_TRY(statements.put_line.With(note.job, number, note.time_ms, std::uint32_t{note.level == federation::Note::Level::kWarning}, note.text).Run());
    // Not at each line: a thousand at once cost as much as one.
    if (number <= kLinesKept || number % 1000 != 0) return Ok();
    return statements.drop_lines.With(note.job, number - kLinesKept).Run();
  }

  template <class Row, class Read, class... V>
  Result<std::vector<Row>> Select(const std::string& sql, Read read, const V&... values) {
    TRIBUTARY_ASSIGN(Statement statement, database->Prepare(sql));
    statement.With(values...);
    std::vector<Row> rows;
    for (;;) {
      TRIBUTARY_ASSIGN(const bool more, statement.Step());
      if (!more) return rows;
      TRIBUTARY_ASSIGN(Row row, read(statement));
      rows.push_back(std::move(row));
    }
  }
};

Journal::Journal(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Journal::~Journal() = default;

Result<std::unique_ptr<Journal>> Journal::Open(const std::string& path) {
  auto impl = std::make_unique<Impl>();
  TRIBUTARY_ASSIGN(impl->database, Database::Open(path));
  TRIBUTARY_TRY(Prepare(*impl->database, path));
  TRIBUTARY_TRY(CheckIntegrity(*impl->database, path));
  TRIBUTARY_ASSIGN(impl->statements, Statements::Prepare(*impl->database));
  return std::unique_ptr<Journal>(new Journal(std::move(impl)));
}

Status Journal::Append(const std::vector<federation::Decision>& decisions, const std::vector<federation::Note>& notes) {
  const bool lines = std::any_of(notes.begin(), notes.end(), [](const auto& note) { return !note.job.empty(); });
  if (decisions.empty() && !lines) return Ok();
  TRIBUTARY_TRY(impl_->database->Execute("BEGIN IMMEDIATE"));
  Status status;
  for (const auto& decision : decisions) {
    status = Write(impl_->statements, decision);
    if (!status.ok()) break;
  }
  for (const auto& note : notes) {
    if (status.ok() && !note.job.empty()) status = impl_->WriteLine(note);
  }
  if (status.ok()) status = impl_->database->Execute("COMMIT");
  // SQLite has rolled back by itself after some errors; then this one has nothing to do.
  if (!status.ok()) {
    (void)impl_->database->Execute("ROLLBACK");
    impl_->lines.clear();
  }
  return status;
}

Result<federation::State> Journal::Load() {
  using namespace federation;
  State state;
  TRIBUTARY_ASSIGN(auto jobs, impl_->Select<JobRow>(fmt::format("SELECT {} FROM jobs", kJobColumns), ReadJob));
  for (JobRow& job : jobs) {
    if (Finished(job.state)) job.text.clear();
    const std::string id = job.job;
    const bool finished = Finished(job.state);
    state.jobs[id] = std::move(job);
    if (finished) continue;

    // The base of the round in work, and that round.
    TRIBUTARY_ASSIGN(auto rounds, impl_->Select<RoundRow>(
                                      fmt::format("SELECT {} FROM rounds WHERE job = ? ORDER BY round DESC LIMIT 2",
                                                  kRoundColumns),
                                      ReadRound, id));
    std::uint32_t open = UINT32_MAX;
    if (!rounds.empty() && rounds.front().state == RoundState::kDone) rounds.resize(1);
    for (RoundRow& round : rounds) {
      if (round.state != RoundState::kDone) open = round.round;
      state.rounds[{id, round.round}] = std::move(round);
    }
    TRIBUTARY_ASSIGN(auto tasks,
                     impl_->Select<TaskRow>(fmt::format("SELECT {} FROM tasks WHERE job = ? AND round = ? AND kind <> ?",
                                                        kTaskColumns),
                                            ReadTask, id, open, static_cast<std::uint32_t>(wire::TaskKind::kRemove)));
    for (TaskRow& task : tasks) state.tasks[KeyOf(task)] = std::move(task);
    TRIBUTARY_ASSIGN(auto seats, impl_->Select<SeatRow>(
                                     "SELECT job, ordinal, site, instance FROM seats WHERE job = ?",
                                     [](const Statement& row) -> Result<SeatRow> {
                                       return SeatRow{row.Text(0), static_cast<std::uint32_t>(row.Int(1)), row.Text(2),
                                                      row.Text(3)};
                                     },
                                     id));
    for (SeatRow& seat : seats) state.seats[{seat.job, seat.ordinal}] = std::move(seat);
  }
  TRIBUTARY_ASSIGN(auto removals,
                   impl_->Select<TaskRow>(fmt::format("SELECT {} FROM tasks WHERE kind = ?", kTaskColumns), ReadTask,
                                          static_cast<std::uint32_t>(wire::TaskKind::kRemove)));
  for (TaskRow& task : removals) state.tasks[KeyOf(task)] = std::move(task);
  return state;
}

Result<federation::JobRow> Journal::Job(const std::string& job) {
  TRIBUTARY_ASSIGN(auto rows, impl_->Select<federation::JobRow>(
                                  fmt::format("SELECT {} FROM jobs WHERE job = ?", kJobColumns), ReadJob, job));
  if (rows.empty()) return MakeError(Code::kNotFound, "no job {} here", job);
  return std::move(rows.front());
}

Result<std::vector<federation::RoundRow>> Journal::Rounds(const std::string& job, std::uint32_t since,
                                                          std::uint32_t limit) {
  return impl_->Select<federation::RoundRow>(
      fmt::format("SELECT {} FROM rounds WHERE job = ? AND round > ? AND state = ? ORDER BY round LIMIT ?", kRoundColumns),
      ReadRound, job, since, static_cast<std::uint32_t>(federation::RoundState::kDone), limit);
}

Result<std::vector<federation::RoundRow>> Journal::NewestRounds(const std::string& job) {
  return impl_->Select<federation::RoundRow>(fmt::format("SELECT {} FROM rounds WHERE job = ? ORDER BY round DESC LIMIT 2", kRoundColumns), ReadRound, job);
}

Result<std::vector<LogLine>> Journal::Log(const std::string& job, std::uint64_t since, std::uint32_t limit) {
  return impl_->Select<LogLine>("SELECT number, time_ms, warning, text FROM log WHERE job = ? AND number > ? ORDER BY number LIMIT ?",
                                [](const Statement& row) -> Result<LogLine> {
                                  return LogLine{static_cast<std::uint64_t>(row.Int(0)), row.Int(1), row.Int(2) != 0, row.Text(3)};
                                },
                                job, since, limit);
}

Result<std::vector<federation::TaskRow>> Journal::Updates(const std::string& job, std::uint32_t round) {
  return impl_->Select<federation::TaskRow>(
      fmt::format("SELECT {} FROM tasks WHERE job = ? AND round = ? AND kind = ? ORDER BY idx", kTaskColumns), ReadTask,
      job, round, static_cast<std::uint32_t>(wire::TaskKind::kTrain));
}

}  // namespace tributary::journal
