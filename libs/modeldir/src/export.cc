#include "tributary/modeldir/export.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <functional>
#include <iterator>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "new_file.h"
#include "tributary/json/json.h"
#include "tributary/modeldir/tokenizer_files.h"
#include "tributary/wire/object.h"
#include "weight_files.h"

namespace tributary::modeldir {
namespace {

namespace fs = std::filesystem;

constexpr const char* kGenerationConfig = "generation_config.json";  // comes along, and is no tokenizer by itself
constexpr std::uint64_t kWriteStep = 32u << 20;

// Tensors stand in the files in manifest order, whatever their dtypes; a slot's pieces go to their tensors' places.
Status WriteWeights(blob::BlobStore& store, const ObjectName& object, const tensor::Layout& layout, WeightFiles& files, const ExportProgress& progress,
                    std::stop_token stop) {
  blob::ReadOptions options;
  options.wait = std::chrono::seconds(60);
  options.stop = stop;
  TRIBUTARY_ASSIGN(auto reader, store.Read(blob::SlotsOf(object, layout.all_slots()), options));
  std::uint64_t done = 0;
  for (;;) {
    TRIBUTARY_ASSIGN(const std::optional<blob::Chunk> chunk, reader->Next());
    if (!chunk) break;
    if (chunk->bytes.size() != layout.SlotBytes(chunk->slot)) {
      return MakeError(Code::kDataLoss, "{} slot {}: {} bytes where the layout has {}", object.str(), chunk->slot,
                       chunk->bytes.size(), layout.SlotBytes(chunk->slot));
    }
    for (const tensor::SlotPiece& piece : layout.Pieces(chunk->slot)) {
      TRIBUTARY_TRY(files.Write(piece.tensor, piece.tensor_offset, chunk->bytes.subspan(piece.chunk_offset, piece.bytes)));
    }
    const std::uint64_t before = std::exchange(done, done + chunk->bytes.size());
    if (before / kWriteStep != done / kWriteStep) files.StartWriting();
    if (progress) TRIBUTARY_TRY(progress(done, layout.total_bytes()));
  }
  return Ok();
}

// Whether an object's `info` is PEFT's adapter_config.json: the tensors are adapters.
bool IsAdapter(const std::string& info) {
  const auto json = ParseJson(info, "info");
  return json.ok() && json->is_object() && json->contains("peft_type");
}

// `info` with the base in it where it is adapters' and names none.
std::string NamingBase(const std::string& info, const std::string& base) {
  if (base.empty() || !IsAdapter(info)) return info;
  auto config = OrderedJson::parse(info);  // it was parsed before
  auto& name = config["base_model_name_or_path"];
  if (!name.is_null() && name != "") return info;
  name = base;
  return config.dump(2) + "\n";
}

// A file of an earlier export; whatever else lies in a directory is somebody's and stays.
bool IsOurs(const std::string& name) {
  if (WeightFiles::IsOurs(name) || name == "config.json" || name == "adapter_config.json") return true;
  return std::ranges::any_of(TokenizerFileNames(), [&](const char* file) { return name == file; });
}

// The files of the tokenizer at `path` and their names in an export; kNotFound where there are none.
using NamedFiles = std::vector<std::pair<fs::path, std::string>>;
Result<NamedFiles> FilesOfTokenizer(const std::string& path) {
  NamedFiles files;
  std::error_code ec;
  if (path.empty()) return files;
  if (fs::is_directory(path, ec)) {
    for (const char* name : TokenizerFileNames()) {
      if (fs::is_regular_file(fs::path(path) / name, ec)) files.emplace_back(fs::path(path) / name, name);
    }
  } else if (fs::is_regular_file(path, ec)) {
    files.emplace_back(path, "tokenizer.json");  // whatever it is called there
  }
  const auto makes_tokens = [](const auto& file) { return file.second != kGenerationConfig; };
  if (std::ranges::none_of(files, makes_tokens)) return MakeError(Code::kNotFound, "no tokenizer at {}: give its directory or tokenizer.json", path);
  return files;
}

// That the tokenizer of the store is there, before gigabytes are written. Its bytes are checked when they come.
Status LookForTokenizer(blob::BlobStore& store, const std::string& object) {
  if (object.empty()) return Ok();
  TRIBUTARY_ASSIGN(const auto name, ObjectName::Parse(object.substr(0, object.find('@'))));
  const auto info = store.Stat(name);
  if (info.ok()) return Ok();
  if (info.error().code() != Code::kNotFound) return info.error().Wrap("the tokenizer");
  return MakeError(Code::kNotFound, "the tokenizer {} is not in the store any more; --tokenizer PATH takes the files of a directory in its place", name.str());
}

Status CopyTokenizer(const NamedFiles& files, const fs::path& directory) {
  for (const auto& [file, name] : files) {
    const fs::path target = directory / name;
    std::error_code ec;
    fs::copy_file(file, target, fs::copy_options::overwrite_existing, ec);
    if (ec) return ErrnoError(ec.value(), "copying " + file.string() + " to " + target.string());
    const int fd = open(target.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) return ErrnoError(errno, "opening " + target.string());
    const int synced = fsync(fd);
    const int error = errno;
    close(fd);
    if (synced != 0) return ErrnoError(error, "syncing " + target.string());
  }
  return Ok();
}

// kAlreadyExists if something at `path` is no earlier export.
Status CheckReplaceable(const fs::path& path) {
  std::error_code ec;
  if (!fs::exists(fs::symlink_status(path, ec))) return Ok();
  if (!fs::is_directory(path, ec)) return MakeError(Code::kAlreadyExists, "{} is no directory; give another place", path.string());
  for (fs::directory_iterator entry(path, ec), end; entry != end; entry.increment(ec)) {
    const std::string name = entry->path().filename().string();
    if (!IsOurs(name)) {
      return MakeError(Code::kAlreadyExists, "{} holds other files ({}); give a new directory", path.string(), name);
    }
  }
  return Ok();
}

// Removes an earlier export, if there is one; REQUIRES: CheckReplaceable(path).
Status RemoveEarlier(const fs::path& path) {
  std::error_code ec;
  std::vector<fs::path> ours;
  for (fs::directory_iterator entry(path, ec), end; entry != end; entry.increment(ec)) {
    if (IsOurs(entry->path().filename().string())) ours.push_back(entry->path());
  }
  for (const fs::path& file : ours) fs::remove(file, ec);
  fs::remove(path, ec);
  return ec ? Status(ErrnoError(ec.value(), "replacing " + path.string())) : Ok();
}

// The new export takes the place of the earlier one in one step, so that one of them is there whenever this process dies.
Status Replace(const std::string& fresh, const std::string& target) {
  if (renameat2(AT_FDCWD, fresh.c_str(), AT_FDCWD, target.c_str(), RENAME_EXCHANGE) == 0) return RemoveEarlier(fresh);
  const int error = errno;
  if (error != ENOENT) {
    // A file system that cannot exchange; for a moment there is none.
    if (error != EINVAL && error != ENOSYS && error != EXDEV) return ErrnoError(error, "replacing " + target);
    TRIBUTARY_TRY(RemoveEarlier(target));
  }
  std::error_code ec;
  fs::rename(fresh, target, ec);
  return ec ? Status(ErrnoError(ec.value(), "renaming " + fresh)) : Ok();
}

}  // namespace

namespace {

// Makes the directory and puts it in its place; `write` writes the bytes of `tensors` into their files, `write_tokenizer` files of a tokenizer into the
// directory. Adapters are never cut: PEFT reads one file.
Status WriteDirectory(const std::string& directory, const std::string& info, const std::vector<tensor::TensorSpec>& tensors, std::uint64_t max_shard_bytes,
                      const std::function<Status(WeightFiles& files)>& write, const std::function<Status(const std::string& directory)>& write_tokenizer) {
  fs::path target = fs::absolute(directory).lexically_normal();
  if (!target.has_filename()) target = target.parent_path();  // "out/" is "out"
  const std::string temporary = target.string() + ".tmp";
  std::error_code ec;
  TRIBUTARY_TRY(CheckReplaceable(target));  // before gigabytes are written, and again after
  TRIBUTARY_TRY(CheckReplaceable(temporary));
  TRIBUTARY_TRY(RemoveEarlier(temporary));
  fs::create_directories(temporary, ec);
  if (ec) return ErrnoError(ec.value(), "making " + temporary);
  const bool adapter = IsAdapter(info);
  const std::string prefix = adapter ? "adapter_" : "";
  TRIBUTARY_ASSIGN(WeightFiles files, WeightFiles::Make(temporary, prefix, tensors, adapter ? 0 : max_shard_bytes));
  TRIBUTARY_TRY(write(files));
  TRIBUTARY_TRY(files.Finish());
  if (!info.empty()) {
    TRIBUTARY_ASSIGN(const NewFile config, NewFile::Make(temporary + "/" + prefix + "config.json"));
    TRIBUTARY_TRY(config.WriteAt(std::as_bytes(std::span(info)), 0));
    TRIBUTARY_TRY(config.Sync());
  }
  TRIBUTARY_TRY(write_tokenizer(temporary));
  TRIBUTARY_TRY(SyncDirectory(temporary));
  TRIBUTARY_TRY(CheckReplaceable(target));
  TRIBUTARY_TRY(Replace(temporary, target.string()));
  return SyncDirectory(target.parent_path().string());
}

}  // namespace

Status ExportModel(blob::BlobStore& store, const ObjectName& object, const std::string& directory,
                   const ExportOptions& options) {
  TRIBUTARY_ASSIGN(const auto tokenizer, FilesOfTokenizer(options.tokenizer));
  TRIBUTARY_TRY(LookForTokenizer(store, options.tokenizer_object));
  TRIBUTARY_ASSIGN(const blob::ObjectInfo info, store.Stat(object));
  if (!info.sealed) return MakeError(Code::kUnavailable, "{} is not sealed yet: it has no final content", object.str());
  TRIBUTARY_ASSIGN(const wire::ObjectSpec spec, store.Spec(object));
  TRIBUTARY_ASSIGN(const tensor::Layout layout, wire::MakeLayout(spec));
  return WriteDirectory(
      directory, NamingBase(spec.info, options.base), spec.tensors, options.max_shard_bytes,
      [&](WeightFiles& files) { return WriteWeights(store, object, layout, files, options.progress, options.stop); },
      [&](const std::string& into) {
        if (options.tokenizer_object.empty()) return CopyTokenizer(tokenizer, into);
        return FetchTokenizer(store, options.tokenizer_object, into, Fetched::kBesideAModel, options.stop);
      });
}

Status SaveModel(const std::vector<tensor::TensorSpec>& tensors, const std::function<std::span<const std::byte>(std::uint32_t)>& bytes,
                 const std::string& info, const std::string& directory, const std::string& tokenizer, std::uint64_t max_shard_bytes) {
  TRIBUTARY_ASSIGN(const auto names, FilesOfTokenizer(tokenizer));
  const auto write = [&](WeightFiles& files) -> Status {
    for (std::uint32_t i = 0; i < tensors.size(); ++i) {
      TRIBUTARY_TRY(files.Write(i, 0, bytes(i)));
      files.StartWriting();
    }
    return Ok();
  };
  return WriteDirectory(directory, info, tensors, max_shard_bytes, write, [&](const std::string& into) { return CopyTokenizer(names, into); });
}

}  // namespace tributary::modeldir
