#include "tributary/evaluation/questions.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <string_view>

#include "tributary/base/suggest.h"
#include "tributary/corpus/records.h"
#include "tributary/json/json.h"

namespace tributary::evaluation {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kLayout =
    "expected DIR/test/SUBJECT_test.csv and DIR/dev/SUBJECT_dev.csv, or DIR/test.jsonl and "
    "DIR/dev.jsonl";

using BySubject = std::map<std::string, std::vector<Question>>;

Error At(const corpus::DataFile& file, std::uint64_t line, std::string_view what) {
  return MakeError(Code::kInvalidArgument, "{}:{}: {}", file.path, line, what);
}

// Of another file's text, which may be anything: what of it an error shows.
std::string Shown(std::string_view text) {
  constexpr std::size_t kMost = 40;
  std::string shown;
  for (const char c : text.substr(0, kMost)) shown += c >= 0x20 && c < 0x7f ? c : '?';
  return text.size() > kMost ? shown + "..." : shown;
}

std::optional<std::size_t> LetterIndex(std::string_view answer) {
  if (answer.size() == 1 && answer[0] >= 'A' && answer[0] <= 'D') return answer[0] - 'A';
  return std::nullopt;
}

bool Blank(std::string_view text) {
  return text.find_first_not_of(" \t\r\n") == std::string_view::npos;
}

// Subjects become words of prompts and of tables: a file's name or key is not taken for one as it is.
Status CheckSubject(std::string_view subject) {
  constexpr std::size_t kMost = 100;
  const bool plain = std::all_of(subject.begin(), subject.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-' || c == '.';
  });
  if (!subject.empty() && subject.size() <= kMost && plain) return Ok();
  return MakeError(Code::kInvalidArgument,
                   "'{}' is no name of a subject; expected letters, digits and '_', as in "
                   "abstract_algebra",
                   Shown(subject));
}

// What is read of one split.
class Split {
 public:
  Split(std::string name, const QuestionOptions& options)
      : name_(std::move(name)), options_(options) {}

  Status Read(const fs::path& directory) {
    std::error_code ec;
    bool any = false;
    for (const char* ending : {".jsonl", ".json"}) {
      const fs::path file = directory / (name_ + ending);
      if (!fs::is_regular_file(file, ec)) continue;
      any = true;
      TRIBUTARY_TRY(ReadFile(file));
    }
    const fs::path folder = directory / name_;
    if (fs::is_directory(folder, ec)) {
      any = true;
      TRIBUTARY_TRY(ReadFolder(folder));
    }
    if (any) return Ok();
    return MakeError(Code::kNotFound, "{} has neither {} nor {}.jsonl; {}", directory.string(),
                     name_, name_, kLayout);
  }

  BySubject& subjects() { return subjects_; }
  // Those that were passed over too.
  const std::set<std::string>& seen() const { return seen_; }

 private:
  Status ReadFolder(const fs::path& folder) {
    std::vector<fs::path> files;
    std::error_code ec;
    for (fs::directory_iterator entry(folder, ec), end; !ec && entry != end; entry.increment(ec)) {
      const std::string extension = entry->path().extension().string();
      const bool ours = extension == ".csv" || extension == ".jsonl" || extension == ".json";
      if (ours && entry->path().filename().string()[0] != '.') files.push_back(entry->path());
    }
    if (ec) return ErrnoError(ec.value(), "reading " + folder.string());
    std::sort(files.begin(), files.end());
    for (const fs::path& file : files) TRIBUTARY_TRY(ReadFile(file));
    return Ok();
  }

  Status ReadFile(const fs::path& path) {
    TRIBUTARY_ASSIGN(const auto file, corpus::DescribeFile(path.string()));
    const std::string tail = "_" + name_;
    std::string subject = path.stem().string();
    const bool named = subject.ends_with(tail) && subject.size() > tail.size();
    subject = named ? subject.substr(0, subject.size() - tail.size()) : std::string();
    if (path.extension() == ".csv") {
      if (!named) {
        return MakeError(Code::kInvalidArgument, "{} has no subject in its name; expected SUBJECT{}.csv",
                         file.path, tail);
      }
      if (const auto checked = CheckSubject(subject); !checked.ok()) {
        return checked.error().Wrap(file.path);
      }
      if (!Wanted(subject)) return Ok();
      return corpus::EachCsvRow(file, [&](const std::vector<std::string>& fields, std::uint64_t line) {
        return TakeRow(file, subject, fields, line);
      });
    }
    return corpus::EachJsonRecord(file, [&](std::string_view record, std::uint64_t line) {
      return TakeRecord(file, subject, record, line);
    });
  }

  Result<bool> TakeRow(const corpus::DataFile& file, const std::string& subject,
                       const std::vector<std::string>& fields, std::uint64_t line) {
    constexpr std::size_t kFields = kChoices + 2;
    if (fields.size() != kFields) {
      return At(file, line,
                fmt::format("expected 6 fields (question, A, B, C, D, answer), there are {}",
                            fields.size()));
    }
    const auto answer = LetterIndex(fields.back());
    if (!answer) {
      return At(file, line,
                fmt::format("the answer has to be A, B, C or D, and is '{}'{}", Shown(fields.back()),
                            fields.back() == "answer" ? "; files have no header row" : ""));
    }
    Question question{fields[0], {}, *answer};
    std::copy_n(fields.begin() + 1, kChoices, question.choices.begin());
    return Keep(file, line, subject, std::move(question));
  }

