#include "services/cli/watch.h"

#include <fmt/core.h>
#include <signal.h>

#include <algorithm>
#include <atomic>
#include <ctime>
#include <optional>

#include "services/cli/ask.h"
#include "services/cli/progress.h"
#include "tributary/base/units.h"

namespace tributary::cli {
namespace {

using std::chrono::steady_clock;

constexpr std::chrono::milliseconds kPoll{500};
constexpr std::chrono::minutes kSilence{5};
constexpr std::chrono::seconds kWindow{10};
constexpr std::size_t kRoundsOfEstimate = 3;
constexpr std::size_t kRoundsTold = 5;  // of those that had ended before the watch began
constexpr int kInterrupted = 128 + SIGINT;

std::atomic<int> g_signal{0};
void OnSignal(int signal) { g_signal = signal; }

void CatchSignals() {
  struct sigaction action {};
  action.sa_handler = OnSignal;
  action.sa_flags = SA_RESETHAND;  // the second one ends the program whatever it does
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
}

bool Passing(const Error& error) { return error.code() == Code::kDeadline || error.code() == Code::kUnavailable; }

class Watch {
 public:
  Watch(transport::ControlClient& client, const char* command, std::string job, std::string coordinator)
      : client_(client), command_(command), job_(std::move(job)), coordinator_(std::move(coordinator)) {}

  int Run() {
    heard_ = steady_clock::now();
    for (;;) {
      auto status = FetchStatus(client_, job_, rounds_.empty() ? 0 : rounds_.back().round);
      if (g_signal != 0) return Leave();
      if (status.ok()) {
        if (const auto exit_code = Take(*status)) return *exit_code;
      } else if (!Passing(status.error()) || steady_clock::now() - heard_ > kSilence) {
        view_.Clear();
        return FailCommand(command_, status.error());
      } else if (!silent_) {
        silent_ = true;
        view_.Say(fmt::format("! the coordinator does not answer, trying on: {}", status.error().message()));
      }
      const auto next = steady_clock::now() + kPoll;
      while (steady_clock::now() < next) {
        if (g_signal != 0) return Leave();
        const timespec nap{0, 20'000'000};
        nanosleep(&nap, nullptr);
      }
    }
  }

 private:
  std::optional<int> Take(wire::JobStatus& status) {
    if (silent_) view_.Say("the coordinator answers again");
    silent_ = false;
    heard_ = steady_clock::now();
    const std::size_t skipped = rounds_.empty() && status.finished.size() > kRoundsTold ? status.finished.size() - kRoundsTold : 0;
    if (skipped > 0) view_.Say(fmt::format("… {} rounds before", skipped));
    for (std::size_t i = 0; i < status.finished.size(); ++i) {
      if (i >= skipped) view_.Say(teller_.Tell(status.finished[i], status.rounds));
      rounds_.push_back(std::move(status.finished[i]));
    }
    if (status.state == "completed" || status.state == "failed" || status.state == "stopped") {
      view_.Clear();
      fmt::print("{} is {} after {}\n", status.job, status.state, FormatDuration(Duration(static_cast<std::int64_t>(status.seconds * 1000))));
      if (status.state == "completed") return config::kExitDone;
      std::fflush(stdout);
      fmt::print(stderr, "tributary {}: {} is {}: {}\n", command_, status.job, status.state, status.message);
      return status.state == "stopped" ? kExitStopped : config::kExitFailed;
    }
    ProgressMore more;
    more.speeds = speeds_.Update(status, steady_clock::now());
    if (const std::string left = RoundsLeft(status, rounds_); !left.empty()) more.below.push_back("  " + left);
    view_.Update(status, more);
    return std::nullopt;
  }

  int Leave() {
    view_.Clear();
    fmt::print("no longer watching; {} goes on. 'tributary stop {} --coordinator {}' would end it\n", job_, job_, coordinator_);
    return kInterrupted;
  }

  transport::ControlClient& client_;
  const char* const command_;
  const std::string job_;
  const std::string coordinator_;
  ProgressView view_{true, stdout};
  RoundTeller teller_;
  SpeedMeter speeds_;
  std::vector<wire::RoundStatus> rounds_;
  steady_clock::time_point heard_;
  bool silent_ = false;
};

}  // namespace

std::map<std::string, std::string> SpeedMeter::Update(const wire::JobStatus& status, Time now) {
  std::map<std::string, std::string> speeds;
  std::map<std::string, Seat> seats;
  for (const auto& told : status.seats) {
    if (told.total == 0) continue;
    Seat seat = std::move(seats_[told.seat]);
    std::string key = fmt::format("{} {} {}", status.round, told.state, told.unit);
    if (seat.key != key || (!seat.marks.empty() && told.done < seat.marks.back().done)) seat = {std::move(key), {}};
    seat.marks.push_back({now, told.done});
    while (seat.marks.size() > 2 && now - seat.marks[1].at >= kWindow) seat.marks.pop_front();
    const double seconds = std::chrono::duration<double>(now - seat.marks.front().at).count();
    const std::uint64_t done = told.done - seat.marks.front().done;
    if (seconds >= 1 && done > 0 && told.metrics.count("tokens_per_second") == 0) {
      const double speed = static_cast<double>(done) / seconds;
      speeds[told.seat] = told.unit == "bytes" ? FormatBytes(static_cast<std::uint64_t>(speed)) + "/s" : fmt::format("{:.1f} {}/s", speed, told.unit);
    }
    seats[told.seat] = std::move(seat);
  }
  seats_ = std::move(seats);
  return speeds;
}

std::string RoundsLeft(const wire::JobStatus& status, const std::vector<wire::RoundStatus>& finished) {
  if (finished.empty() || finished.back().round >= status.rounds || status.state != "running" || status.phase == "wait") return "";
  const std::size_t count = std::min(kRoundsOfEstimate, finished.size());
  double seconds = 0;
  for (std::size_t i = finished.size() - count; i < finished.size(); ++i) seconds += finished[i].seconds;
  const auto told = [](double s) { return FormatDuration(Duration(static_cast<std::int64_t>(std::min(s, 1e9) * 1000))); };
  const std::uint32_t left = status.rounds - finished.back().round;
  const double each = seconds / static_cast<double>(count);
  return fmt::format("{} round{} left with this one, about {} each as the last {}: {}", left, left == 1 ? "" : "s", told(each), count == 1 ? "one" : std::to_string(count), told(each * left));
}

int WatchJob(transport::ControlClient& client, const char* command, const std::string& job, const std::string& coordinator) {
  CatchSignals();
  return Watch(client, command, job, coordinator).Run();
}

}  // namespace tributary::cli
