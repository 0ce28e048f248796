#include "token_cache.h"

#include <stdlib.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <utility>
#include <vector>

#include "tributary/base/log.h"
#include "tributary/base/units.h"
#include "tributary/digest/digest.h"
#include "tributary/json/json.h"

namespace tributary::corpus {
namespace fs = std::filesystem;
namespace {

constexpr int kVersion = 1;  // of the files and of how text becomes tokens
// Partitions whose files are kept, this one included: jobs that take turns at one trainer.
constexpr std::size_t kKept = 4;
constexpr const char* kUnfinished = ".new";
constexpr const char* kSummary = "/summary.json";

// Removed with all that is in it, unless it was released.
class Building {
 public:
  explicit Building(std::string path) : path_(std::move(path)) {}
  ~Building() {
    std::error_code ec;
    if (!path_.empty()) fs::remove_all(path_, ec);
  }
  Building(const Building&) = delete;
  Building& operator=(const Building&) = delete;
  const std::string& path() const { return path_; }
  void Release() { path_.clear(); }

 private:
  std::string path_;
};

std::string KeyOf(const CorpusOptions& o, const TokenForm& form, const DocumentSource& source,
                  const text::Tokenizer& tokenizer) {
  const std::string text = fmt::format(
      "{}\n{}\n{}\n{}\n{}\n{}\n{}\n{}\n{}\n{}\n{}\n{}\n{}\n{}\n{}\n{}\n{}\n{}\n{}\n", kVersion,
      o.path, o.format, static_cast<int>(o.scheme), o.partition, o.partitions, o.seed, o.alpha,
      o.validation_fraction, o.samples, o.text_key.value_or(""), form.packing, form.mark_prompts,
      // What packed files hold does not follow from the length of their windows.
      form.packing ? 0 : form.max_length, form.with_validation, tokenizer.VocabularySize(),
      tokenizer.EndOfText(), o.tokenizer_key, source.Fingerprint());
  return digest::Hex(digest::ComputeSha256(std::as_bytes(std::span(text))));
}

OrderedJson JsonOf(const TokenCounts& counts) {
  OrderedJson json;
  json["tokens"] = counts.tokens;
  json["rows"] = counts.rows;
  return json;
}

Result<TokenCounts> CountsOf(const Json& summary, const std::string& part) {
  const auto it = summary.find(part);
  if (it == summary.end() || !it->is_object()) {
    return MakeError(Code::kDataLoss, "summary.json has no '{}'", part);
  }
  TRIBUTARY_ASSIGN(const std::int64_t tokens, GetInt(*it, "tokens", part));
  TRIBUTARY_ASSIGN(const std::int64_t rows, GetInt(*it, "rows", part));
  if (tokens < 0 || rows < 0) return MakeError(Code::kDataLoss, "summary.json: '{}'", part);
  return TokenCounts{static_cast<std::uint64_t>(tokens), static_cast<std::uint64_t>(rows)};
}

Result<PartitionTokens> OpenFiles(const std::string& directory, unsigned width,
                                  const TokenCounts& training, const TokenCounts& validation) {
  PartitionTokens tokens;
  TRIBUTARY_ASSIGN(tokens.training, TokenFile::Open(directory + "/training", width, training));
  TRIBUTARY_ASSIGN(tokens.validation,
                   TokenFile::Open(directory + "/validation", width, validation));
  return tokens;
}

// What an earlier life left; an error where there is nothing that can be used.
Result<PartitionTokens> Reopen(const std::string& directory, const std::string& key,
                               unsigned width) {
  TRIBUTARY_ASSIGN(const Json summary, ReadJsonFile(directory + kSummary, 64u << 10));
  TRIBUTARY_ASSIGN(const std::string stored, GetString(summary, "key", "summary.json"));
  if (stored != key) return MakeError(Code::kDataLoss, "{}: belongs to other data", directory);
  TRIBUTARY_ASSIGN(const auto training, CountsOf(summary, "training"));
  TRIBUTARY_ASSIGN(const auto validation, CountsOf(summary, "validation"));
  TRIBUTARY_ASSIGN(const std::int64_t left_out, GetInt(summary, "left_out", "summary.json"));
  TRIBUTARY_ASSIGN(auto tokens, OpenFiles(directory, width, training, validation));
  tokens.left_out = static_cast<std::uint64_t>(left_out);
  return tokens;
}

Result<PartitionTokens> Build(const std::string& directory, const std::string& key,
                              const CorpusOptions& options, const TokenForm& form,
                              const DocumentSource& source, const text::Tokenizer& tokenizer) {
  TRIBUTARY_ASSIGN(const auto sink,
                   TokenSink::Create(directory, form, tokenizer, options.on_progress));
  TRIBUTARY_TRY(source.Deliver(*sink));
  TRIBUTARY_TRY(sink->Finish());
  const TokenCounts training = sink->counts(Part::kTraining);
  const TokenCounts validation = sink->counts(Part::kValidation);
  OrderedJson summary;
  summary["key"] = key;
  summary["training"] = JsonOf(training);
  summary["validation"] = JsonOf(validation);
  summary["left_out"] = sink->left_out();
  TRIBUTARY_TRY(WriteJsonFile(directory + kSummary, summary));
  TRIBUTARY_ASSIGN(auto tokens, OpenFiles(directory, form.Width(tokenizer), training, validation));
  tokens.left_out = sink->left_out();
  return tokens;
}

Result<PartitionTokens> BuildUnnamed(const CorpusOptions& options, const TokenForm& form,
                                     const DocumentSource& source,
                                     const text::Tokenizer& tokenizer) {
  std::error_code ec;
  const fs::path root = fs::temp_directory_path(ec);
  if (ec) return ErrnoError(ec.value(), "the directory for temporary files (TMPDIR)");
  std::string pattern = (root / "tributary-tokens-XXXXXX").string();
  if (mkdtemp(pattern.data()) == nullptr) return ErrnoError(errno, pattern);
  // The files live on while they are open.
  const Building building(pattern);
  return Build(building.path(), "", options, form, source, tokenizer);
}

// Makes room for one more: all but the newest that are whole go, and so does what is at `home`.
void RemoveOld(const fs::path& root, const fs::path& home) {
  std::vector<std::pair<fs::file_time_type, fs::path>> whole;
  std::error_code ec;
  for (fs::directory_iterator it(root, ec), end; !ec && it != end; it.increment(ec)) {
    std::error_code entry_ec;
    if (it->path().extension() == kUnfinished || it->path() == home) {
      fs::remove_all(it->path(), entry_ec);
    } else {
      whole.emplace_back(fs::last_write_time(it->path(), entry_ec), it->path());
    }
  }
  std::sort(whole.begin(), whole.end());
  for (std::size_t i = 0; i + kKept <= whole.size(); ++i) fs::remove_all(whole[i].second, ec);
}

}  // namespace

Result<PartitionTokens> OpenTokens(const CorpusOptions& options, const TokenForm& form,
                                   const DocumentSource& source, const text::Tokenizer& tokenizer) {
  if (options.cache_directory.empty()) return BuildUnnamed(options, form, source, tokenizer);
  const std::string key = KeyOf(options, form, source, tokenizer);
  const fs::path root = options.cache_directory;
  const fs::path home = root / key.substr(0, 32);
  std::error_code ec;
  fs::create_directories(root, ec);
  if (ec) return ErrnoError(ec.value(), root.string());
  if (auto tokens = Reopen(home.string(), key, form.Width(tokenizer)); tokens.ok()) {
    fs::last_write_time(home, fs::file_time_type::clock::now(), ec);
    return tokens;
  }
  RemoveOld(root, home);
  Building building(home.string() + kUnfinished);
  fs::create_directory(building.path(), ec);
  if (ec) return ErrnoError(ec.value(), building.path());
  TRIBUTARY_ASSIGN(auto tokens, Build(building.path(), key, options, form, source, tokenizer));
  fs::rename(building.path(), home, ec);
  if (ec) return ErrnoError(ec.value(), "renaming " + building.path());
  building.Release();
  return tokens;
}

}  // namespace tributary::corpus
