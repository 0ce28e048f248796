#include "reconciler.h"

#include <algorithm>
#include <set>

#include "tributary/base/log.h"

namespace tributary::session {
namespace {

constexpr std::size_t kMaxMessage = 2048;

// What removes objects needs no job; it may run long after the job's end. An offer is of no job.
bool NeedsJobText(const wire::TaskSpec& spec) {
  return !spec.job.empty() && spec.kind != static_cast<std::uint32_t>(wire::TaskKind::kRemove) &&
         spec.kind != static_cast<std::uint32_t>(wire::TaskKind::kOffer);
}

wire::TaskReport Failed(const std::string& task, const Error& error) {
  wire::TaskReport report;
  report.task = task;
  report.state = static_cast<std::uint32_t>(wire::TaskState::kFailed);
  report.code = static_cast<std::int32_t>(error.code());
  report.message = error.message().substr(0, kMaxMessage);
  return report;
}

}  // namespace

void Reconciler::Apply(const std::vector<wire::TaskSpec>& wanted) {
  std::set<std::string> names;
  std::set<std::string> jobs;
  for (const auto& spec : wanted) {
    names.insert(spec.task);
    jobs.insert(spec.job);
  }
  std::erase_if(queue_, [&](const auto& spec) { return !names.contains(spec.task); });
  std::erase_if(finished_, [&](const auto& entry) { return !names.contains(entry.first); });
  std::erase_if(job_texts_, [&](const auto& entry) { return !jobs.contains(entry.first); });
  if (running_ && !running_->withdrawn && !names.contains(running_->task)) {
    log::Info("the coordinator withdrew the running task: {}", running_->task);
    running_->withdrawn = true;
    slot_.RequestStop();
  }
  for (const auto& spec : wanted) {
    const bool queued = std::any_of(queue_.begin(), queue_.end(), [&](const auto& q) { return q.task == spec.task; });
    // A task that was withdrawn and is wanted again starts anew once the old run has ended.
    const bool runs = running_ && !running_->withdrawn && running_->task == spec.task;
    if (!queued && !runs && !finished_.contains(spec.task)) queue_.push_back(spec);
  }
}

bool Reconciler::Step(const std::vector<std::string>& blob_stores) {
  bool changed = false;
  if (auto report = slot_.TakeFinished()) {
    if (!running_->withdrawn) {
      if (report->state == static_cast<std::uint32_t>(wire::TaskState::kFailed)) {
        log::Warning("task {} failed: {}", report->task, report->message);
      }
      finished_[report->task] = std::move(*report);
    }
    running_.reset();
    changed = true;
  }
  if (!running_ && !queue_.empty()) {
    const auto text = job_texts_.find(queue_.front().job);
    if (text != job_texts_.end() || !NeedsJobText(queue_.front())) {
      wire::TaskSpec spec = std::move(queue_.front());
      queue_.pop_front();
      running_ = RunningTask{spec.task};
      slot_.Start({std::move(spec), text != job_texts_.end() ? text->second : std::string(), blob_stores});
      changed = true;
    }
  }
  return changed;
}

std::optional<std::string> Reconciler::WantedJobText() const {
  if (running_ || queue_.empty() || !NeedsJobText(queue_.front())) return std::nullopt;
  if (job_texts_.contains(queue_.front().job)) return std::nullopt;
  return queue_.front().job;
}

void Reconciler::SetJobText(const std::string& job, std::string text) { job_texts_[job] = std::move(text); }

void Reconciler::FailJobText(const std::string& job, const Error& error) {
  for (auto spec = queue_.begin(); spec != queue_.end();) {
    if (spec->job == job && NeedsJobText(*spec)) {
      finished_[spec->task] = Failed(spec->task, error);
      spec = queue_.erase(spec);
    } else {
      ++spec;
    }
  }
}

std::vector<wire::TaskReport> Reconciler::Reports(bool* changed) {
  std::vector<wire::TaskReport> reports;
  *changed = false;
  if (running_ && !running_->withdrawn) reports.push_back(slot_.Current(changed));
  for (const auto& spec : queue_) {
    wire::TaskReport report;
    report.task = spec.task;
    report.state = static_cast<std::uint32_t>(wire::TaskState::kRunning);
    report.phase = "queued";
    reports.push_back(std::move(report));
  }
  for (const auto& [task, report] : finished_) reports.push_back(report);
  return reports;
}

}  // namespace tributary::session
