// Private: rows to statements and back.
#pragma once

#include "sqlite.h"
#include "tributary/federation/decisions.h"

namespace tributary::journal {

// One kept statement per kind of decision.
struct Statements {
  Statement put_job, put_round, put_seat, free_seat, put_task, remove_done, close_round, end_job_tasks, end_job_seats, abandon_round, abandon_tasks, put_line, drop_lines;
  static Result<Statements> Prepare(Database& database);
};

Status Write(Statements& statements, const federation::Decision& decision);

// Column lists in the order that the readers expect.
inline constexpr const char* kJobColumns =
    "job, text, state, submit_order, message, started_ms, ended_ms, rounds, round, digest, resumes";
inline constexpr const char* kRoundColumns =
    "job, round, state, generation, slots, digest, started_ms, phase_ms, seconds, participants, dropped, metrics, "
    "bytes_up, bytes_down, broadcast_digest, broadcast_error";
inline constexpr const char* kTaskColumns =
    "job, round, kind, idx, state, attempt, failures, holder, first_slot, end_slot, objects, metrics, digest, bytes_up, "
    "bytes_down, message, broadcast_digest";

Result<federation::JobRow> ReadJob(const Statement& row);
Result<federation::RoundRow> ReadRound(const Statement& row);
Result<federation::TaskRow> ReadTask(const Statement& row);

// Tables of the present schema, and what makes each schema of the one before.
extern const char* const kTables;
extern const char* const kFromSchema1;
extern const char* const kFromSchema2;

}  // namespace tributary::journal
