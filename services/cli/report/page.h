// A report as one HTML page that needs nothing beside itself: no network, no other file.
//
// Its content security policy lets the browser fetch nothing and run nothing but the page's own script, whose digest it names. Everything
// that came from elsewhere is escaped. Pure functions.
#pragma once

#include <string>
#include <vector>

#include "services/cli/report/report_data.h"

namespace tributary::cli {

std::string ReportPage(const ReportData& data);

// Its parts, in order.
std::string SummarySection(const ReportData& data);
std::string NoticeSection(const ReportData& data);  // what somebody should look at; empty if nothing
std::string LossSection(const ReportData& data);
std::string MemorySections(const ReportData& data);
std::string RoundSection(const ReportData& data);
std::string BytesSection(const ReportData& data);
std::string SeatSection(const ReportData& data);  // empty unless the job runs

// A table with a caption; the cells are plain text. The first column names the row. Of more rows than `limit` the last ones are shown, and it says so.
struct TableData {
  std::string caption;
  std::vector<std::string> head;
  std::vector<std::vector<std::string>> rows;
};
std::string Table(const TableData& table, std::size_t limit = 400);

}  // namespace tributary::cli
