// What the page says first: how the job stands, and what somebody should look at.
#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "services/cli/report/page.h"
#include "tributary/chart/markup.h"
#include "tributary/chart/scale.h"
#include "tributary/memory/process_memory.h"

namespace tributary::cli {
namespace {

using chart::Escape;
using chart::FormatValue;
using chart::Unit;

// What a server may need beside its budget for libraries and connections, before somebody should look.
constexpr double kBesideBudget = static_cast<double>(memory::kServiceBase);
constexpr std::size_t kMaxNamed = 5;

std::string Fact(const std::string& name, const std::string& value, const std::string& more = "") {
  return fmt::format("<div><dt>{}</dt><dd>{}{}</dd></div>\n", Escape(name), Escape(value), more.empty() ? "" : "<small>" + Escape(more) + "</small>");
}

// Not by colour alone.
std::string StateMark(const std::string& state) {
  if (state == "completed") return "<span class=\"state good\">✓ completed</span>";
  if (state == "failed") return "<span class=\"state bad\">✗ failed</span>";
  if (state == "stopped") return "<span class=\"state bad\">■ stopped</span>";
  return fmt::format("<span class=\"state going\">… {}</span>", state.empty() ? "not ended" : Escape(state));
}

// The newest value of a metric and the first, "from 5.1".
void AddLoss(std::string& html, const ReportData& data, const char* metric, const char* name) {
  const wire::RoundStatus *first = nullptr, *last = nullptr;
  for (const auto& round : data.rounds) {
    if (round.metrics.count(metric) == 0) continue;
    if (first == nullptr) first = &round;
    last = &round;
  }
  if (last == nullptr) return;
  html += Fact(name, FormatValue(last->metrics.at(metric), Unit::kNumber),
               last == first ? fmt::format("in round {}", last->round) : fmt::format("from {} in round {}", FormatValue(first->metrics.at(metric), Unit::kNumber), first->round));
}

std::string Names(const std::vector<std::string>& names) {
  std::string text;
  for (std::size_t i = 0; i < names.size() && i < kMaxNamed; ++i) text += (i == 0 ? "" : ", ") + names[i];
  return names.size() > kMaxNamed ? text + fmt::format(" and {} more", names.size() - kMaxNamed) : text;
}

}  // namespace

std::string SummarySection(const ReportData& data) {
  std::string html = fmt::format("<h1>{}</h1>\n<p>{}</p>\n<dl class=\"facts\">\n", Escape(data.job), StateMark(data.state));
  html += Fact("Rounds finished", std::to_string(data.rounds.size()), data.rounds_wanted > 0 ? fmt::format("of {}", data.rounds_wanted) : "");
  if (data.seconds > 0) html += Fact("Time", FormatValue(data.seconds, Unit::kSeconds));
  AddLoss(html, data, "val_loss", "Validation loss");
  AddLoss(html, data, "train_loss", "Training loss");
  const ReportService* highest = nullptr;
  for (const auto& service : data.services) {
    if (service.service != "trainer" && (highest == nullptr || service.peak_rss_bytes > highest->peak_rss_bytes)) highest = &service;
  }
  if (highest != nullptr) {
    html += Fact("Highest peak of a server", FormatValue(highest->peak_rss_bytes, Unit::kBytes),
                 highest->instance + (data.memory_budget > 0 ? fmt::format(", budget {}", FormatValue(data.memory_budget, Unit::kBytes)) : ""));
  }
  double up = 0, down = 0;
  for (const auto& round : data.rounds) {
    up += static_cast<double>(round.bytes_up);
    down += static_cast<double>(round.bytes_down);
  }
  if (!data.rounds.empty()) html += Fact("Bytes of trainers", FormatValue(up, Unit::kBytes) + " up", FormatValue(down, Unit::kBytes) + " down");
  html += "</dl>\n";
  if (!data.model.empty()) {
    html += fmt::format("<p>Model: <code>{}</code>{}</p>\n", Escape(data.model), data.model_digest.empty() ? "" : fmt::format(" <small>SHA-256 {}</small>", Escape(data.model_digest)));
  }
  return html;
}

std::string NoticeSection(const ReportData& data) {
  std::vector<std::string> notices;
  if (!data.message.empty()) notices.push_back(data.message);
  std::size_t rounds = 0;
  // In the order in which they were left out first, with why they were last.
  std::vector<std::string> dropped;
  std::map<std::string, std::string> because;
  for (const auto& round : data.rounds) {
    if (!round.dropped.empty()) ++rounds;
    for (std::size_t i = 0; i < round.dropped.size(); ++i) {
      const auto [known, fresh] = because.try_emplace(round.dropped[i]);
      if (fresh) dropped.push_back(round.dropped[i]);
      if (i < round.dropped_because.size() && !round.dropped_because[i].empty()) known->second = round.dropped_because[i];
    }
  }
  for (auto& seat : dropped) {
    if (const std::string& why = because[seat]; !why.empty()) seat += " (" + why + ")";
  }
  if (rounds > 0) notices.push_back(fmt::format("{} round{} went without {}.", rounds, rounds == 1 ? "" : "s", Names(dropped)));
  std::vector<std::string> restarted, above;
  for (const auto& service : data.services) {
    if (service.restarts > 0) restarted.push_back(fmt::format("{} ({:.0f} times)", service.instance, service.restarts));
    if (service.service != "trainer" && data.memory_budget > 0 && service.peak_rss_bytes > data.memory_budget + kBesideBudget) above.push_back(service.instance);
  }
  if (!restarted.empty()) notices.push_back(fmt::format("Restarted: {}. The logs of the work directory say why.", Names(restarted)));
  if (!above.empty()) {
    notices.push_back(fmt::format("Above the budget by more than {}, which is for libraries and connections: {}.", FormatValue(kBesideBudget, Unit::kBytes), Names(above)));
  }
  notices.insert(notices.end(), data.missing.begin(), data.missing.end());
  if (notices.empty()) return "";
  std::string html = "<section class=\"notices\" aria-labelledby=\"notices-heading\">\n<strong id=\"notices-heading\">To look at</strong>\n<ul>\n";
  for (const auto& notice : notices) html += "<li>" + Escape(notice) + "</li>\n";
  return html + "</ul>\n</section>\n";
}

}  // namespace tributary::cli
