// Seats: who works on which data partition of which job.
#include <algorithm>

#include "machine.h"

namespace tributary::federation {

bool Federation::Machine::Alive(const std::string& worker, Duration timeout) const {
  // Whoever was not heard since this process began gets the whole timeout to come back.
  Duration heard = started;
  if (const auto it = workers.find(worker); it != workers.end()) heard = std::max(heard, it->second.heard);
  return now.steady - heard < timeout;
}

bool Federation::Machine::Knows(const Worker& worker, tensor::Encoding encoding) {
  const auto& known = worker.encodings;
  return encoding == tensor::Encoding::kNative || std::find(known.begin(), known.end(), static_cast<std::uint32_t>(encoding)) != known.end();
}

bool Federation::Machine::Eligible(const Worker& worker, const job::Job& spec) const {
  if (!Knows(worker, spec.transfer.encoding) || !Knows(worker, spec.transfer.broadcast)) return false;
  // data.path is for `tributary run` alone: where data lies is the trainer's own.
  const bool needs_data = !spec.synthetic() && spec.data.format != "synthetic" && !spec.data.name.empty();
  return !needs_data || std::find(worker.data.begin(), worker.data.end(), spec.data.name) != worker.data.end();
}

const SeatRow* Federation::Machine::SeatOf(const std::string& worker) const {
  const auto it = seat_of.find(worker);
  if (it == seat_of.end()) return nullptr;
  const auto seat = state.seats.find(it->second);
  return seat == state.seats.end() ? nullptr : &seat->second;
}

std::set<std::uint32_t> Federation::Machine::TakenSeats(const std::string& job) const {
  std::set<std::uint32_t> taken;
  for (auto it = state.seats.lower_bound({job, 0}); it != state.seats.end() && it->first.first == job; ++it) {
    taken.insert(it->first.second);
  }
  return taken;
}

std::string Federation::Machine::SeatName(const std::string& job, std::uint32_t ordinal) const {
  const auto it = state.seats.find({job, ordinal});
  return it == state.seats.end() ? fmt::format("-/{}", ordinal) : fmt::format("{}/{}", it->second.site, ordinal);
}

std::string Federation::Machine::SeatOfRow(const TaskRow& row) {
  return fmt::format("{}/{}", row.holder.empty() ? "-" : row.holder.substr(0, row.holder.find('/')), row.index);
}

void Federation::Machine::SetSeat(const std::string& job, std::uint32_t ordinal, const Worker* worker, const std::string& why) {
  if (const auto old = state.seats.find({job, ordinal}); old != state.seats.end()) {
    const std::string holder = HolderOf(old->second);
    seat_of.erase(holder);
    Say(Note::Level::kWarning, job,
        fmt::format("job {}: seat {} is lost by {}: {}", job, SeatName(job, ordinal), holder, why));
  }
  SeatRow row{job, ordinal, worker != nullptr ? worker->site : "", worker != nullptr ? worker->instance : ""};
  Record(row);
  if (worker == nullptr) return;
  seat_of[worker->key] = {job, ordinal};
  Say(Note::Level::kInfo, job,
      fmt::format("job {}: seat {} is taken by {}: {}", job, SeatName(job, ordinal), worker->key, why));

  const RoundRow* round = Current(job);
  if (round == nullptr) return;
  for (const auto kind : {wire::TaskKind::kTrain, wire::TaskKind::kValidate}) {
    const TaskRow* found = Find(job, round->round, kind, ordinal);
    if (found == nullptr || !Unfinished(found->state) || found->holder == worker->key) continue;
    TaskRow task = *found;
    task.state = RowState::kPending;
    task.metrics.clear();
    if (!task.holder.empty()) ++task.attempt;  // a late report of the former holder must not count
    task.holder = worker->key;
    if (kind == wire::TaskKind::kTrain) {
      task.objects.insert(task.objects.begin(),
                          UpdateObject(job, round->round, worker->site, ordinal, task.attempt));
    }
    Record(task);
    ProgressOf(task).renewed = now.steady;
  }
}

void Federation::Machine::FreeSeats(const std::string& job) {
  for (const std::uint32_t ordinal : TakenSeats(job)) {
    seat_of.erase(HolderOf(state.seats.at({job, ordinal})));
    Record(SeatRow{job, ordinal, "", ""});
  }
}

std::vector<const Worker*> Federation::Machine::FreeTrainers() const {
  std::vector<const Worker*> free;
  for (const auto& [key, worker] : workers) {
    if (worker.role == wire::Role::kTrainer && seat_of.count(key) == 0 && now.steady - worker.heard < limits.seat_timeout) {
      free.push_back(&worker);
    }
  }
  std::ranges::sort(free, {}, [](const Worker* worker) { return worker->arrival; });
  return free;
}

void Federation::Machine::FillSeats(const std::string& job, std::size_t most, std::vector<const Worker*>& trainers) {
  if (trainers.empty()) return;
  const job::Job* spec = Spec(job);
  std::vector<const Worker*> spares;
  for (const Worker* worker : trainers) {
    if (Eligible(*worker, *spec)) spares.push_back(worker);
  }
  if (spares.empty()) return;
  std::size_t taken = TakenSeats(job).size();

  std::set<std::uint32_t> free;
  for (std::uint32_t i = 0; i < spec->data.count; ++i) free.insert(i);
  for (const std::uint32_t ordinal : TakenSeats(job)) free.erase(ordinal);
  for (const Worker* spare : spares) {
    if (!free.empty() && taken < most) {
      ++taken;
      auto seat = spare->wish >= 0 && spare->wish <= UINT32_MAX ? free.find(static_cast<std::uint32_t>(spare->wish))
                                                                : free.end();
      const bool wished = seat != free.end();
      if (!wished) seat = free.begin();
      SetSeat(job, *seat, spare, wished ? "it asked for it" : "it was free");
      free.erase(seat);
      std::erase(trainers, spare);
      continue;
    }
    std::optional<std::uint32_t> silent;
    for (const std::uint32_t ordinal : TakenSeats(job)) {
      if (!Alive(HolderOf(state.seats.at({job, ordinal})), limits.seat_timeout)) {
        silent = ordinal;
        break;
      }
    }
    if (!silent) return;
    std::erase(trainers, spare);
    SetSeat(job, *silent, spare, fmt::format("its holder was silent for {}", FormatDuration(limits.seat_timeout)));
  }
}

}  // namespace tributary::federation
