// The parts of the page that have plots and tables.
#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>
#include <limits>

#include "services/cli/report/page.h"
#include "tributary/chart/markup.h"
#include "tributary/chart/plot.h"

namespace tributary::cli {
namespace {

using chart::Escape;
using chart::FormatValue;
using chart::Plot;
using chart::Unit;

constexpr double kNone = std::numeric_limits<double>::quiet_NaN();
constexpr std::size_t kLinePoints = 400;
constexpr std::size_t kBarPoints = 100;
constexpr std::size_t kMaxBands = 300;
constexpr std::size_t kMaxLines = 16;  // of trainers

double Metric(const wire::RoundStatus& round, const std::string& name) {
  const auto it = round.metrics.find(name);
  return it == round.metrics.end() ? kNone : it->second;
}

std::string Cell(double value, Unit unit) { return std::isfinite(value) ? FormatValue(value, unit) : "–"; }

// A heading, the figure and the table beside it.
std::string Section(const std::string& heading, const Plot& plot, const TableData& table) {
  return fmt::format("<section aria-labelledby=\"{0}-heading\">\n<h2 id=\"{0}-heading\">{1}</h2>\n<div class=\"pair\">\n{2}{3}</div>\n</section>\n", plot.id,
                     Escape(heading), chart::Figure(plot), Table(table));
}

Plot OverRounds(const ReportData& data, const char* id, const char* title) {
  Plot plot;
  plot.id = id;
  plot.title = title;
  plot.x_name = "round";
  for (const auto& round : data.rounds) plot.x.push_back(round.round);
  return plot;
}

void Add(Plot& plot, const ReportData& data, const std::string& name, const std::function<double(const wire::RoundStatus&)>& value) {
  chart::PlotSeries series{name, {}};
  for (const auto& round : data.rounds) series.values.push_back(value(round));
  if (std::any_of(series.values.begin(), series.values.end(), [](double v) { return std::isfinite(v); })) plot.series.push_back(std::move(series));
}

std::size_t ColourOf(const std::string& phase) {
  constexpr std::array<const char*, 5> kPhases = {"train", "aggregate", "seal", "validate", "init"};
  const auto it = std::find(kPhases.begin(), kPhases.end(), phase);
  return it != kPhases.end() ? static_cast<std::size_t>(it - kPhases.begin()) : phase == "export" || phase == "import" ? 6 : 7;
}

bool IsTrainer(const std::string& instance) { return instance.rfind("trainer", 0) == 0; }

Plot MemoryPlot(const ReportData& data, bool trainers) {
  const MemoryHistory& memory = *data.memory;
  Plot plot;
  plot.id = trainers ? "memory-trainers" : "memory-servers";
  plot.title = trainers ? "Memory of the trainers" : "Memory of the servers";
  plot.x_name = "time at work";
  plot.x_unit = Unit::kSeconds;
  plot.y_unit = Unit::kBytes;
  plot.x = memory.at();
  std::size_t left_out = 0;
  for (const auto& [instance, values] : memory.rss()) {
    if (IsTrainer(instance) != trainers) continue;
    if (plot.series.size() == kMaxLines) {
      ++left_out;
      continue;
    }
    plot.series.push_back({instance, values});
  }
  if (!trainers && data.memory_budget > 0) plot.references.push_back({fmt::format("budget {}", FormatValue(data.memory_budget, Unit::kBytes)), data.memory_budget});
  plot.about = trainers ? "Resident memory. A trainer holds the model that it trains; one of a synthetic job holds none."
                        : "Resident memory, each second. The budget bounds what a server buffers of models; its libraries, about 15 MiB, come on top. Neither grows with the model or "
                          "with the number of trainers.";
  if (memory.resolution() > 1) plot.about += fmt::format(" A point is the largest reading of about {}.", FormatValue(memory.resolution(), Unit::kSeconds));
  if (memory.spans().size() <= kMaxBands) {
    for (const auto& span : memory.spans()) plot.bands.push_back({span.phase, span.from, span.to, ColourOf(span.phase)});
    plot.about += " The strip below tells what the job did.";
  }
  if (!memory.resumes().empty()) plot.about += fmt::format(" The run went on {} after a pause, which takes no room here.", memory.resumes().size() == 1 ? "once" : fmt::format("{} times", memory.resumes().size()));
  if (left_out > 0) plot.about += fmt::format(" {} more trainers are in the table alone.", left_out);
  return plot;
}

TableData PeakTable(const ReportData& data, bool trainers) {
  TableData table{"Highest peaks, as the kernel counts them: short ones too", {"process", "peak"}, {}};
  std::vector<std::string> phases;
  for (const char* phase : {"start", "import", "wait", "init", "train", "aggregate", "seal", "validate", "export"}) {
    const bool any = std::any_of(data.services.begin(), data.services.end(), [&](const auto& s) { return IsTrainer(s.instance) == trainers && s.phase_peaks.count(phase) != 0; });
    if (any) phases.emplace_back(phase);
  }
  table.head.insert(table.head.end(), phases.begin(), phases.end());
  table.head.insert(table.head.end(), {"CPU", "restarts"});
  for (const ReportService& service : data.services) {
    if (IsTrainer(service.instance) != trainers) continue;
    std::vector<std::string> row{service.instance, FormatValue(service.peak_rss_bytes, Unit::kBytes)};
    for (const std::string& phase : phases) {
      const auto it = service.phase_peaks.find(phase);
      row.push_back(it == service.phase_peaks.end() ? "–" : FormatValue(it->second, Unit::kBytes));
    }
    row.push_back(FormatValue(service.cpu_seconds, Unit::kSeconds));
    row.push_back(fmt::format("{:.0f}", service.restarts));
    table.rows.push_back(std::move(row));
  }
  return table;
}

// Peaks that could be read from memory.csv alone, of a run that has not ended.
TableData ReadingTable(const Plot& plot) {
  TableData table{"Largest reading of each process", {"process", "resident"}, {}};
  for (const auto& series : plot.series) {
    double largest = 0;
    for (const double value : series.values) largest = std::isfinite(value) ? std::max(largest, value) : largest;
    table.rows.push_back({series.name, FormatValue(largest, Unit::kBytes)});
  }
  return table;
}

std::string Merged(std::size_t each, const char* what) { return each > 1 ? fmt::format(" One {} stands for {} rounds, with their mean; the table has each.", what, each) : ""; }

}  // namespace

std::string LossSection(const ReportData& data) {
  Plot plot = OverRounds(data, "loss", "Loss by round");
  plot.from_zero = false;
  Add(plot, data, "training", [](const auto& round) { return Metric(round, "train_loss"); });
  Add(plot, data, "validation", [](const auto& round) { return Metric(round, "val_loss"); });
  // A job without losses has nothing to learn: no empty plot of it.
  if (plot.series.empty() && !data.rounds.empty()) return "";
  plot.about = "Lower is better. Training: of the updates of the round, on each site's own text as it trained. Validation: of the round's averaged model, on what sites kept apart.";
  TableData table{"Losses of each round", {"round", "training", "validation", "perplexity", "tokens/s", "samples"}, {}};
  for (const auto& round : data.rounds) {
    table.rows.push_back({std::to_string(round.round), Cell(Metric(round, "train_loss"), Unit::kNumber), Cell(Metric(round, "val_loss"), Unit::kNumber),
                          Cell(Metric(round, "val_perplexity"), Unit::kNumber), Cell(Metric(round, "tokens_per_second"), Unit::kRound), Cell(Metric(round, "samples"), Unit::kRound)});
  }
  plot.about += Merged(chart::Thin(plot, kLinePoints, chart::Merge::kMean), "point");
  return Section("Learning", plot, table);
}

std::string MemorySections(const ReportData& data) {
  if (!data.from_work_dir) return "";
  std::string html;
  for (const bool trainers : {false, true}) {
    Plot plot;
    plot.id = trainers ? "memory-trainers" : "memory-servers";
    plot.title = trainers ? "Memory of the trainers" : "Memory of the servers";
    if (data.memory) plot = MemoryPlot(data, trainers);
    const TableData peaks = PeakTable(data, trainers);
    html += Section(plot.title, plot, peaks.rows.empty() ? ReadingTable(plot) : peaks);
  }
  return html;
}

std::string RoundSection(const ReportData& data) {
  Plot plot = OverRounds(data, "rounds", "Where the time of each round went");
  plot.kind = Plot::Kind::kStacked;
  plot.y_unit = Unit::kSeconds;
  constexpr std::array<const char*, 4> kPhases = {"train", "aggregate", "seal", "validate"};
  for (const char* phase : kPhases) {
    Add(plot, data, phase, [&](const auto& round) { return Metric(round, fmt::format("seconds_{}", phase)); });
  }
  Add(plot, data, "other", [&](const auto& round) {
    double rest = round.seconds;
    for (const char* phase : kPhases) {
      if (const double seconds = Metric(round, fmt::format("seconds_{}", phase)); std::isfinite(seconds)) rest -= seconds;
    }
    return rest > 0.05 ? rest : kNone;
  });
  plot.about = "Train: until every selected seat has begun to send its update. Aggregate: until the last update is averaged. Seal: until the model is safe on the disk.";
  TableData table{"Seconds of each round, and who took part", {"round", "seconds", "train", "aggregate", "seal", "validate", "seats", "left out"}, {}};
  for (const auto& round : data.rounds) {
    std::vector<std::string> row{std::to_string(round.round), fmt::format("{:.1f}", round.seconds)};
    for (const char* phase : kPhases) {
      const double seconds = Metric(round, fmt::format("seconds_{}", phase));
      row.push_back(std::isfinite(seconds) ? fmt::format("{:.1f}", seconds) : "–");
    }
    row.push_back(std::to_string(round.participants.size()));
    row.push_back(round.dropped.empty() ? "–" : fmt::format("{}", round.dropped.size() == 1 ? round.dropped.front() : std::to_string(round.dropped.size())));
    table.rows.push_back(std::move(row));
  }
  plot.about += Merged(chart::Thin(plot, kBarPoints, chart::Merge::kMean), "bar");
  return Section("Rounds", plot, table);
}

std::string BytesSection(const ReportData& data) {
  Plot plot = OverRounds(data, "bytes", "Bytes of each round");
  plot.kind = Plot::Kind::kBars;
  plot.y_unit = Unit::kBytes;
  Add(plot, data, "up from trainers", [](const auto& round) { return static_cast<double>(round.bytes_up); });
  Add(plot, data, "down to trainers", [](const auto& round) { return static_cast<double>(round.bytes_down); });
  plot.about = "What all trainers of the round sent and fetched. What aggregators (aggr.) read and wrote beside that is in the table.";
  TableData table{"Bytes of each round", {"round", "up", "down", "aggr. read", "aggr. wrote"}, {}};
  for (const auto& round : data.rounds) {
    table.rows.push_back({std::to_string(round.round), FormatValue(static_cast<double>(round.bytes_up), Unit::kBytes), FormatValue(static_cast<double>(round.bytes_down), Unit::kBytes),
                          Cell(Metric(round, "aggregator_bytes_down"), Unit::kBytes), Cell(Metric(round, "aggregator_bytes_up"), Unit::kBytes)});
  }
  plot.about += Merged(chart::Thin(plot, kBarPoints, chart::Merge::kMean), "bar");
  return Section("Transfer", plot, table);
}

std::string SeatSection(const ReportData& data) {
  if (data.seats.empty()) return "";
  TableData table{"Seats when this page was made", {"seat", "state", "trainer", "done", "loss"}, {}};
  for (const auto& seat : data.seats) {
    const auto loss = seat.metrics.find("train_loss");
    table.rows.push_back({seat.seat, seat.state, seat.instance.empty() ? "–" : seat.instance,
                          seat.total == 0 ? "–" : fmt::format("{} of {} {}", seat.done, seat.total, seat.unit),
                          loss == seat.metrics.end() ? "–" : FormatValue(loss->second, Unit::kNumber)});
  }
  return "<section aria-labelledby=\"seats-heading\">\n<h2 id=\"seats-heading\">Seats</h2>\n" + Table(table) + "</section>\n";
}

}  // namespace tributary::cli
