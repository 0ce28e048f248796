#include "services/cli/report/page.h"

#include <fmt/core.h>

#include <cstdint>
#include <span>
#include <string_view>

#include "tributary/chart/markup.h"
#include "tributary/chart/plot.h"
#include "tributary/config/options.h"
#include "tributary/digest/digest.h"

namespace tributary::cli {
namespace {

using chart::Escape;

constexpr std::string_view kStyle = R"css(
*{box-sizing:border-box}html{color-scheme:light dark}
body{margin:0 auto;max-width:1320px;overflow-wrap:anywhere;padding:1rem;background:var(--page);color:var(--ink);font:16px/1.45 system-ui,-apple-system,"Segoe UI",sans-serif}
h1{font-size:1.6rem;margin:.2rem 0;overflow-wrap:anywhere}h2{font-size:1.25rem;margin:2rem 0 .6rem;padding-top:.6rem;border-top:1px solid var(--grid)}
.state{display:inline-block;padding:.1rem .7rem;border-radius:1rem;border:2px solid currentColor;font-weight:700}
.good{color:var(--c2)}.bad{color:var(--limit)}.going{color:var(--c0)}
dl.facts{display:grid;grid-template-columns:repeat(auto-fit,minmax(11rem,1fr));gap:.6rem;margin:1rem 0}
dl.facts div{background:var(--panel);border:1px solid var(--grid);border-radius:6px;padding:.5rem .7rem;min-width:0}
dt{color:var(--faint);font-size:.85rem}dd{margin:0;font-size:1.25rem;font-weight:600;overflow-wrap:anywhere}dd small{display:block;font-size:.8rem;font-weight:400;color:var(--faint)}
.notices{border-left:4px solid var(--limit);background:var(--panel);padding:.6rem .9rem;margin:1rem 0}.notices ul{margin:.2rem 0 0;padding-left:1.2rem}.notices li{overflow-wrap:anywhere}
.pair{display:grid;grid-template-columns:minmax(0,1fr);gap:1rem;margin-bottom:1.5rem}
@media(min-width:1000px){.pair{grid-template-columns:minmax(0,11fr) minmax(0,9fr)}}
.scroll{overflow:auto;max-height:26rem;border:1px solid var(--grid);border-radius:6px;align-self:start}.scroll:focus-visible{outline:2px solid var(--c0)}
table{border-collapse:collapse;width:100%;font-size:.84rem;font-variant-numeric:tabular-nums}
caption{text-align:left;padding:.4rem .4rem;color:var(--faint)}
th,td{padding:.25rem .4rem;text-align:right;border-top:1px solid var(--grid);white-space:nowrap}
th:first-child{text-align:left}thead th{position:sticky;top:0;background:var(--panel);color:var(--ink)}tbody th{font-weight:400;text-align:left}
footer{margin-top:2rem;color:var(--faint);font-size:.88rem;overflow-wrap:anywhere}
@media print{body{max-width:none;padding:0;font-size:11pt}.scroll{max-height:none;overflow:visible;border:0}thead th{position:static}.pair{grid-template-columns:minmax(0,1fr)}h2{break-after:avoid}}
)css";

std::string Base64(std::span<const std::byte> bytes) {
  constexpr std::string_view kDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    std::uint32_t group = 0;
    for (std::size_t j = 0; j < 3; ++j) group = group << 8 | (i + j < bytes.size() ? std::to_integer<std::uint32_t>(bytes[i + j]) : 0);
    for (std::size_t j = 0; j < 4; ++j) text += i + j <= bytes.size() ? kDigits[group >> (18 - 6 * j) & 63] : '=';
  }
  return text;
}

}  // namespace

std::string Table(const TableData& table, std::size_t limit) {
  const std::size_t first = table.rows.size() > limit ? table.rows.size() - limit : 0;
  std::string caption = Escape(table.caption);
  if (first > 0) caption += fmt::format(" (the last {} of {})", limit, table.rows.size());
  std::string html = fmt::format("<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"{}\">\n<table><caption>{}</caption>\n<thead><tr>", Escape(table.caption), caption);
  for (const std::string& cell : table.head) html += "<th scope=\"col\">" + Escape(cell) + "</th>";
  html += "</tr></thead>\n<tbody>\n";
  for (std::size_t i = first; i < table.rows.size(); ++i) {
    html += "<tr>";
    for (std::size_t j = 0; j < table.rows[i].size(); ++j) {
      html += j == 0 ? "<th scope=\"row\">" + Escape(table.rows[i][j]) + "</th>" : "<td>" + Escape(table.rows[i][j]) + "</td>";
    }
    html += "</tr>\n";
  }
  return html + "</tbody></table></div>\n";
}

std::string ReportPage(const ReportData& data) {
  const std::string_view script = chart::PlotScript();
  const auto digest = digest::ComputeSha256(std::as_bytes(std::span(script)));
  std::string html = fmt::format(
      "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{}'; base-uri 'none'; form-action 'none'\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<link rel=\"icon\" href=\"data:,\">\n<title>{} – Tributary report</title>\n<style>{}{}</style>\n"
      "</head>\n<body>\n<main>\n",
      Base64(digest), Escape(data.job), chart::PlotStyle(), kStyle);
  html += SummarySection(data) + NoticeSection(data) + LossSection(data) + MemorySections(data) + RoundSection(data) + BytesSection(data) + SeatSection(data);
  html += fmt::format("</main>\n<footer><p>Made {} from {} by tributary {}. The page asks nothing of any network. A plot tells its values under the pointer, or by arrow keys when it has the focus.</p></footer>\n",
                      Escape(data.made), Escape(data.source), config::Version());
  return html + fmt::format("<script>{}</script>\n</body>\n</html>\n", script);
}

}  // namespace tributary::cli
