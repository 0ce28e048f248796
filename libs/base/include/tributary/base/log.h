// Log lines of a process: one sink (stderr), text or JSON, a level, and the process's name.
//
// InitLog is called once in main before other threads start; the log functions may be called from
// any thread, do not throw, and drop nothing. Say what happened and to whom; put runtime values last.
// spdlog stays inside log.cc.
#pragma once

#include <fmt/core.h>

#include <string>
#include <string_view>

#include "tributary/base/result.h"

namespace tributary::log {

enum class Level { kTrace, kDebug, kInfo, kWarning, kError, kOff };
enum class Format { kText, kJson };

Result<Level> ParseLevel(std::string_view text);    // trace|debug|info|warning|error|off
Result<Format> ParseFormat(std::string_view text);  // text|json

void InitLog(std::string process_name, Level level, Format format);
bool Enabled(Level level);
void Write(Level level, std::string_view line);

template <class... A>
void Debug(fmt::format_string<A...> f, A&&... a) {
  if (Enabled(Level::kDebug)) Write(Level::kDebug, fmt::format(f, std::forward<A>(a)...));
}
template <class... A>
void Info(fmt::format_string<A...> f, A&&... a) {
  if (Enabled(Level::kInfo)) Write(Level::kInfo, fmt::format(f, std::forward<A>(a)...));
}
template <class... A>
void Warning(fmt::format_string<A...> f, A&&... a) {
  if (Enabled(Level::kWarning)) Write(Level::kWarning, fmt::format(f, std::forward<A>(a)...));
}
template <class... A>
void LogError(fmt::format_string<A...> f, A&&... a) {
  if (Enabled(Level::kError)) Write(Level::kError, fmt::format(f, std::forward<A>(a)...));
}

}  // namespace tributary::log
