// Reports of workers: progress, results, failures. What a worker says is checked here before it becomes a row.
#include <algorithm>
#include <cctype>
#include <cmath>
#include <utility>

#include "machine.h"

namespace tributary::federation {
namespace {

constexpr std::size_t kMaxMetrics = 64;
constexpr std::size_t kMaxMessage = 1024;

bool GoodName(const std::string& name, std::size_t limit) {
  return !name.empty() && name.size() <= limit && std::all_of(name.begin(), name.end(), [](unsigned char c) {
    return std::isalnum(c) != 0 || c == '_' || c == '-' || c == '.' || c == '/';
  });
}

Metrics CheckedMetrics(const Metrics& told) {
  Metrics kept;
  for (const auto& [name, value] : told) {
    if (kept.size() == kMaxMetrics) break;
    if (GoodName(name, 64) && std::isfinite(value)) kept[name] = value;
  }
  return kept;
}

bool IsSha256(const std::string& hex) {
  return hex.size() == 64 && std::all_of(hex.begin(), hex.end(), [](unsigned char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
  });
}

// Control characters and invalid bytes have no place in logs, journal and status.
std::string CheckedMessage(const std::string& told) {
  std::string text = told.substr(0, kMaxMessage);
  for (char& c : text) {
    const auto u = static_cast<unsigned char>(c);
    if (u < 0x20 || u == 0x7f) c = ' ';
  }
  return text;
}

double Get(const Metrics& metrics, const char* name) {
  const auto it = metrics.find(name);
  return it == metrics.end() ? 0 : it->second;
}

// Of samples: more than a double counts would make infinite sums, and a weight of all others that is none.
bool IsCount(double samples) { return samples > 0 && samples <= 0x1p53; }

// What is missing in a done report, or empty.
std::string Lacks(const TaskRow& row, const wire::TaskReport& report, bool broadcast) {
  switch (row.kind) {
    case wire::TaskKind::kTrain:
      if (!IsCount(Get(row.metrics, "samples"))) return "the metric 'samples' must be above 0, and at most 2^53";
      if (!IsSha256(report.digest)) return "its digest is no SHA-256";
      return "";
    case wire::TaskKind::kValidate:
      // A seat without validation text has no loss to tell; the mean is of the others.
      if (const auto targets = row.metrics.find("val_targets"); targets != row.metrics.end() && targets->second == 0) {
        return "";
      }
      if (row.metrics.count("val_loss") == 0) return "the metric 'val_loss' is missing or not finite";
      return "";
    case wire::TaskKind::kInit:
    case wire::TaskKind::kSeal:
      if (!IsSha256(report.digest)) return "its digest is no SHA-256";
      if (report.slots == 0) return "the object has no slots";
      if (broadcast && !IsSha256(report.broadcast_digest)) return "the digest of its broadcast is no SHA-256";
      return "";
    default:
      return "";
  }
}

bool MayRetry(wire::TaskKind kind, Code code) {
  switch (code) {
    case Code::kInvalidArgument:
    case Code::kAlreadyExists:
    case Code::kPermission:
    case Code::kProtocol:
    case Code::kInternal:
      return false;
    case Code::kNotFound:
      return kind != wire::TaskKind::kInit;  // the model's source is not there: say so at once
    default:
      return true;
  }
}

bool Names(const std::string& message, const std::string& object) {
  for (auto at = message.find(object); at != std::string::npos; at = message.find(object, at + 1)) {
    const std::size_t end = at + object.size();
    const unsigned char next = end < message.size() ? static_cast<unsigned char>(message[end]) : ' ';
    // "…/1" must not be found in "…/10" or "…/1.g2"; a full stop may end the sentence.
    const bool more = std::isalnum(next) != 0 || next == '_' || next == '-' ||
                      (next == '.' && end + 1 < message.size() &&
                       std::isalnum(static_cast<unsigned char>(message[end + 1])) != 0);
    if (!more) return true;
  }
  return false;
}

}  // namespace

bool Federation::Machine::Report(const std::string& key, const wire::Report& report, Time t) {
  now = t;
  const auto it = workers.find(key);
  if (it == workers.end()) return false;
  const bool was_silent = !it->second.connected || now.steady - it->second.heard >=
                                                       std::min(limits.lease_timeout, limits.seat_timeout);
  it->second.heard = now.steady;
  it->second.connected = true;
  bool changed = was_silent;
  for (const wire::TaskReport& task : report.tasks) {
    changed = TakeTaskReport(it->second, task, report.leaving) || changed;
  }
  if (report.leaving) {
    ReleaseLeases(key);
    if (const auto seat = seat_of.find(key); seat != seat_of.end()) {
      const auto [job, ordinal] = seat->second;
      SetSeat(job, ordinal, nullptr, "it leaves");
    }
    Say(Note::Level::kInfo, "", fmt::format("{} leaves", key));
    workers.erase(key);
    changed = true;
  }
  if (changed) Advance();
  return true;
}

bool Federation::Machine::TakeTaskReport(Worker& worker, const wire::TaskReport& report, bool leaving) {
  // Only what this worker should run now counts; all else is late or unknown and dropped by the next assignment.
  const auto wanted = WantedOf(worker.key);
  const auto found = std::find_if(wanted.begin(), wanted.end(),
                                  [&](const TaskRow* row) { return TaskNameOf(*row) == report.task; });
  if (found == wanted.end()) return false;
  const TaskRow row = **found;

  if (report.state == static_cast<std::uint32_t>(wire::TaskState::kDone)) {
    TaskDone(row, report);
    return true;
  }
  if (report.state == static_cast<std::uint32_t>(wire::TaskState::kFailed)) {
    if (leaving) return false;  // it was told to stop; whoever gets the task next begins anew
    TaskRow failed = row;
    failed.bytes_up += report.bytes_up;
    failed.bytes_down += report.bytes_down;
    TaskFailed(failed, CodeFromInt(report.code), CheckedMessage(report.message));
    return true;
  }
  if (report.state != static_cast<std::uint32_t>(wire::TaskState::kRunning)) return false;
  const bool opened = OpenUpdate(row, report);
  Progress& known = ProgressOf(row);
  // Compared as it is kept, or a phase without a name would be news each time.
  wire::TaskReport fresh = report;
  fresh.message.clear();
  if (!GoodName(fresh.phase, 32)) fresh.phase = "run";
  if (!GoodName(fresh.unit, 16)) fresh.unit.clear();
  const wire::TaskReport& last = known.last;
  if (last.phase != fresh.phase || last.done != fresh.done || last.bytes_up != fresh.bytes_up ||
      last.bytes_down != fresh.bytes_down) {
    known.renewed = now.steady;
  }
  known.last = std::move(fresh);
  known.last.metrics = CheckedMetrics(report.metrics);
  return opened;
}

bool Federation::Machine::OpenUpdate(TaskRow row, const wire::TaskReport& report) {
  const double samples = Get(report.metrics, "samples");
  if (row.kind != wire::TaskKind::kTrain || row.state != RowState::kPending || !IsCount(samples)) return false;
  row.state = RowState::kOpen;
  row.metrics = {{"samples", samples}};
  Say(Note::Level::kInfo, row.job, fmt::format("task {}: its update is open, {:.0f} samples", TaskNameOf(row), samples));
  Record(std::move(row));
  return true;
}

void Federation::Machine::TaskDone(TaskRow row, const wire::TaskReport& report) {
  row.bytes_up += report.bytes_up;
  row.bytes_down += report.bytes_down;
  Metrics opened = std::exchange(row.metrics, CheckedMetrics(report.metrics));
  const job::Job* spec = Spec(row.job);
  const bool broadcast = spec != nullptr && HasBroadcast(*spec, row.round);
  if (const std::string lacks = Lacks(row, report, broadcast); !lacks.empty()) {
    row.metrics = std::move(opened);
    TaskFailed(std::move(row), Code::kProtocol, "its report cannot be used: " + lacks);
    return;
  }
  const bool other_weight = row.state == RowState::kOpen && Get(opened, "samples") != Get(row.metrics, "samples");
  row.state = RowState::kDone;
  row.digest = report.digest;
  row.message.clear();
  if (row.kind == wire::TaskKind::kInit || row.kind == wire::TaskKind::kSeal) row.end_slot = report.slots;
  if (broadcast && (row.kind == wire::TaskKind::kInit || row.kind == wire::TaskKind::kSeal)) row.broadcast_digest = report.broadcast_digest;
  Say(Note::Level::kInfo, row.job, fmt::format("task {} is done by {}", TaskNameOf(row), row.holder));
  progress.erase(KeyOf(row));
  const bool trained = row.kind == wire::TaskKind::kTrain;
  const std::string job = row.job;
  Record(std::move(row));
  if (!trained) return;
  const RoundRow& round = *Current(job);
  if (round.state != RoundState::kAggregate) return;
  // From here on nobody else is to blame for a part that stands still.
  for (const TaskRow* part : Tasks(round.job, round.round, wire::TaskKind::kAggregate)) ProgressOf(*part).renewed = now.steady;
  if (other_weight) BeginAggregate(round);
}

void Federation::Machine::TaskFailed(TaskRow row, Code code, const std::string& message) {
  const std::string name = TaskNameOf(row);
  const std::string holder = row.holder;
  // What lies there already is of another run, and may have been used: the next one writes an update of its own. Not its trainer's
  // failure, the first time.
  const bool other_bytes = row.kind == wire::TaskKind::kTrain && (code == Code::kConflict || code == Code::kAlreadyExists);
  if (!other_bytes || row.objects.size() > 1) ++row.failures;
  ++row.attempt;
  row.message = message;
  progress.erase(KeyOf(row));
  const auto delay = limits.retry_delay * (1u << std::min(std::max(row.failures, 1u) - 1, 6u));
  Say(Note::Level::kWarning, row.job, fmt::format("task {} failed on {}: {}", name, holder, message));

  if (row.kind == wire::TaskKind::kTrain || row.kind == wire::TaskKind::kValidate) {
    if (row.failures >= limits.seat_failures) {
      row.state = RowState::kDropped;
      if (row.kind == wire::TaskKind::kTrain) ++refused[RefusalOf(code) == Refusal::kInvalid ? Refusal::kInvalid : Refusal::kFailed];
      Say(Note::Level::kWarning, row.job, fmt::format("job {} round {}: seat {} is left out of {}: it failed {} times", row.job,
                                             row.round, SeatOfRow(row), KindName(row.kind),
                                             row.failures));
    } else {
      not_before[KeyOf(row)] = now.steady + delay;
      if (other_bytes) {
        row.state = RowState::kPending;
        row.metrics.clear();
        row.objects.insert(row.objects.begin(),
                           UpdateObject(row.job, row.round, holder.substr(0, holder.find('/')), row.index, row.attempt));
      }
    }
    Record(std::move(row));
    return;
  }
  if (row.kind == wire::TaskKind::kRemove) {
    row.holder.clear();
    if (row.failures >= limits.task_failures) row.state = RowState::kDropped;
    if (row.state == RowState::kPending) not_before[KeyOf(row)] = now.steady + delay;
    Record(std::move(row));
    return;
  }
  if (code == Code::kNotFound && DropUpdate(row, code, message)) return;
  if (MayRetry(row.kind, code) && row.failures < limits.task_failures) {
    row.holder.clear();
    not_before[KeyOf(row)] = now.steady + delay;
    Record(std::move(row));
    return;
  }
  if (DropUpdate(row, code, message)) return;
  EndJob(row.job, JobState::kFailed, fmt::format("{} of round {} failed on {} ({}): {}", KindName(row.kind), row.round, holder,
                                        row.failures == 1 ? "not worth a retry"
                                                          : fmt::format("{} attempts", row.failures),
                                        message));
}

bool Federation::Machine::DropUpdate(const TaskRow& row, Code code, const std::string& message) {
  // An update that is gone or damaged, or that the aggregator refuses for what it is.
  if ((row.kind != wire::TaskKind::kAggregate && row.kind != wire::TaskKind::kSeal) ||
      (code != Code::kNotFound && code != Code::kDataLoss && code != Code::kInvalidArgument)) {
    return false;
  }
  for (const TaskRow* train : Tasks(row.job, row.round, wire::TaskKind::kTrain)) {
    if (!Averaged(*train) || train->objects.empty() || !Names(message, train->objects.front())) continue;
    TaskRow dropped = *train;
    dropped.state = RowState::kDropped;
    ++refused[RefusalOf(code)];
    dropped.message = "its update cannot be used: " + message;
    Say(Note::Level::kWarning, row.job, fmt::format("job {} round {}: seat {} is left out: {}", row.job, row.round,
                                           SeatOfRow(dropped), dropped.message));
    Record(dropped);
    if (row.kind == wire::TaskKind::kSeal) {
      TaskRow seal = row;
      seal.state = RowState::kDropped;
      Record(std::move(seal));
    }
    BeginAggregate(*Current(row.job));
    return true;
  }
  return false;
}

}  // namespace tributary::federation
