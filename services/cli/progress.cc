#include "services/cli/progress.h"

#include <fmt/core.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <functional>
#include <map>
#include <utility>

#include "tributary/base/units.h"

namespace tributary::cli {
namespace {

constexpr std::chrono::seconds kQuietLine{5};
constexpr std::size_t kMaxSeatLines = 12;

std::size_t TerminalWidth(int file) {
  winsize size{};
  if (ioctl(file, TIOCGWINSZ, &size) == 0 && size.ws_col > 20) return size.ws_col;
  return 100;
}

std::string Amount(const wire::SeatStatus& seat) {
  if (seat.unit == "bytes") return fmt::format("{} of {}", FormatBytes(seat.done), FormatBytes(seat.total));
  return fmt::format("{} {} of {}", seat.unit.empty() || seat.unit == "steps" ? "step" : seat.unit, seat.done, seat.total);
}

// The words of the protocol as people say them; one that is not known stands as it is.
std::string Doing(const std::string& state) {
  static const std::map<std::string, std::string, std::less<>> kWords = {
      {"run", "starting"},    {"init", "making the model"}, {"download", "downloading"}, {"train", "training"},
      {"upload", "uploading"}, {"seal", "sealing"},         {"validate", "validating"}};
  const auto word = kWords.find(state);
  return word == kWords.end() ? state : word->second;
}

bool HasTrainer(const wire::SeatStatus& seat) { return seat.state != "free" && seat.state != "lost"; }

// ", loss 2.345, 5100 tokens/s", what there is of it.
std::string Metrics(const wire::SeatStatus& seat) {
  std::string text;
  if (const auto loss = seat.metrics.find("train_loss"); loss != seat.metrics.end()) text += fmt::format(", loss {:.3f}", loss->second);
  if (const auto speed = seat.metrics.find("tokens_per_second"); speed != seat.metrics.end()) {
    text += fmt::format(", {:.0f} tokens/s", speed->second);
  }
  return text;
}

std::string SeatLine(const wire::SeatStatus& seat, const std::map<std::string, std::string>& speeds) {
  if (seat.state == "free") return "  (waits for a trainer)";
  std::string line = fmt::format("  {:<12} {:<11}", seat.seat, Doing(seat.state));
  if (seat.total > 0) line += fmt::format(" {} {}", Bar(seat.done, seat.total, 20), Amount(seat));
  if (const auto speed = speeds.find(seat.seat); speed != speeds.end()) line += ", " + speed->second;
  return line + Metrics(seat);
}

// What the job as a whole does.
std::string Headline(const wire::JobStatus& status) {
  const std::string round = fmt::format("round {} of {}", status.round, status.rounds);
  std::string text;
  if (status.phase == "wait") {
    const auto here = std::count_if(status.seats.begin(), status.seats.end(), HasTrainer);
    if (static_cast<std::size_t>(here) < status.seats.size()) {
      text = fmt::format("waiting for trainers: {} of {}", here, status.seats.size());
    } else {
      text = "waiting to begin";
    }
    if (status.round > 0) text = round + " done, " + text;
  } else if (status.phase == "init") {
    text = "making the first model";
  } else if (status.phase == "aggregate") {
    text = round + ": averaging the updates";
    if (status.slots_total > 0) text += fmt::format(", slot {} of {}", status.slots_done, status.slots_total);
  } else if (status.phase == "seal") {
    text = round + ": sealing the model";
  } else {
    text = round + ": " + Doing(status.phase);
  }
  return status.message.empty() ? text : text + "; " + status.message;
}

// Empty if one could, or none was asked to.
std::string NotValidated(const wire::RoundStatus& round) {
  const auto seats = round.metrics.find("val_seats");
  if (seats == round.metrics.end() || seats->second != 0) return "";
  const auto empty = round.metrics.find("val_seats_empty");
  if (empty == round.metrics.end()) return "no seat could validate the model; the job's log says why";
  return fmt::format("no seat could validate the model: nothing is held out of the data of {:.0f}; raise data.validation_fraction, lower partition.count or "
                     "give more data", empty->second);
}

}  // namespace

std::string Bar(std::uint64_t done, std::uint64_t total, int width) {
  const double part = total == 0 ? 0 : std::min(1.0, static_cast<double>(done) / static_cast<double>(total));
  const int full = static_cast<int>(part * width);
  return "[" + std::string(static_cast<std::size_t>(full), '#') + std::string(static_cast<std::size_t>(width - full), '-') + "]";
}

ProgressView::ProgressView(bool enabled, std::FILE* out) : enabled_(enabled), out_(out), terminal_(isatty(fileno(out)) == 1) {}

void ProgressView::Say(const std::string& line) {
  Clear();
  fmt::print(out_, "{}\n", line);
  std::fflush(out_);
}

void ProgressView::Clear() {
  if (lines_drawn_ == 0) return;
  fmt::print(out_, "\x1b[{}A\x1b[J", lines_drawn_);
  std::fflush(out_);
  lines_drawn_ = 0;
}

std::vector<std::string> ProgressBlock(const wire::JobStatus& status, const ProgressMore& more) {
  std::string head = fmt::format("{}  {}", status.job, Headline(status));
  if (status.slots_total > 0 && status.phase == "aggregate") head += "  " + Bar(status.slots_done, status.slots_total, 20);
  std::vector<std::string> lines{head};
  for (std::size_t i = 0; i < status.seats.size() && i < kMaxSeatLines; ++i) lines.push_back(SeatLine(status.seats[i], more.speeds));
  if (status.seats.size() > kMaxSeatLines) {
    lines.push_back(fmt::format("  … and {} more trainers", status.seats.size() - kMaxSeatLines));
  }
  lines.insert(lines.end(), more.below.begin(), more.below.end());
  return lines;
}

std::string PeakLine(const MemoryLog& memory) {
  std::string peaks = "  peak memory:";
  for (const auto& [instance, use] : memory.instances()) {
    if (instance.rfind("trainer", 0) != 0) peaks += fmt::format("  {} {}", instance, FormatBytes(use.peak_rss_bytes));
  }
  return peaks;
}

std::string RoundTeller::Tell(const wire::RoundStatus& round, std::uint32_t rounds) {
  const auto fresh = [this](const std::string& of, const std::string& cause) { return !cause.empty() && std::exchange(told_[of], cause) != cause; };
  std::string line = fmt::format("round {} of {} done in {:.1f} s", round.round, rounds, round.seconds);
  for (const auto& [name, label] : {std::pair{"train_loss", "train loss"}, std::pair{"val_loss", "val loss"}}) {
    if (const auto it = round.metrics.find(name); it != round.metrics.end()) line += fmt::format(", {} {:.4f}", label, it->second);
  }
  line += fmt::format(", {} up, {} down", FormatBytes(round.bytes_up), FormatBytes(round.bytes_down));
  for (std::size_t i = 0; i < round.dropped.size(); ++i) {
    line += ", without " + round.dropped[i];
    const std::string because = i < round.dropped_because.size() ? round.dropped_because[i] : "";
    if (fresh(round.dropped[i], because)) line += fmt::format(" ({})", because);
  }
  const std::string warning = NotValidated(round);
  if (fresh("", warning)) line += fmt::format("\n! round {}: {}", round.round, warning);
  return line;
}

std::string ProgressLine(const wire::JobStatus& status) {
  std::string line = Headline(status);
  for (const auto& seat : status.seats) {
    // A seat that nobody holds has been counted; an idle one has nothing to tell.
    if (seat.state == "free" || seat.state == "idle") continue;
    line += fmt::format(" | {} {}", seat.seat, Doing(seat.state));
    if (seat.total > 0) line += ", " + Amount(seat);
    line += Metrics(seat);
  }
  return line;
}

void ProgressView::Update(const wire::JobStatus& status, const ProgressMore& more) {
  if (!enabled_) return;
  if (terminal_) {
    Clear();
    const std::size_t width = TerminalWidth(fileno(out_));
    const auto block = ProgressBlock(status, more);
    for (const std::string& line : block) fmt::print(out_, "{}\n", line.substr(0, width - 1));
    lines_drawn_ = block.size();
    std::fflush(out_);
    return;
  }
  const std::string key = fmt::format("{}/{}", status.round, status.phase);
  const auto now = std::chrono::steady_clock::now();
  if (key == last_key_ && now - last_line_ < kQuietLine) return;
  std::string text = ProgressLine(status);
  for (const std::string& line : more.below) text += " | " + line.substr(line.find_first_not_of(' '));
  if (key == last_key_ && text == last_text_) return;
  last_key_ = key;
  last_line_ = now;
  fmt::print(out_, "{}\n", text);
  last_text_ = std::move(text);
  std::fflush(out_);
}

}  // namespace tributary::cli
