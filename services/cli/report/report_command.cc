#include <cerrno>
#include <chrono>
#include <ctime>
#include <filesystem>
#include <fstream>

#include "services/cli/ask.h"
#include "services/cli/commands.h"
#include "services/cli/report/page.h"
#include "services/cli/report/report_data.h"

namespace tributary::cli {
namespace {

std::string Today() {
  const std::time_t now = std::time(nullptr);
  std::tm utc{};
  gmtime_r(&now, &utc);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%d %H:%M UTC", &utc);
  return text;
}

Result<ReportData> Gather(const config::Options& options, const std::string& what) {
  if (IsWorkDir(what)) return ReadWorkDir(what);
  std::error_code ec;
  if (std::filesystem::is_directory(what, ec) && !options.Given("coordinator")) {
    return MakeError(Code::kNotFound, "{} is no work directory of 'tributary run': it has neither summary.json nor memory.csv; a job of this name is meant with --coordinator", what);
  }
  TRIBUTARY_ASSIGN(const auto client, ConnectCoordinator(options));
  auto status = FetchStatus(*client, what, 0);
  if (!status.ok() && !options.Given("coordinator") && status.error().code() != Code::kNotFound) {
    return status.error().Wrap(fmt::format("'{}' is no work directory, so it was taken for a job", what));
  }
  if (!status.ok()) return status.error();
  return ReportOfStatus(*status, options.String("coordinator"));
}

// Whole or not at all.
Status WritePage(const std::string& path, const std::string& html) {
  const std::string fresh = path + ".tmp";
  std::ofstream out(fresh, std::ios::binary | std::ios::trunc);
  out << html << std::flush;
  if (!out) return ErrnoError(errno, "writing " + fresh);
  out.close();
  std::error_code ec;
  std::filesystem::rename(fresh, path, ec);
  return ec ? Status(ErrnoError(ec.value(), "writing " + path)) : Ok();
}

}  // namespace

int ReportCommand(int argc, char** argv) {
  auto options = CoordinatorOptions("tributary report", "makes a page of how a job went: memory, rounds, losses, bytes");
  options.AddPositional("job", "a work directory of 'tributary run', or the id of a job that --coordinator knows");
  options.AddString("html", "", "the page to write: one file that needs no network");
  if (const auto exit_code = options.ParseOrExitCode(argc, argv, environ)) return *exit_code;
  if (options.String("html").empty()) return FailCommand("report", MakeError(Code::kInvalidArgument, "--html FILE says where the page goes"));
  auto data = Gather(options, options.String("job"));
  if (!data.ok()) return FailCommand("report", data.error());
  data->made = Today();
  if (const Status written = WritePage(options.String("html"), ReportPage(*data)); !written.ok()) return FailCommand("report", written.error());
  fmt::print("{}\n", options.String("html"));
  return config::kExitDone;
}

}  // namespace tributary::cli