  Result<bool> TakeRecord(const corpus::DataFile& file, const std::string& file_subject,
                          std::string_view text, std::uint64_t line) {
    const std::string place = fmt::format("{}:{}", file.path, line);
    TRIBUTARY_ASSIGN(const Json record, ParseJson(text, place));
    if (!record.is_object()) return At(file, line, "expected an object");
    Question question;
    TRIBUTARY_ASSIGN(question.text, GetString(record, "question", place));
    const auto choices = record.find("choices");
    if (choices == record.end() || !choices->is_array() || choices->size() != kChoices ||
        !std::all_of(choices->begin(), choices->end(), [](const Json& c) { return c.is_string(); })) {
      return At(file, line, "'choices' has to be a list of 4 texts");
    }
    for (std::size_t i = 0; i < kChoices; ++i) question.choices[i] = (*choices)[i];
    const auto answer = record.find("answer");
    std::optional<std::size_t> index;
    if (answer != record.end() && answer->is_string()) {
      index = LetterIndex(answer->get_ref<const std::string&>());
    } else if (answer != record.end() && answer->is_number_integer() && *answer >= 0 &&
               *answer < static_cast<int>(kChoices)) {
      index = answer->get<std::size_t>();
    }
    if (!index) return At(file, line, "'answer' has to be 0, 1, 2 or 3, or A, B, C or D");
    question.answer = *index;
    std::string subject = file_subject;
    if (record.contains("subject") || subject.empty()) {
      TRIBUTARY_ASSIGN(subject, GetString(record, "subject", place));
    }
    if (const auto checked = CheckSubject(subject); !checked.ok()) {
      return checked.error().Wrap(place);
    }
    return Wanted(subject) ? Keep(file, line, subject, std::move(question)) : true;
  }

  Result<bool> Keep(const corpus::DataFile& file, std::uint64_t line, const std::string& subject,
                    Question question) {
    if (Blank(question.text)) return At(file, line, "the question is empty");
    auto& questions = subjects_[subject];
    if (options_.limit > 0 && questions.size() >= options_.limit) return true;
    bytes_ += sizeof question + question.text.size();
    for (const std::string& choice : question.choices) bytes_ += choice.size();
    if (bytes_ > kMaxQuestionBytes) {
      return At(file, line, fmt::format("more than {} bytes of questions; --subjects takes some of "
                                        "them, --limit the first of each", kMaxQuestionBytes));
    }
    questions.push_back(std::move(question));
    return true;
  }

  bool Wanted(const std::string& subject) {
    seen_.insert(subject);
    if (options_.only.empty()) return true;
    const std::string category(CategoryName(CategoryOf(subject).value_or(Category::kOther)));
    return std::any_of(options_.only.begin(), options_.only.end(),
                       [&](const std::string& word) { return word == subject || word == category; });
  }

  const std::string name_;
  const QuestionOptions options_;
  BySubject subjects_;
  std::set<std::string> seen_;
  std::uint64_t bytes_ = 0;
};

// Each word of --subjects has to have chosen something.
Status CheckChosen(const QuestionOptions& options, const std::set<std::string>& seen,
                   const std::string& directory) {
  for (const std::string& word : options.only) {
    const auto category = FindCategory(word);
    const bool found = std::any_of(seen.begin(), seen.end(), [&](const std::string& subject) {
      return subject == word ||
             (category && CategoryOf(subject).value_or(Category::kOther) == *category);
    });
    if (found) continue;
    std::vector<std::string> names(seen.begin(), seen.end());
    for (const Category known : kCategories) names.emplace_back(CategoryName(known));
    return MakeError(Code::kNotFound, "{} has no questions of '{}'{}", directory, Shown(word),
                     DidYouMean(word, names));
  }
  return Ok();
}

}  // namespace

Result<std::vector<Subject>> ReadQuestions(const std::string& directory,
                                           const QuestionOptions& options) {
  std::error_code ec;
  if (!fs::is_directory(directory, ec)) {
    return MakeError(Code::kNotFound, "{} is no directory; {}", directory, kLayout);
  }
  Split test("test", options);
  TRIBUTARY_TRY(test.Read(directory));
  TRIBUTARY_TRY(CheckChosen(options, test.seen(), directory));
  QuestionOptions example_options = options;
  example_options.limit = options.shots;
  Split dev("dev", example_options);
  if (options.shots > 0) {
    if (const auto read = dev.Read(directory); !read.ok()) {
      if (read.error().code() != Code::kNotFound) return read.error();
      return read.error().Wrap(fmt::format("no examples for --shots {} (0 asks without)", options.shots));
    }
  }
  std::vector<Subject> subjects;
  for (auto& [name, questions] : test.subjects()) {
    if (questions.empty()) continue;
    const auto category = CategoryOf(name);
    Subject subject{name, category.value_or(Category::kOther), category.has_value(), {}, std::move(questions)};
    if (options.shots > 0) {
      subject.examples = std::move(dev.subjects()[name]);
      if (subject.examples.size() < options.shots) {
        return MakeError(Code::kNotFound,
                         "{}/dev has {} examples of {}, and --shots asks for {}; add them or lower "
                         "--shots",
                         directory, subject.examples.size(), name, options.shots);
      }
    }
    subjects.push_back(std::move(subject));
  }
  if (subjects.empty()) {
    return MakeError(Code::kNotFound, "{} has no questions in test; {}", directory, kLayout);
  }
  return subjects;
}

}  // namespace tributary::evaluation
