#include "services/cli/job_log.h"

#include <fmt/core.h>

#include <charconv>
#include <ctime>

namespace tributary::cli {

std::string LogText(const wire::LogLine& line, const std::string& job) {
  const auto seconds = static_cast<std::time_t>(line.time_ms / 1000);
  std::tm utc{};
  char time[32] = "?";
  if (gmtime_r(&seconds, &utc) != nullptr) std::strftime(time, sizeof time, "%Y-%m-%d %H:%M:%S", &utc);
  std::string text = line.text;
  for (const std::string& prefix : {"job " + job + ": ", "job " + job + " "}) {
    if (text.rfind(prefix, 0) == 0) {
      text.erase(0, prefix.size());
      break;
    }
  }
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto c = static_cast<unsigned char>(text[i]);
    if (c < 0x20 || c == 0x7F) text[i] = ' ';
    // U+0080 to U+009F are controls, too.
    if (c == 0xC2 && i + 1 < text.size() && static_cast<unsigned char>(text[i + 1]) < 0xA0) text[i] = text[i + 1] = ' ';
  }
  return fmt::format("{}.{:03} {} {}", time, line.time_ms < 0 ? 0 : line.time_ms % 1000, line.warning ? '!' : ' ', text);
}

Result<std::uint32_t> ParseRounds(const std::string& path, const std::string& value, std::uint32_t most) {
  if (path != "rounds") return MakeError(Code::kInvalidArgument, "--set {}: a job that goes on can be given other rounds alone (--set rounds=N); submit another job for other values", path);
  std::uint32_t rounds = 0;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), rounds);
  if (error != std::errc() || end != value.data() + value.size() || rounds == 0 || rounds > most) {
    return MakeError(Code::kInvalidArgument, "--set rounds: got '{}', expected a number from 1 to {}", value, most);
  }
  return rounds;
}

}  // namespace tributary::cli
