// How this program was called, so that the commands it prints can be typed as they stand.
//
// Pure functions but for /proc; any thread.
#pragma once

#include <string>
#include <string_view>

namespace tributary::cli {

// The first word of the command line: a path, or the plain name that the shell found through PATH.
std::string InvokedAs();
// `text` as one word for a shell: as it is where that is safe, else in single quotes.
std::string ShellWord(std::string_view text);
// With what a run ends whose job failed, or was stopped: why, and what helps. Behind no finished round there is nothing to go on from.
std::string EndText(const std::string& state, const std::string& why, bool any_round_finished);
// The command that lets a finished run's model write.
std::string TryCommand(const std::string& program, const std::string& work_dir);
// The command that makes a page of how a run went, in its work directory.
std::string ReportWords(const std::string& program, const std::string& work_dir);

}  // namespace tributary::cli
