#include "services/cli/summary.h"

#include <algorithm>

#include "tributary/base/units.h"

namespace tributary::cli {
namespace {

// Value of a metric as a cell, "-" if absent.
std::string Cell(const Json& metrics, const char* name, const char* format) {
  const auto it = metrics.find(name);
  if (it == metrics.end() || !it->is_number()) return "-";
  return fmt::format(fmt::runtime(format), it->get<double>());
}

// Columns as wide as their widest cell; the first is left-aligned.
std::string Table(const std::vector<std::vector<std::string>>& rows) {
  std::vector<std::size_t> widths(rows.front().size(), 0);
  for (const auto& row : rows) {
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  std::string text;
  for (const auto& row : rows) {
    text += "  ";
    for (std::size_t i = 0; i < row.size(); ++i) {
      text += i == 0 ? fmt::format("{:<{}}", row[i], widths[i]) : fmt::format("  {:>{}}", row[i], widths[i]);
    }
    text += "\n";
  }
  return text;
}

// Without the columns that no row has anything in: a synthetic job has no losses.
std::vector<std::vector<std::string>> WithoutEmptyColumns(const std::vector<std::vector<std::string>>& rows) {
  std::vector<std::vector<std::string>> kept(rows.size());
  for (std::size_t column = 0; column < rows.front().size(); ++column) {
    if (std::all_of(rows.begin() + 1, rows.end(), [&](const auto& row) { return row[column] == "-"; })) continue;
    for (std::size_t i = 0; i < rows.size(); ++i) kept[i].push_back(rows[i][column]);
  }
  return kept;
}

}  // namespace

const wire::RoundStatus* BestRound(const std::vector<wire::RoundStatus>& rounds) {
  const wire::RoundStatus* best = nullptr;
  for (const auto& round : rounds) {
    const auto loss = round.metrics.find("val_loss");
    if (loss == round.metrics.end() || (best != nullptr && loss->second >= best->metrics.at("val_loss"))) continue;
    best = &round;
  }
  return best;
}

OrderedJson MakeSummary(const RunOutcome& outcome, const std::vector<Supervisor::Child>& children, const MemoryLog& memory) {
  OrderedJson root;
  root["job"] = outcome.job;
  root["status"] = outcome.status;
  if (!outcome.message.empty()) root["message"] = outcome.message;
  root["seconds"] = outcome.seconds;
  root["memory_budget_bytes"] = outcome.memory_budget;
  root["rounds"] = OrderedJson::array();
  for (const auto& round : outcome.rounds) {
    OrderedJson row;
    row["round"] = round.round;
    row["seconds"] = round.seconds;
    row["participants"] = round.participants;
    if (!round.dropped.empty()) row["dropped"] = round.dropped;
    for (std::size_t i = 0; i < std::min(round.dropped.size(), round.dropped_because.size()); ++i) {
      if (!round.dropped_because[i].empty()) row["dropped_because"][round.dropped[i]] = round.dropped_because[i];
    }
    auto metrics = round.metrics;
    const auto deduplicated = metrics.extract("bytes_deduplicated");
    row["metrics"] = metrics;
    row["bytes_up"] = round.bytes_up;
    row["bytes_down"] = round.bytes_down;
    row["bytes_deduplicated"] = deduplicated.empty() ? std::uint64_t{0} : static_cast<std::uint64_t>(deduplicated.mapped());
    row["digest"] = round.digest;
    root["rounds"].push_back(std::move(row));
  }
  root["services"] = OrderedJson::array();
  for (const auto& child : children) {
    const auto it = memory.instances().find(child.process.instance);
    if (it == memory.instances().end()) continue;
    OrderedJson row;
    row["service"] = child.process.service;
    row["instance"] = child.process.instance;
    row["pid"] = it->second.pid;
    row["peak_rss_bytes"] = it->second.peak_rss_bytes;
    row["cpu_seconds"] = it->second.cpu_seconds;
    row["restarts"] = child.restarts;
    for (const auto& [phase, peak] : it->second.phase_peaks) row["phases"][phase]["peak_rss_bytes"] = peak;
    root["services"].push_back(std::move(row));
  }
  if (const wire::RoundStatus* const best = BestRound(outcome.rounds); best != nullptr) {
    root["best"] = {{"round", best->round}, {"val_loss", best->metrics.at("val_loss")}};
  }
  if (!outcome.model.empty()) root["model"] = outcome.model;
  if (!outcome.model_base.empty()) root["model_base"] = outcome.model_base;
  if (!outcome.model_digest.empty()) root["model_digest"] = outcome.model_digest;
  return root;
}

std::string SummaryText(const Json& summary, const std::string& work_dir) {
  std::string text;
  std::vector<std::vector<std::string>> rows{{"round", "train loss", "val loss", "tokens/s", "up", "down", "seconds"}};
  for (const Json& round : summary.value("rounds", Json::array())) {
    const Json metrics = round.value("metrics", Json::object());
    rows.push_back({std::to_string(round.value("round", 0)), Cell(metrics, "train_loss", "{:.4f}"),
                    Cell(metrics, "val_loss", "{:.4f}"), Cell(metrics, "tokens_per_second", "{:.0f}"),
                    FormatBytes(round.value("bytes_up", std::uint64_t{0})),
                    FormatBytes(round.value("bytes_down", std::uint64_t{0})),
                    fmt::format("{:.1f}", round.value("seconds", 0.0))});
  }
  if (rows.size() > 1) text += "\n" + Table(WithoutEmptyColumns(rows));
  rows = {{"process", "peak memory", "cpu seconds", "restarts"}};
  for (const Json& service : summary.value("services", Json::array())) {
    rows.push_back({service.value("instance", std::string()), FormatBytes(service.value("peak_rss_bytes", std::uint64_t{0})),
                    fmt::format("{:.1f}", service.value("cpu_seconds", 0.0)), std::to_string(service.value("restarts", 0))});
  }
  text += "\n" + Table(rows);
  if (const auto budget = summary.value("memory_budget_bytes", std::uint64_t{0}); budget != 0) {
    text += fmt::format("  (memory budget of each service: {})\n", FormatBytes(budget));
  }
  const std::string model = summary.value("model", std::string());
  text += fmt::format("\n{}: {} in {:.1f} s\n", summary.value("job", std::string()), summary.value("status", std::string()),
                      summary.value("seconds", 0.0));
  if (!model.empty()) text += fmt::format("model:   {}/{}\n", work_dir, model);
  if (const auto base = summary.value("model_base", std::string()); !base.empty()) text += fmt::format("base:    {}/{}\n", work_dir, base);
  text += fmt::format("summary: {}/summary.json\n", work_dir);
  return text;
}

}  // namespace tributary::cli
