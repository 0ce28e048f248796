#include "directory.h"

#include <fcntl.h>
#include <sys/file.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <optional>

#include "format.h"

namespace tributary::blob {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kFormatName = "tributary blob-store ";
constexpr std::string_view kFormat = "tributary blob-store 2\n";
// Stands for '/', which names never hold otherwise: a name of 255 bytes stays a file name of 255 bytes.
constexpr char kSeparator = '+';
constexpr std::string_view kOffers = "offers/";

}  // namespace

std::string FileNameOf(const ObjectName& name) {
  std::string text = name.str();
  std::replace(text.begin(), text.end(), '/', kSeparator);
  return text;
}

std::string ObjectTextOf(const fs::path& directory) {
  std::string text = directory.filename().string();
  std::replace(text.begin(), text.end(), kSeparator, '/');
  return text;
}

Status ForEachObject(const fs::path& objects, const std::function<Status(const ObjectName&, const fs::path&)>& visit) {
  std::error_code error;
  for (fs::directory_iterator it(objects, error), end; !error && it != end; it.increment(error)) {
    const auto name = ObjectName::Parse(ObjectTextOf(it->path()));
    if (name.ok()) TRIBUTARY_TRY(visit(*name, it->path()));
  }
  if (error) return ErrnoError(error.value(), "listing " + objects.string());
  return Ok();
}

Result<Fd> LockStore(const fs::path& store) {
  TRIBUTARY_ASSIGN(Fd lock, OpenFile(store / "lock", O_RDWR | O_CREAT));
  if (flock(lock.get(), LOCK_EX | LOCK_NB) == 0) return lock;
  if (errno != EWOULDBLOCK) return ErrnoError(errno, "locking " + (store / "lock").string());
  return MakeError(Code::kUnavailable, "{} is in use by another blob-store; stop that one or choose another directory", store.string());
}

namespace {

// Nothing of a directory that is empty.
Result<std::optional<Shard>> FindFormat(const fs::path& store) {
  const fs::path format = store / "format";
  TRIBUTARY_ASSIGN(const bool there, Exists(format));
  if (there) {
    TRIBUTARY_ASSIGN(const std::string text, ReadWholeFile(format, 4096));
    if (const auto shard = ParseFormat(kFormat, text)) return shard;
    const bool ours = text.starts_with(kFormatName);
    return MakeError(Code::kInvalidArgument, "{} {}; give another directory with --data-dir, or empty this one if nobody needs what it holds",
                     format.string(), ours ? "tells that another version of the blob-store wrote this directory" : "is no blob-store's");
  }
  std::error_code error;
  for (fs::directory_iterator it(store, error), end; !error && it != end; it.increment(error)) {
    const std::string name = it->path().filename().string();
    if (name == "lock" || name == "format.tmp" || name == "lost+found") continue;
    return MakeError(Code::kInvalidArgument,
                     "{} holds other files ('{}'); give an empty directory or an earlier blob-store's with --data-dir",
                     store.string(), name);
  }
  if (error) return ErrnoError(error.value(), "listing " + store.string());
  return std::optional<Shard>();
}

}  // namespace

Status CheckFormat(const fs::path& store, const Shard& shard) {
  TRIBUTARY_ASSIGN(const auto found, FindFormat(store));
  if (found && *found == shard) return Ok();
  if (found) {
    return MakeError(Code::kInvalidArgument,
                     "{} is the directory of {}, and this blob-store is {}; give --shard and --shards as before, or another directory with "
                     "--data-dir",
                     store.string(), ShardText(*found), ShardText(shard));
  }
  const std::string text = FormatText(kFormat, shard);
  TRIBUTARY_TRY(WriteWholeFile(store / "format.tmp", std::as_bytes(std::span(text)), true));
  TRIBUTARY_TRY(RenamePath(store / "format.tmp", store / "format"));
  return SyncDirectory(store);
}

Result<Shard> ReadFormat(const fs::path& store) {
  TRIBUTARY_ASSIGN(const auto found, FindFormat(store));
  if (found) return *found;
  return MakeError(Code::kNotFound, "{} holds no blob-store's objects; give its directory with --data-dir", store.string());
}

bool IsAbandoned(const ObjectName& name, const fs::path& directory, Duration age) {
  const auto sealed = Exists(directory / "root");
  if (!sealed.ok() || (*sealed && !name.str().starts_with(kOffers))) return false;
  std::error_code error;
  // Every put writes a record.
  const auto written = fs::last_write_time(directory / "slots", error);
  return !error && fs::file_time_type::clock::now() - written > age;
}

}  // namespace tributary::blob
