#include "tributary/config/options.h"

#include <cstdio>
#include <cstdlib>

#include "help.h"
#include "knob.h"
#include "sources.h"

namespace tributary::config {

std::string_view Version() { return TRIBUTARY_VERSION; }

struct Options::State {
  std::string program;
  std::string one_line;
  std::string group = "Flags";
  std::vector<Knob> knobs;
  std::vector<std::pair<std::string, Answer>> questions;  // by the name of their knob

  // The first question that was asked.
  const Answer* Asked() const {
    for (const auto& [name, answer] : questions) {
      for (const Knob& knob : knobs) {
        if (knob.name == name && knob.number != 0) return &answer;
      }
    }
    return nullptr;
  }

  // A declaration that contradicts itself, or a getter that asks for what was not declared, is a bug: say so and end.
  [[noreturn]] void Bug(const std::string& name, const char* what) const {
    std::fprintf(stderr, "%s: bug: knob '%s' %s\n", program.c_str(), name.c_str(), what);
    std::abort();
  }

  Knob& Add(std::string name, Kind kind, std::string help) {
    for (const Knob& knob : knobs) {
      if (knob.name == name) Bug(name, "is declared twice");
    }
    Knob knob;
    knob.name = std::move(name);
    knob.kind = kind;
    knob.help = std::move(help);
    knob.group = group;
    return knobs.emplace_back(std::move(knob));
  }

  Knob& Find(const std::string& name) {
    for (Knob& knob : knobs) {
      if (knob.name == name) return knob;
    }
    Bug(name, "is not declared");
  }

  const Knob& Find(const std::string& name, Kind kind) {
    const Knob& knob = Find(name);
    if (knob.kind != kind) Bug(name, "is of another kind");
    return knob;
  }

