#include "tributary/modeldir/tokenizer_files.h"

#include <algorithm>
#include <filesystem>
#include <optional>
#include <string_view>
#include <vector>

#include "new_file.h"
#include "put_once.h"
#include "tributary/objects/stream.h"

namespace tributary::modeldir {
namespace {

namespace fs = std::filesystem;

constexpr const char* kNames[] = {"tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.json",
                                  "merges.txt",     "encoder.json",          "vocab.bpe",               "generation_config.json"};
constexpr const char* kConfig = "config.json";
constexpr std::string_view kSuffix = ".tokenizer";
// The same words as of a directory that was put, so that `tributary get` writes it, too.
constexpr const char* kInfo = R"({"format":"tributary files 1","kind":"directory"})";

class FilesSink final : public objects::Sink {
 public:
  FilesSink(std::string object, const std::string& directory, Fetched which)
      : object_(std::move(object)), directory_(directory), which_(which) {}

  Status Begin(const std::vector<tensor::TensorSpec>& entries, const std::string& info) override {
    if (info != kInfo) return MakeError(Code::kInvalidArgument, "{} is no tokenizer that an import made", object_);
    for (const tensor::TensorSpec& entry : entries) {
      const auto known = [&entry](const char* name) { return entry.name == name; };
      if (!std::ranges::any_of(kNames, known) && entry.name != kConfig) {
        return MakeError(Code::kInvalidArgument, "{} holds '{}', which is no file of a tokenizer", object_, entry.name.substr(0, 64));
      }
      if (entry.dtype != tensor::DType::kU8 || entry.shape.size() != 1 || entry.shape[0] > kMaxTokenizerFileBytes) {
        return MakeError(Code::kInvalidArgument, "{}: {} is no file of at most {}", object_, entry.name, FormatBytes(kMaxTokenizerFileBytes));
      }
    }
    entries_ = entries;
    return Ok();
  }
  Status Write(std::uint32_t entry, std::uint64_t offset, std::span<const std::byte> bytes) override {
    if (which_ == Fetched::kBesideAModel && entries_[entry].name == kConfig) return Ok();
    if (entry != open_) {
      TRIBUTARY_TRY(Close());
      TRIBUTARY_ASSIGN(file_, NewFile::Make((fs::path(directory_) / entries_[entry].name).string()));
      open_ = entry;
    }
    return file_->WriteAt(bytes, offset);
  }
  Status Finish() override {
    TRIBUTARY_TRY(Close());
    return SyncDirectory(directory_);
  }

 private:
  Status Close() {
    if (!file_) return Ok();
    const Status synced = file_->Sync();
    file_.reset();
    return synced;
  }

  const std::string object_;
  const std::string directory_;
  const Fetched which_;
  std::vector<tensor::TensorSpec> entries_;
  std::optional<NewFile> file_;
  std::uint32_t open_ = ~0u;
};

}  // namespace

std::span<const char* const> TokenizerFileNames() { return kNames; }

Result<std::string> ImportTokenizer(blob::BlobStore& store, const ModelDirectory& directory, const ObjectName& model, const ImportOptions& options) {
  if (!directory.has_tokenizer) return std::string();
  std::vector<StoredWeight> files;
  std::vector<std::string> names(std::begin(kNames), std::end(kNames));
  names.push_back(kConfig);
  for (const std::string& name : names) {
    const std::string path = directory.path + "/" + name;
    std::error_code ec;
    if (!fs::is_regular_file(path, ec)) continue;
    const auto bytes = fs::file_size(path, ec);
    if (ec) return ErrnoError(ec.value(), "looking at " + path);
    if (bytes > kMaxTokenizerFileBytes) {
      return MakeError(Code::kInvalidArgument, "{} has {}: files of a tokenizer have at most {}", path, FormatBytes(bytes),
                       FormatBytes(kMaxTokenizerFileBytes));
    }
    if (bytes > 0) files.push_back({objects::ByteEntry(name, bytes), path, 0, bytes});
  }
  auto object = ObjectName::Parse(model.str() + std::string(kSuffix));
  if (!object.ok()) return object.error().Wrap("the tokenizer's object has '.tokenizer' after the model's name; tributary model import DIR --name models/NAME gives a shorter one");
  wire::ObjectSpec spec;
  spec.kind = wire::ObjectKind::kOther;
  spec.chunk_bytes = options.chunk_bytes;
  spec.info = kInfo;
  std::vector<const StoredWeight*> entries;
  for (const StoredWeight& file : files) {
    spec.tensors.push_back(file.spec);
    entries.push_back(&file);
  }
  ImportOptions quiet = options;
  quiet.progress = nullptr;
  TRIBUTARY_ASSIGN(const std::string digest, PutOnce(store, *object, spec, entries, {"tokenizer", directory.path}, quiet));
  return object->str() + "@" + digest;
}

Result<std::string> FindTokenizer(blob::BlobStore& store, const ObjectName& model) {
  const auto object = ObjectName::Parse(model.str() + std::string(kSuffix));
  if (!object.ok()) return std::string();  // longer than a name may be: no import made one
  const auto info = store.Stat(*object);
  if (!info.ok() && info.error().code() == Code::kNotFound) return std::string();
  if (!info.ok()) return info.error();
  if (!info->sealed) return MakeError(Code::kUnavailable, "{} is not sealed yet; let its import end, or import again", object->str());
  TRIBUTARY_ASSIGN(const wire::ObjectSpec spec, store.Spec(*object));
  if (spec.info != kInfo) return MakeError(Code::kInvalidArgument, "{} is no tokenizer that an import made", object->str());
  return object->str() + "@" + info->digest;
}

Status FetchTokenizer(blob::BlobStore& store, const std::string& object, const std::string& directory, Fetched which, std::stop_token stop) {
  const std::size_t at = object.find('@');
  if (at == std::string::npos) return MakeError(Code::kInvalidArgument, "tokenizer '{}': expected NAME@DIGEST", object);
  TRIBUTARY_ASSIGN(const auto name, ObjectName::Parse(object.substr(0, at)));
  FilesSink sink(name.str(), directory, which);
  objects::GetOptions get;
  get.digest = object.substr(at + 1);
  get.stop = stop;
  const auto fetched = objects::Get(store, name, sink, get);
  return fetched.ok() ? Ok() : Status(fetched.error().Wrap("the tokenizer"));
}

}  // namespace tributary::modeldir
