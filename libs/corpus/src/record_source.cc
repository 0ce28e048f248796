// alpaca, jsonl and csv: a document or a pair of prompt and completion for each record.
#include <algorithm>
#include <functional>
#include <optional>
#include <utility>
#include <vector>

#include "alpaca.h"
#include "sources.h"
#include "tributary/corpus/records.h"
#include "tributary/json/json.h"
#include "tributary/text/utf8.h"

namespace tributary::corpus {
namespace {

constexpr const char* kText = "text";
constexpr const char* kPrompt = "prompt";
constexpr const char* kCompletion = "completion";

struct Document {
  std::string prompt;  // of a pair
  std::string text;
};

Error Bad(const DataFile& file, std::uint64_t line, const std::string& what) {
  return MakeError(Code::kInvalidArgument, "{}:{}: {}", file.path, line, what);
}

bool IsText(const Json& record, const std::string& key) {
  const auto it = record.find(key);
  return it != record.end() && it->is_string();
}

Result<Json> ParseRecord(const DataFile& file, std::string_view text, std::uint64_t line) {
  TRIBUTARY_ASSIGN(auto record, ParseJson(text::ReplaceInvalidUtf8(text),
                                          fmt::format("{}:{}", file.path, line)));
  if (!record.is_object()) return Bad(file, line, "expected an object {...}");
  return record;
}

Result<std::string> TextOf(const DataFile& file, std::uint64_t line, const Json& record,
                           const std::string& key, const std::string& remedy) {
  if (IsText(record, key)) return record[key].get<std::string>();
  return Bad(file, line, fmt::format("the record has no text '{}'{}", key, remedy));
}

Result<Document> AlpacaDocument(const DataFile& file, std::uint64_t line, const Json& record) {
  const std::string remedy = "; format alpaca has instruction, input and output";
  TRIBUTARY_ASSIGN(const auto instruction, TextOf(file, line, record, "instruction", remedy));
  TRIBUTARY_ASSIGN(auto output, TextOf(file, line, record, "output", remedy));
  std::string input;
  if (const auto it = record.find("input"); it != record.end() && !it->is_null()) {
    TRIBUTARY_ASSIGN(input, TextOf(file, line, record, "input", remedy));
  }
  return Document{AlpacaPrompt(instruction, input), std::move(output)};
}

// The columns of a CSV file that make a document.
struct Columns {
  std::size_t text = 0;
  std::size_t prompt = 0;
};

class RecordSource final : public DocumentSource {
 public:
  RecordSource(const CorpusOptions& options, std::vector<DataFile> files)
      : options_(options), text_key_(options.text_key.value_or(kText)), files_(std::move(files)) {}

  // The first record says whether all of them are pairs.
  Status LookAtFirst() {
    if (options_.format == "alpaca") {
      pairs_ = true;
      return Ok();
    }
    if (options_.format == "csv") {
      return EachCsvRow(files_[0],
                        [&](const std::vector<std::string>& names, std::uint64_t) -> Result<bool> {
                          const auto has = [&](const std::string& name) {
                            return std::count(names.begin(), names.end(), name) > 0;
                          };
                          pairs_ = !options_.text_key && !has(text_key_) && has(kPrompt) && has(kCompletion);
                          return false;
                        });
    }
    return EachJsonRecord(files_[0],
                          [&](std::string_view text, std::uint64_t line) -> Result<bool> {
                            TRIBUTARY_ASSIGN(const Json record, ParseRecord(files_[0], text, line));
                            pairs_ = !options_.text_key && !record.contains(text_key_) &&
                                     IsText(record, kPrompt) && IsText(record, kCompletion);
                            return false;
                          });
  }

  bool pairs() const override { return pairs_; }
  std::string Fingerprint() const override { return FingerprintOf(files_); }

  Status Deliver(DocumentSink& sink) const override {
    Population population;
    for (const DataFile& file : files_) {
      std::uint64_t records = 0;
      TRIBUTARY_TRY(Each(file, [&](const Parse&) -> Result<bool> {
        ++records;
        return true;
      }));
      population.per_file.push_back(records);
      population.items += records;
    }
    if (options_.scheme == PartitionScheme::kByFile) {
      population.owner = DealFiles(files_, options_.partitions, options_.seed);
    }
    const std::uint64_t items = population.items;
    Dealer dealer(options_, std::move(population));
    bool any = false;
    for (std::uint32_t i = 0; i < files_.size(); ++i) {
      TRIBUTARY_TRY(Each(files_[i], [&](const Parse& parse) -> Result<bool> {
        const auto part = dealer.Next(i, 0);
        if (!part || (*part == Part::kValidation && !options_.with_validation)) return true;
        any = any || *part == Part::kTraining;
        TRIBUTARY_ASSIGN(const Document document, parse());
        TRIBUTARY_TRY(Hand(*part, document, sink));
        return true;
      }));
    }
    return any ? Ok() : Status(EmptyPartition(options_, "record to train on", items));
  }

