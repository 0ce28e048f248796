#include "services/cli/report/memory_history.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cmath>
#include <fstream>
#include <limits>
#include <optional>
#include <string_view>

namespace tributary::cli {
namespace {

// Longer without a reading, and the run was not at work.
constexpr double kPause = 10;
constexpr std::size_t kMaxLine = 1024;
constexpr double kNone = std::numeric_limits<double>::quiet_NaN();

std::optional<double> Number(std::string_view text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || !std::isfinite(value) || value < 0) return std::nullopt;
  return value;
}

double Larger(double a, double b) { return std::isnan(a) ? b : std::isnan(b) ? a : std::max(a, b); }

}  // namespace

void MemoryHistory::Add(double unix_seconds, const std::string& instance, double rss, const std::string& phase) {
  if (rss_.count(instance) == 0 && rss_.size() >= kMaxInstances) {
    ++unread;
    return;
  }
  if (at_.empty() || unix_seconds != last_unix_) {
    const double passed = unix_seconds - last_unix_;
    // The clock may have been set back; then too a second is as good as any.
    const bool pause = !at_.empty() && (passed > kPause || passed < 0);
    if (!at_.empty()) active_ += pause ? 1 : passed;
    if (pause && resumes_.size() < kMaxSpans) resumes_.push_back(active_);
    last_unix_ = unix_seconds;
    const bool same = !spans_.empty() && spans_.back().phase == phase && !pause;
    if (!spans_.empty() && !pause) spans_.back().to = active_;
    if (!same && spans_.size() < kMaxSpans) spans_.push_back({active_, active_, phase});
    if (at_.empty() || pause || active_ >= point_ends_) {
      if (at_.size() >= kMaxPoints) Halve();
      at_.push_back(active_);
      for (auto& [name, values] : rss_) values.push_back(kNone);
      point_ends_ = active_ + (resolution_ > 1 ? resolution_ * 0.999 : 0);
    }
  }
  auto& values = rss_.try_emplace(instance, at_.size(), kNone).first->second;
  values.back() = Larger(values.back(), rss);
}

void MemoryHistory::Halve() {
  const std::size_t half = (at_.size() + 1) / 2;
  for (auto& [name, values] : rss_) {
    for (std::size_t i = 0; i < half; ++i) values[i] = 2 * i + 1 < values.size() ? Larger(values[2 * i], values[2 * i + 1]) : values[2 * i];
    values.resize(half);
  }
  for (std::size_t i = 0; i < half; ++i) at_[i] = at_[2 * i];
  at_.resize(half);
  resolution_ *= 2;
}

Result<MemoryHistory> ReadMemoryHistory(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) return ErrnoError(errno != 0 ? errno : ENOENT, "reading " + path);
  MemoryHistory history;
  std::array<char, kMaxLine> buffer{};
  for (bool first = true; in.getline(buffer.data(), buffer.size()) || in.gcount() > 0; first = false) {
    if (in.fail() && !in.eof()) {
      // Longer than a row can be: passed over.
      in.clear();
      in.ignore(std::numeric_limits<std::streamsize>::max(), '\n');
      ++history.unread;
      continue;
    }
    if (first) continue;  // names of the columns
    std::array<std::string_view, 6> cells;
    std::string_view rest(buffer.data());
    std::size_t count = 0;
    for (; count < cells.size(); ++count) {
      const auto comma = count + 1 < cells.size() ? rest.find(',') : std::string_view::npos;
      cells[count] = rest.substr(0, comma);
      if (comma == std::string_view::npos) {
        ++count;
        break;
      }
      rest.remove_prefix(comma + 1);
    }
    const auto time = Number(cells[0]), rss = Number(cells[3]);
    // The last row of a run that was killed may be torn.
    if (count != cells.size() || !time || !rss || cells[1].empty()) {
      ++history.unread;
      continue;
    }
    history.Add(*time, std::string(cells[1]), *rss, std::string(cells[5]));
  }
  return history;
}

}  // namespace tributary::cli
