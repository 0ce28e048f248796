#include "task_slot.h"

#include <exception>
#include <utility>

#include "tributary/base/log.h"

namespace tributary::session {
namespace {

// A report must fit a control frame next to the others.
constexpr std::size_t kMaxMessage = 2048;

}  // namespace

TaskSlot::TaskSlot(TaskRunner& runner, std::function<void()> wake)
    : runner_(runner), wake_(std::move(wake)), thread_([this] { Loop(); }) {}

void TaskSlot::Start(TaskInput input) {
  {
    const std::lock_guard lock(mutex_);
    report_ = {};
    report_.task = input.spec.task;
    report_.state = static_cast<std::uint32_t>(wire::TaskState::kRunning);
    input_ = std::move(input);
    stop_ = std::stop_source();
    state_ = State::kGiven;
    dirty_ = true;
  }
  changed_.notify_one();
}

bool TaskSlot::Idle() const {
  const std::lock_guard lock(mutex_);
  return state_ == State::kIdle;
}

void TaskSlot::RequestStop() {
  std::stop_source stop;
  {
    const std::lock_guard lock(mutex_);
    stop = stop_;
  }
  // Outside the lock: callbacks on the token run here, and may tell progress.
  stop.request_stop();
}

wire::TaskReport TaskSlot::Current(bool* changed) {
  const std::lock_guard lock(mutex_);
  *changed = std::exchange(dirty_, false);
  return report_;
}

std::optional<wire::TaskReport> TaskSlot::TakeFinished() {
  const std::lock_guard lock(mutex_);
  if (state_ != State::kFinished) return std::nullopt;
  state_ = State::kIdle;
  return std::move(report_);
}

void TaskSlot::Stop() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  RequestStop();
  changed_.notify_one();
  if (thread_.joinable()) thread_.join();
}

void TaskSlot::Phase(const std::string& phase, std::uint64_t total, const std::string& unit) {
  {
    const std::lock_guard lock(mutex_);
    log::Info("task {}: {}", report_.task, phase);
    report_.phase = phase;
    report_.total = total;
    report_.unit = unit;
    report_.done = 0;
    dirty_ = true;
  }
  wake_();
}

void TaskSlot::Done(std::uint64_t done) {
  const std::lock_guard lock(mutex_);
  report_.done = done;
  dirty_ = true;
}

void TaskSlot::Metric(const std::string& name, double value) {
  const std::lock_guard lock(mutex_);
  report_.metrics[name] = value;
  dirty_ = true;
}

void TaskSlot::Bytes(std::uint64_t up, std::uint64_t down) {
  const std::lock_guard lock(mutex_);
  report_.bytes_up = up;
  report_.bytes_down = down;
  dirty_ = true;
}

Result<TaskResult> TaskSlot::RunGuarded(const TaskInput& input, std::stop_token stop) {
  try {
    return runner_.Run({input.spec, input.job_text, input.blob_stores, *this, std::move(stop)});
  } catch (const std::exception& e) {
    return MakeError(Code::kInternal, "the task ended with an exception: {}", e.what());
  }
}

void TaskSlot::Loop() {
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [&] { return ending_ || state_ == State::kGiven; });
    if (ending_) return;
    state_ = State::kRunning;
    const TaskInput input = std::move(input_);
    const std::stop_token stop = stop_.get_token();
    lock.unlock();
    auto result = RunGuarded(input, stop);
    lock.lock();
    if (result.ok()) {
      report_.state = static_cast<std::uint32_t>(wire::TaskState::kDone);
      for (auto& [name, value] : result->metrics) report_.metrics[name] = value;
      report_.digest = std::move(result->digest);
      report_.slots = result->slots;
      report_.broadcast_digest = std::move(result->broadcast_digest);
    } else {
      report_.state = static_cast<std::uint32_t>(wire::TaskState::kFailed);
      report_.code = static_cast<std::int32_t>(result.error().code());
      report_.message = result.error().message().substr(0, kMaxMessage);
    }
    state_ = State::kFinished;
    lock.unlock();
    wake_();
    lock.lock();
  }
}

}  // namespace tributary::session