 private:
  using Parse = std::function<Result<Document>()>;

  static Status Hand(Part part, const Document& document, DocumentSink& sink) {
    if (!document.prompt.empty()) return sink.AddPair(part, document.prompt, document.text);
    TRIBUTARY_TRY(sink.Add(part, document.text));
    return sink.End(part);
  }

  // Goes through the records of a file; `take` may parse each, or let it pass.
  Status Each(const DataFile& file, const std::function<Result<bool>(const Parse&)>& take) const {
    if (options_.format == "csv") return EachRow(file, take);
    return EachJsonRecord(file, [&](std::string_view text, std::uint64_t line) {
      return take([&, text, line]() -> Result<Document> {
        TRIBUTARY_ASSIGN(const Json record, ParseRecord(file, text, line));
        if (options_.format == "alpaca") return AlpacaDocument(file, line, record);
        Document document;
        if (pairs_) {
          TRIBUTARY_ASSIGN(document.prompt,
                           TextOf(file, line, record, kPrompt, ", as the first has"));
          TRIBUTARY_ASSIGN(document.text,
                           TextOf(file, line, record, kCompletion, ", as the first has"));
        } else {
          TRIBUTARY_ASSIGN(document.text,
                           TextOf(file, line, record, text_key_,
                                  "; say data.text_key, or give prompt and completion"));
        }
        return document;
      });
    });
  }

  Status EachRow(const DataFile& file,
                 const std::function<Result<bool>(const Parse&)>& take) const {
    std::optional<Columns> columns;
    return EachCsvRow(
        file, [&](const std::vector<std::string>& fields, std::uint64_t line) -> Result<bool> {
          if (!columns) {
            TRIBUTARY_ASSIGN(columns, FindColumns(file, fields, line));
            return true;
          }
          return take([&]() -> Result<Document> {
            Document document;
            if (pairs_) document.prompt = text::ReplaceInvalidUtf8(fields[columns->prompt]);
            document.text = text::ReplaceInvalidUtf8(fields[columns->text]);
            return document;
          });
        });
  }

  Result<std::optional<Columns>> FindColumns(const DataFile& file,
                                             const std::vector<std::string>& names,
                                             std::uint64_t line) const {
    const auto find = [&](const std::string& name) -> Result<std::size_t> {
      const auto it = std::find(names.begin(), names.end(), name);
      if (it != names.end()) return static_cast<std::size_t>(it - names.begin());
      std::string all;
      for (const std::string& other : names) all += (all.empty() ? "" : ", ") + other;
      if (all.size() > 200) {
        all.resize(200);
        all += "...";
      }
      return Bad(file, line,
                 fmt::format("no column '{}'; say data.text_key; the columns are {}", name,
                             text::ReplaceInvalidUtf8(all)));
    };
    Columns columns;
    TRIBUTARY_ASSIGN(columns.text, find(pairs_ ? kCompletion : text_key_));
    if (pairs_) {
      TRIBUTARY_ASSIGN(columns.prompt, find(kPrompt));
    }
    return std::optional<Columns>(columns);
  }

  CorpusOptions options_;
  const std::string text_key_;
  std::vector<DataFile> files_;
  bool pairs_ = false;
};

}  // namespace

FileKind RecordKind(const std::string& format) {
  if (format == "csv") return {.what = "*.csv file", .extensions = {".csv"}, .text = true};
  return {.what = "*.json, *.jsonl or *.ndjson file",
          .extensions = {".json", ".jsonl", ".ndjson"},
          .text = true};
}

Result<std::unique_ptr<DocumentSource>> OpenRecords(const CorpusOptions& options) {
  TRIBUTARY_ASSIGN(auto files, ListFiles(options.path, options.name, RecordKind(options.format)));
  auto source = std::make_unique<RecordSource>(options, std::move(files));
  TRIBUTARY_TRY(source->LookAtFirst());
  return std::unique_ptr<DocumentSource>(std::move(source));
}

}  // namespace tributary::corpus
