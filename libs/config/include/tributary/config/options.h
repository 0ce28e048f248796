// Knobs of a process: each is declared once, and read from an ini file, the environment and the command line.
//
// A knob has a name ("memory-budget"), a kind, a default, help and bounds. From the weakest source to the strongest:
// its default, the file that --config names ("memory-budget = 64MiB" a line), the environment
// (TRIBUTARY_MEMORY_BUDGET; an empty one counts as not set), the command line. Every value is checked in
// Parse, whatever its source, so getters cannot fail. A flag or an ini key that is not declared is refused; an
// unknown TRIBUTARY_ variable is not, since it may be meant for another process.
//
//   config::Options options("tributary-blob-store", "stages chunks on disk");
//   options.Group("Storage");
//   options.AddBytes("quota", 0, "bytes that objects may take; 0: no limit");
//   config::AddServiceOptions(options, "127.0.0.1:9472");            // service.h
//   if (const auto exit_code = options.ParseOrExitCode(argc, argv, environ)) return *exit_code;
//   const std::uint64_t quota = options.Bytes("quota");
//
// One thread owns an Options until Parse is done; afterwards any thread may read it. Asking for a knob that was not
// declared, or by another kind, is a bug of the caller and ends the process with a message. Sizes in bytes.
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tributary/base/result.h"
#include "tributary/base/units.h"

namespace tributary::config {

constexpr int kExitDone = 0;
constexpr int kExitFailed = 1;
constexpr int kExitUsage = 2;

// What --version prints: "0.1.0".
std::string_view Version();

enum class ParseOutcome {
  kRun,      // all knobs have checked values
  kHelp,     // --help was given: print HelpText(), exit 0
  kVersion,  // --version was given: print the version, exit 0
  kQuestion,  // a flag of AddQuestion was given: answer it, exit with what the answer gives
};

class Options;

// Ok, or an error whose message says what was expected ("a directory").
using Check = std::function<Status(const std::string& value)>;
// Answers a question about the process with these knobs; gives the exit code.
using Answer = std::function<int(const Options& options)>;

class Options {
 public:
  static constexpr std::uint64_t kUnbounded = std::numeric_limits<std::int64_t>::max();

  // `program` as people type it ("tributary run"). --help, --version and --config are always there.
  Options(std::string program, std::string one_line);
  ~Options();
  Options(Options&&) noexcept;
  Options& operator=(Options&&) noexcept;

  // The knobs added from here on stand under this heading in --help.
  void Group(std::string heading);

  // Bounds are inclusive.
  void AddString(std::string name, std::string fallback, std::string help, Check check = nullptr);
  void AddChoice(std::string name, std::string fallback, std::vector<std::string> choices, std::string help);
  void AddBytes(std::string name, std::uint64_t fallback, std::string help, std::uint64_t min = 0,
                std::uint64_t max = kUnbounded);
  void AddDuration(std::string name, Duration fallback, std::string help, Duration min = Duration(0),
                   Duration max = std::chrono::hours(24 * 365));
  void AddUint(std::string name, std::uint64_t fallback, std::string help, std::uint64_t min = 0,
               std::uint64_t max = kUnbounded);
  // --name, --name=true, --name=false.
  void AddBool(std::string name, bool fallback, std::string help);
  // May be given several times; comma-separated in the environment. A stronger source replaces the whole list.
  void AddStrings(std::string name, std::string help, Check check = nullptr, std::vector<std::string> fallback = {});
  // A flag of the command line alone that is answered in place of running; knobs that are required may be left out then.
  void AddQuestion(std::string name, std::string help, Answer answer);
  // The next word of the command line without a flag ("JOB.yaml"); required unless `optional`. Shown in upper case.
  void AddPositional(std::string name, std::string help, bool optional = false, Check check = nullptr);
  // The knob must be given by one of the sources. REQUIRES: declared before.
  void Require(const std::string& name);

  // argv[0] is skipped. `environment` is null-terminated, as `environ`, or null.
  Result<ParseOutcome> Parse(int argc, const char* const* argv, const char* const* environment);
  // Parse for main: prints help, version or the error, or answers a question, and gives the exit code; nothing when the process should run.
  std::optional<int> ParseOrExitCode(int argc, const char* const* argv, const char* const* environment);
  std::string HelpText() const;

  const std::string& String(const std::string& name) const;  // also choices and positionals
  std::uint64_t Bytes(const std::string& name) const;
  Duration Time(const std::string& name) const;
  std::uint64_t Uint(const std::string& name) const;
  bool Flag(const std::string& name) const;
  const std::vector<std::string>& Strings(const std::string& name) const;
  // Given by a source, and not only by default.
  bool Given(const std::string& name) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace tributary::config
