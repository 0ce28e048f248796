#include "services/cli/progress.h"

#include <fmt/core.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "tributary/base/units.h"

namespace tributary::cli {
namespace {

constexpr std::chrono::seconds kQuietLine{5};
constexpr std::size_t kMaxSeatLines = 12;

std::size_t TerminalWidth() {
  winsize size{};
  if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 20) return size.ws_col;
  return 100;
}

std::string Amount(std::uint64_t done, std::uint64_t total, const std::string& unit) {
  if (unit == "bytes") return fmt::format("{} of {}", FormatBytes(done), FormatBytes(total));
  return fmt::format("{} {} of {}", unit.empty() ? "step" : unit, done, total);
}

std::string SeatLine(const wire::SeatStatus& seat) {
  std::string line = fmt::format("  {:<12} {:<9}", seat.seat, seat.state);
  if (seat.total > 0) line += fmt::format(" {} {}", Bar(seat.done, seat.total, 20), Amount(seat.done, seat.total, seat.unit));
  for (const char* name : {"loss", "train_loss", "tokens_per_second"}) {
    const auto it = seat.metrics.find(name);
    if (it == seat.metrics.end()) continue;
    line += std::string_view(name) == "tokens_per_second" ? fmt::format("  {:.0f} tokens/s", it->second)
                                                          : fmt::format("  {} {:.3f}", name, it->second);
  }
  return line;
}

}  // namespace

std::string Bar(std::uint64_t done, std::uint64_t total, int width) {
  const double part = total == 0 ? 0 : std::min(1.0, static_cast<double>(done) / static_cast<double>(total));
  const int full = static_cast<int>(part * width);
  return "[" + std::string(static_cast<std::size_t>(full), '#') + std::string(static_cast<std::size_t>(width - full), '-') + "]";
}

ProgressView::ProgressView(bool enabled) : enabled_(enabled), terminal_(isatty(STDERR_FILENO) == 1) {}

void ProgressView::Say(const std::string& line) {
  Clear();
  fmt::print(stderr, "{}\n", line);
  std::fflush(stderr);
}

void ProgressView::Clear() {
  if (lines_drawn_ == 0) return;
  fmt::print(stderr, "\x1b[{}A\x1b[J", lines_drawn_);
  std::fflush(stderr);
  lines_drawn_ = 0;
}

std::vector<std::string> ProgressView::Block(const wire::JobStatus& status, const MemoryLog& memory) const {
  std::vector<std::string> lines;
  std::string head = fmt::format("{}  round {} of {}  {}", status.job, status.round, status.rounds, status.phase);
  if (status.slots_total > 0 && status.phase == "aggregate") {
    head += fmt::format("  {} slots {} of {}", Bar(status.slots_done, status.slots_total, 20), status.slots_done, status.slots_total);
  }
  if (!status.message.empty()) head += "  " + status.message;
  lines.push_back(head);
  for (std::size_t i = 0; i < status.seats.size() && i < kMaxSeatLines; ++i) lines.push_back(SeatLine(status.seats[i]));
  if (status.seats.size() > kMaxSeatLines) {
    lines.push_back(fmt::format("  … and {} more trainers", status.seats.size() - kMaxSeatLines));
  }
  std::string peaks = "  peak memory:";
  for (const auto& [instance, use] : memory.instances()) {
    if (instance.rfind("trainer", 0) != 0) peaks += fmt::format("  {} {}", instance, FormatBytes(use.peak_rss_bytes));
  }
  lines.push_back(peaks);
  return lines;
}

void ProgressView::Update(const wire::JobStatus& status, const MemoryLog& memory) {
  if (!enabled_) return;
  if (terminal_) {
    Clear();
    const std::size_t width = TerminalWidth();
    for (const std::string& line : Block(status, memory)) fmt::print(stderr, "{}\n", line.substr(0, width - 1));
    lines_drawn_ = Block(status, memory).size();
    std::fflush(stderr);
    return;
  }
  const std::string key = fmt::format("{}/{}", status.round, status.phase);
  const auto now = std::chrono::steady_clock::now();
  if (key == last_key_ && now - last_line_ < kQuietLine) return;
  last_key_ = key;
  last_line_ = now;
  std::string line = fmt::format("round {} of {}  {}", status.round, status.rounds, status.phase);
  if (!status.message.empty()) line += "  " + status.message;
  for (const auto& seat : status.seats) {
    line += fmt::format("  | {} {}", seat.seat, seat.state);
    if (seat.total > 0) line += " " + Amount(seat.done, seat.total, seat.unit);
    if (const auto loss = seat.metrics.find("loss"); loss != seat.metrics.end()) line += fmt::format(" loss {:.3f}", loss->second);
  }
  fmt::print(stderr, "{}\n", line);
  std::fflush(stderr);
}

}  // namespace tributary::cli