  Status Apply(const std::vector<Setting>& source) {
    for (const Setting& given : source) TRIBUTARY_TRY(given.knob->Assign(given.values, given.place));
    return Ok();
  }
};

Options::Options(std::string program, std::string one_line) : state_(std::make_unique<State>()) {
  state_->program = std::move(program);
  state_->one_line = std::move(one_line);
  Group("General");
  AddString("config", "", "an ini file with 'flag = value' lines, without the dashes");
  AddBool("help", false, "prints this text");
  AddBool("version", false, "prints the version");
  for (Knob& knob : state_->knobs) knob.builtin = true;
  Group("Flags");
}

Options::~Options() = default;
Options::Options(Options&&) noexcept = default;
Options& Options::operator=(Options&&) noexcept = default;

void Options::Group(std::string heading) { state_->group = std::move(heading); }

void Options::AddString(std::string name, std::string fallback, std::string help, Check check) {
  Knob& knob = state_->Add(std::move(name), Kind::kString, std::move(help));
  knob.text = std::move(fallback);
  knob.check = std::move(check);
}

void Options::AddChoice(std::string name, std::string fallback, std::vector<std::string> choices,
                        std::string help) {
  Knob& knob = state_->Add(std::move(name), Kind::kChoice, std::move(help));
  knob.text = std::move(fallback);
  knob.choices = std::move(choices);
}

void Options::AddBytes(std::string name, std::uint64_t fallback, std::string help, std::uint64_t min,
                       std::uint64_t max) {
  Knob& knob = state_->Add(std::move(name), Kind::kBytes, std::move(help));
  knob.number = fallback;
  knob.min = min;
  knob.max = max;
}

void Options::AddDuration(std::string name, Duration fallback, std::string help, Duration min, Duration max) {
  Knob& knob = state_->Add(std::move(name), Kind::kDuration, std::move(help));
  knob.number = static_cast<std::uint64_t>(fallback.count());
  knob.min = static_cast<std::uint64_t>(min.count());
  knob.max = static_cast<std::uint64_t>(max.count());
}

void Options::AddUint(std::string name, std::uint64_t fallback, std::string help, std::uint64_t min,
                      std::uint64_t max) {
  Knob& knob = state_->Add(std::move(name), Kind::kUint, std::move(help));
  knob.number = fallback;
  knob.min = min;
  knob.max = max;
}

void Options::AddBool(std::string name, bool fallback, std::string help) {
  Knob& knob = state_->Add(std::move(name), Kind::kBool, std::move(help));
  knob.number = fallback ? 1 : 0;
}

void Options::AddStrings(std::string name, std::string help, Check check, std::vector<std::string> fallback) {
  Knob& knob = state_->Add(std::move(name), Kind::kStrings, std::move(help));
  knob.check = std::move(check);
  knob.list = std::move(fallback);
}

void Options::AddQuestion(std::string name, std::string help, Answer answer) {
  Knob& knob = state_->Add(std::move(name), Kind::kBool, std::move(help));
  knob.builtin = true;
  state_->questions.emplace_back(knob.name, std::move(answer));
}

void Options::AddPositional(std::string name, std::string help, bool optional, Check check) {
  Knob& knob = state_->Add(std::move(name), Kind::kString, std::move(help));
  knob.positional = true;
  knob.required = !optional;
  knob.check = std::move(check);
}

void Options::Require(const std::string& name) { state_->Find(name).required = true; }

Result<ParseOutcome> Options::Parse(int argc, const char* const* argv, const char* const* environment) {
  auto& knobs = state_->knobs;
  TRIBUTARY_ASSIGN(const auto command_line, ReadCommandLine(knobs, argc, argv));
  const auto from_environment = ReadEnvironment(knobs, environment);

  // --help and --version answer even where other values are wrong.
  for (const Setting& given : command_line) {
    if (given.knob->builtin) TRIBUTARY_TRY(given.knob->Assign(given.values, given.place));
  }
  if (Flag("help")) return ParseOutcome::kHelp;
  if (Flag("version")) return ParseOutcome::kVersion;

  if (!Given("config")) {
    for (const Setting& given : from_environment) {
      if (given.knob->builtin) TRIBUTARY_TRY(given.knob->Assign(given.values, given.place));
    }
  }
  if (Given("config")) {
    TRIBUTARY_ASSIGN(const auto from_file, ReadIniFile(knobs, String("config")));
    TRIBUTARY_TRY(state_->Apply(from_file));
  }
  TRIBUTARY_TRY(state_->Apply(from_environment));
  TRIBUTARY_TRY(state_->Apply(command_line));
  if (state_->Asked() != nullptr) return ParseOutcome::kQuestion;

  for (const Knob& knob : knobs) {
    if (!knob.required || knob.given) continue;
    if (knob.positional) {
      return MakeError(Code::kInvalidArgument, "{}: missing, expected {}; --help shows the usage", knob.name,
                       knob.help);
    }
    return MakeError(Code::kInvalidArgument, "--{}: missing, expected {}; give the flag or {}", knob.name,
                     knob.Expected(), knob.Environment());
  }
  return ParseOutcome::kRun;
}

std::optional<int> Options::ParseOrExitCode(int argc, const char* const* argv,
                                            const char* const* environment) {
  const auto outcome = Parse(argc, argv, environment);
  if (!outcome.ok()) {
    std::fprintf(stderr, "%s: %s\n", state_->program.c_str(), outcome.error().message().c_str());
    return kExitUsage;
  }
  switch (*outcome) {
    case ParseOutcome::kHelp: std::fputs(HelpText().c_str(), stdout); return kExitDone;
    case ParseOutcome::kVersion:
      std::printf("%s %s\n", state_->program.c_str(), std::string(Version()).c_str());
      return kExitDone;
    case ParseOutcome::kQuestion: return (*state_->Asked())(*this);
    case ParseOutcome::kRun: break;
  }
  return std::nullopt;
}

std::string Options::HelpText() const {
  return FormatHelp(state_->program, state_->one_line, state_->knobs);
}

const std::string& Options::String(const std::string& name) const {
  const Knob& knob = state_->Find(name);
  if (knob.kind != Kind::kString && knob.kind != Kind::kChoice) state_->Bug(name, "is of another kind");
  return knob.text;
}
std::uint64_t Options::Bytes(const std::string& name) const { return state_->Find(name, Kind::kBytes).number; }
Duration Options::Time(const std::string& name) const {
  return Duration(static_cast<Duration::rep>(state_->Find(name, Kind::kDuration).number));
}
std::uint64_t Options::Uint(const std::string& name) const { return state_->Find(name, Kind::kUint).number; }
bool Options::Flag(const std::string& name) const { return state_->Find(name, Kind::kBool).number != 0; }
const std::vector<std::string>& Options::Strings(const std::string& name) const {
  return state_->Find(name, Kind::kStrings).list;
}
bool Options::Given(const std::string& name) const { return state_->Find(name).given; }

}  // namespace tributary::config
