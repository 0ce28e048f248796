#include "services/trainer/evaluate_command.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <thread>
#include <utility>

#include "services/trainer/opened_model.h"
#include "tributary/config/options.h"
#include "tributary/evaluation/report.h"
#include "tributary/json/json.h"
#include "tributary/memory/malloc.h"
#include "tributary/memory/process_memory.h"
#include "tributary/text/utf8.h"

namespace tributary::trainer {
namespace {

constexpr std::uint64_t kBudget = 64u << 20;  // no chunk moves here; the heap is trimmed as a trainer's is

volatile std::sig_atomic_t g_signal = 0;
void OnSignal(int signal) { g_signal = signal; }

using Clock = std::chrono::steady_clock;

// A line a question, written as it comes: what was answered stays when the rest is stopped.
class Samples {
 public:
  Status Open(const std::string& path) {
    if (path.empty()) return Ok();
    path_ = path;
    file_.reset(std::fopen(path.c_str(), "w"));
    return file_ ? Ok() : ErrnoError(errno, "making " + path);
  }

  Status Write(const evaluation::Subject& subject, std::size_t index, const evaluation::Answer& answer, const evaluation::AnswerOptions& how) {
    if (!file_) return Ok();
    const auto letter = [](std::size_t choice) { return std::string(1, static_cast<char>('A' + choice)); };
    OrderedJson line{{"subject", subject.name}, {"question", index}, {"answer", letter(subject.questions[index].answer)}};
    if (how.likelihood) {
      line["log_probabilities"] = answer.log_probabilities;
      line["likeliest"] = letter(answer.likeliest);
    }
    if (how.letter) {
      line["text"] = text::ReplaceInvalidUtf8(answer.text);
      line["letter"] = answer.letter ? OrderedJson(letter(*answer.letter)) : OrderedJson();
    }
    line["examples"] = answer.shots;
    line["tokens"] = answer.tokens;
    line["cut"] = answer.cut;
    const std::string words = line.dump() + "\n";
    const bool ok = std::fwrite(words.data(), 1, words.size(), file_.get()) == words.size() && std::fflush(file_.get()) == 0;
    return ok ? Ok() : ErrnoError(errno, "writing " + path_);
  }

 private:
  std::string path_;
  std::unique_ptr<std::FILE, int (*)(std::FILE*)> file_{nullptr, std::fclose};
};

// One line that is written over again and again, where stderr is a terminal.
class ProgressLine {
 public:
  ProgressLine(bool wanted, std::uint64_t total) : shown_(wanted && isatty(STDERR_FILENO) == 1), total_(total) {}
  void Show(const std::string& subject, std::uint64_t done) {
    const auto now = Clock::now();
    if (!shown_ || done == 0 || now - last_ < std::chrono::milliseconds(200)) return;
    last_ = now;
    const double seconds = std::chrono::duration<double>(now - begun_).count();
    const double left = seconds / static_cast<double>(done) * static_cast<double>(total_ - done);
    fmt::print(stderr, "\r\033[K{} of {} questions, {}, {:.0f} s left ", done, total_, subject, left);
  }
  void Clear() {
    if (shown_) fmt::print(stderr, "\r\033[K");
  }

