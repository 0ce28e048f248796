#include "services/cli/report/report_data.h"

#include <cmath>
#include <filesystem>

#include "tributary/json/json.h"

namespace tributary::cli {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMaxRounds = 100'000;
constexpr std::size_t kMaxServices = 4096;
constexpr std::size_t kMaxNames = 20'000;

// The file may be anybody's: what is of another type than it should be counts as absent.
double NumberOf(const Json& object, const char* key) {
  const auto it = object.is_object() ? object.find(key) : object.end();
  if (!object.is_object() || it == object.end() || !it->is_number()) return 0;
  const double value = it->get<double>();
  return std::isfinite(value) && value >= 0 ? value : 0;
}
std::string TextOf(const Json& object, const char* key) {
  if (!object.is_object()) return "";
  const auto it = object.find(key);
  return it != object.end() && it->is_string() ? it->get<std::string>() : "";
}
const Json& ListOf(const Json& object, const char* key) {
  static const Json kEmpty = Json::array();
  if (!object.is_object()) return kEmpty;
  const auto it = object.find(key);
  return it != object.end() && it->is_array() ? *it : kEmpty;
}
std::vector<std::string> NamesOf(const Json& object, const char* key) {
  std::vector<std::string> names;
  for (const Json& name : ListOf(object, key)) {
    if (name.is_string() && names.size() < kMaxNames) names.push_back(name.get<std::string>());
  }
  return names;
}
std::uint64_t CountOf(const Json& object, const char* key) { return static_cast<std::uint64_t>(std::min(NumberOf(object, key), 0x1p63)); }

wire::RoundStatus RoundOf(const Json& json) {
  wire::RoundStatus round;
  round.round = static_cast<std::uint32_t>(std::min(NumberOf(json, "round"), 4294967295.0));
  round.seconds = NumberOf(json, "seconds");
  round.participants = NamesOf(json, "participants");
  round.dropped = NamesOf(json, "dropped");
  if (const auto because = json.find("dropped_because"); because != json.end()) {
    for (const auto& seat : round.dropped) round.dropped_because.push_back(TextOf(*because, seat.c_str()));
  }
  round.bytes_up = CountOf(json, "bytes_up");
  round.bytes_down = CountOf(json, "bytes_down");
  round.digest = TextOf(json, "digest");
  if (const auto metrics = json.find("metrics"); metrics != json.end() && metrics->is_object()) {
    for (const auto& [name, value] : metrics->items()) {
      if (value.is_number() && std::isfinite(value.get<double>())) round.metrics[name] = value.get<double>();
    }
  }
  return round;
}

ReportService ServiceOf(const Json& json) {
  ReportService service;
  service.service = TextOf(json, "service");
  service.instance = TextOf(json, "instance");
  service.peak_rss_bytes = NumberOf(json, "peak_rss_bytes");
  service.cpu_seconds = NumberOf(json, "cpu_seconds");
  service.restarts = NumberOf(json, "restarts");
  if (const auto phases = json.find("phases"); phases != json.end() && phases->is_object()) {
    for (const auto& [phase, value] : phases->items()) service.phase_peaks[phase] = NumberOf(value, "peak_rss_bytes");
  }
  return service;
}

}  // namespace

bool IsWorkDir(const std::string& path) {
  std::error_code ec;
  return fs::exists(path + "/summary.json", ec) || fs::exists(path + "/memory.csv", ec) || fs::exists(path + "/job.yaml", ec);
}

Result<ReportData> ReadWorkDir(const std::string& path) {
  ReportData data;
  std::error_code ec;
  data.from_work_dir = true;
  const std::string absolute = fs::absolute(path, ec).lexically_normal().string();
  data.source = "the work directory " + absolute;
  const std::string summary_path = path + "/summary.json";
  if (fs::exists(summary_path, ec)) {
    TRIBUTARY_ASSIGN(const Json summary, ReadJsonFile(summary_path));
    if (!summary.is_object() || TextOf(summary, "job").empty()) {
      return MakeError(Code::kInvalidArgument, "{} is no summary of a run: it names no job", summary_path);
    }
    data.job = TextOf(summary, "job");
    data.state = TextOf(summary, "status");
    data.message = TextOf(summary, "message");
    data.seconds = NumberOf(summary, "seconds");
    data.memory_budget = NumberOf(summary, "memory_budget_bytes");
    data.model = TextOf(summary, "model");
    data.model_digest = TextOf(summary, "model_digest");
    for (const Json& round : ListOf(summary, "rounds")) {
      if (round.is_object() && data.rounds.size() < kMaxRounds) data.rounds.push_back(RoundOf(round));
    }
    for (const Json& service : ListOf(summary, "services")) {
      if (service.is_object() && data.services.size() < kMaxServices) data.services.push_back(ServiceOf(service));
    }
  } else {
    data.job = fs::path(absolute).filename().string();
    data.missing.push_back("The run has not ended, or was killed: there is no summary.json yet, which rounds, losses, bytes and peaks are read from.");
  }
  auto memory = ReadMemoryHistory(path + "/memory.csv");
  if (memory.ok()) {
    if (memory->unread > 0) data.missing.push_back(fmt::format("{} rows of memory.csv are left out: they are torn, or of more processes than are drawn.", memory->unread));
    data.memory = *std::move(memory);
  } else {
    data.missing.push_back("There is no memory over time: " + memory.error().message() + ".");
  }
  return data;
}

ReportData ReportOfStatus(const wire::JobStatus& status, const std::string& coordinator) {
  ReportData data;
  data.source = "the coordinator at " + coordinator;
  data.job = status.job;
  data.state = status.state;
  data.message = status.message;
  data.seconds = status.seconds;
  data.rounds_wanted = status.rounds;
  data.rounds = status.finished;
  data.seats = status.seats;
  data.model = status.model;
  data.model_digest = status.model_digest;
  data.missing.push_back(
      "Memory of the processes and their restarts are not told by a coordinator: the work directory of 'tributary run' has them, and each service's /metrics.");
  return data;
}

}  // namespace tributary::cli