 private:
  bool shown_;
  std::uint64_t total_;
  Clock::time_point begun_ = Clock::now();
  Clock::time_point last_ = begun_;
};

std::string_view StyleName(evaluation::PromptStyle style) {
  switch (style) {
    case evaluation::PromptStyle::kOriginal: return "original";
    case evaluation::PromptStyle::kFlowerTune: return "flowertune";
    case evaluation::PromptStyle::kHarness: break;
  }
  return "lm-eval";
}

std::string_view QuantizationName(train::Quantization quantization) {
  switch (quantization) {
    case train::Quantization::kNf4: return "nf4";
    case train::Quantization::kNf4Double: return "nf4-double";
    case train::Quantization::kNone: break;
  }
  return "none";
}

Status Print(const std::string& words, std::FILE* out) {
  const bool ok = std::fwrite(words.data(), 1, words.size(), out) == words.size() && std::fflush(out) == 0;
  return ok ? Ok() : MakeError(Code::kIo, "the table could not be written: the reader went away");
}

Status WriteFigures(const EvaluateSpec& spec, const evaluation::Report& report, double seconds) {
  OrderedJson json;
  json["benchmark"] = "mmlu";
  json["model"] = spec.directory;
  if (!spec.base.empty()) json["base"] = spec.base;
  json["quantization"] = QuantizationName(spec.quantization);
  json["prompt"] = StyleName(spec.how.style);
  json["shots"] = spec.how.shots;
  if (spec.which.limit > 0) json["limit"] = spec.which.limit;
  json.update(report.ToJson());
  json["seconds"] = seconds;
  if (const auto memory = memory::ReadProcessMemory(); memory.ok()) json["peak_rss_bytes"] = memory->rss_peak;
  return WriteJsonFile(spec.json, json);
}

// That a file can be made at `path`, or its old one written: told before hours of answering, and without touching what lies there.
Status CheckPlace(const char* flag, const std::string& path, bool replaced) {
  namespace fs = std::filesystem;
  if (path.empty()) return Ok();
  std::error_code ec;
  if (fs::is_directory(path, ec)) return MakeError(Code::kInvalidArgument, "{} {} is a directory; name a file", flag, path);
  if (!replaced && fs::exists(path, ec)) {
    return access(path.c_str(), W_OK) == 0 ? Ok() : ErrnoError(errno, fmt::format("{} {}", flag, path));
  }
  const std::string folder = fs::path(path).has_parent_path() ? fs::path(path).parent_path().string() : ".";
  return access(folder.c_str(), W_OK | X_OK) == 0 ? Ok() : ErrnoError(errno, fmt::format("{} {}: writing into {}", flag, path, folder));
}

// Words apart by commas, of a flag that may be given several times.
std::vector<std::string> Words(const std::vector<std::string>& flags) {
  std::vector<std::string> words;
  for (const std::string& flag : flags) {
    for (std::size_t begin = 0; begin <= flag.size();) {
      const std::size_t end = std::min(flag.find(',', begin), flag.size());
      if (end > begin) words.push_back(flag.substr(begin, end - begin));
      begin = end + 1;
    }
  }
  return words;
}

}  // namespace

Status Evaluate(const EvaluateSpec& spec, const LoadModule& load, const std::function<bool()>& stop, std::FILE* out) {
  const auto begun = Clock::now();
  TRIBUTARY_TRY(CheckPlace("--json", spec.json, /*replaced=*/true));
  TRIBUTARY_TRY(CheckPlace("--samples", spec.samples, /*replaced=*/false));
  TRIBUTARY_ASSIGN(const auto subjects, evaluation::ReadQuestions(spec.questions, spec.which));
  train::ModelSpec wishes;
  wishes.quantization = spec.quantization;
  wishes.device = train::Device::kAuto;
  TRIBUTARY_ASSIGN(const OpenedModel opened, OpenModel(spec.directory, spec.base, wishes, load));
  // Not before: an earlier evaluation's samples outlive a wrong path.
  Samples samples;
  TRIBUTARY_TRY(samples.Open(spec.samples));
  std::uint64_t total = 0;
  std::string unknown;
  for (const evaluation::Subject& subject : subjects) {
    total += subject.questions.size();
    if (!subject.known) unknown += (unknown.empty() ? "" : ", ") + subject.name;
  }
  if (!unknown.empty()) fmt::print(stderr, "none of MMLU's subjects, counted as other: {}\n", unknown);

  evaluation::Report report(spec.how.likelihood, spec.how.letter);
  ProgressLine progress(spec.progress, total);
  TRIBUTARY_TRY(Print(report.Heading(), out));
  std::uint64_t done = 0;
  for (const evaluation::Subject& subject : subjects) {
    evaluation::Counts counts;
    for (std::size_t i = 0; i < subject.questions.size(); ++i) {
      const evaluation::Question& question = subject.questions[i];
      const auto answer = evaluation::Ask(*opened.model, *opened.tokenizer, subject, question, spec.how, stop);
      if (!answer.ok()) {
        progress.Clear();
        if (answer.error().code() == Code::kCancelled) return MakeError(Code::kCancelled, "stopped after {} of {} questions", done, total);
        return answer.error().Wrap(fmt::format("question {} of {}", i + 1, subject.name));
      }
      counts.Add(*answer, question.answer, spec.how.shots);
      TRIBUTARY_TRY(samples.Write(subject, i, *answer, spec.how));
      progress.Show(subject.name, ++done);
    }
    progress.Clear();
    report.Add(subject.name, subject.category, counts);
    TRIBUTARY_TRY(Print(report.LastLine(), out));
  }
  TRIBUTARY_TRY(Print(report.Summary(), out));
  if (spec.json.empty()) return Ok();
  return WriteFigures(spec, report, std::chrono::duration<double>(Clock::now() - begun).count());
}

int EvaluateMain(int argc, char** argv) {
  config::Options options("tributary evaluate", "puts multiple-choice questions to a model, as MMLU does");
  options.Group("Evaluate");
  options.AddPositional("model-dir", "a directory with config.json and model.safetensors, or with PEFT's adapters");
  options.AddString("base", "", "where the base of an adapter lies (default: where its adapter_config.json says)");
  options.AddChoice("quantization", "none", {"none", "nf4", "nf4-double"}, "of the base of an adapter: 4-bit NormalFloat, as in training");
  options.AddString("mmlu", "", "the directory of questions: test/SUBJECT_test.csv and dev/SUBJECT_dev.csv, or test.jsonl and dev.jsonl");
  options.Require("mmlu");
  options.AddStrings("subjects", "only these, apart by commas: subjects, or stem, social_sciences, humanities, other");
  options.AddChoice("prompt", "lm-eval", {"lm-eval", "original", "flowertune"}, "whose text asks a question: docs/evaluation.md");
  options.AddUint("shots", 5, "examples in front of a question; flowertune has none", 0, 100);
  options.AddUint("limit", 0, "the first questions of each subject, at most; 0: all");
  options.AddChoice("method", "both", {"both", "likelihood", "letter"}, "the likeliest of the letters, or the one that the model writes; both take twice the time");
  options.AddUint("threads", 0, "threads of the computation; 0: one for each processor", 0, 256);
  options.AddString("json", "", "where the figures are written");
  options.AddString("samples", "", "where each answer is written as it comes, a JSON object a line");
  options.AddBool("no-progress", false, "show no progress");
  if (const auto code = options.ParseOrExitCode(argc, argv, environ)) return *code;
  const auto fail = [](const std::string& message, int code) {
    fmt::print(stderr, "tributary evaluate: {}\n", message);
    return code;
  };
  EvaluateSpec spec;
  spec.directory = options.String("model-dir");
  spec.base = options.String("base");
  if (options.String("quantization") == "nf4") spec.quantization = train::Quantization::kNf4;
  if (options.String("quantization") == "nf4-double") spec.quantization = train::Quantization::kNf4Double;
  spec.questions = options.String("mmlu");
  if (options.String("prompt") == "original") spec.how.style = evaluation::PromptStyle::kOriginal;
  if (options.String("prompt") == "flowertune") spec.how.style = evaluation::PromptStyle::kFlowerTune;
  const bool flowertune = spec.how.style == evaluation::PromptStyle::kFlowerTune;
  if (flowertune && options.Given("shots") && options.Uint("shots") > 0) {
    return fail("--prompt flowertune has no examples; leave --shots away", config::kExitUsage);
  }
  spec.how.shots = flowertune ? 0 : static_cast<std::uint32_t>(options.Uint("shots"));
  spec.how.likelihood = options.String("method") != "letter";
  spec.how.letter = options.String("method") != "likelihood";
  spec.how.threads = options.Uint("threads") > 0 ? static_cast<std::uint32_t>(options.Uint("threads")) : std::max(1u, std::thread::hardware_concurrency());
  spec.which = {.shots = spec.how.shots, .limit = options.Uint("limit"), .only = Words(options.Strings("subjects"))};
  spec.json = options.String("json");
  spec.samples = options.String("samples");
  spec.progress = !options.Flag("no-progress");
  memory::TuneMalloc(kBudget);
  // The training module, loaded later, begins with what these say; generating has no number of its own.
  const std::string threads = std::to_string(spec.how.threads);
  for (const char* name : {"OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"}) setenv(name, threads.c_str(), 1);
  std::signal(SIGINT, OnSignal);
  std::signal(SIGTERM, OnSignal);
  const Status evaluated = Evaluate(spec, [] { return train::LoadTrainModule(); }, [] { return g_signal != 0; }, stdout);
  return evaluated.ok() ? config::kExitDone : fail(evaluated.error().message(), config::kExitFailed);
}

}  // namespace tributary::trainer
