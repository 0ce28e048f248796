#include "tributary/objects/files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <set>
#include <string_view>
#include <utility>

#include "tributary/json/json.h"

namespace tributary::objects {
namespace {

namespace fs = std::filesystem;

constexpr const char* kFormat = "tributary files 1";
constexpr std::size_t kMaxName = 255;
constexpr std::uint64_t kRoomToSpare = 16u << 20;

class Fd {
 public:
  Fd() = default;
  explicit Fd(int fd) : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Fd() {
    if (fd_ >= 0) close(fd_);
  }
  int get() const { return fd_; }

 private:
  int fd_ = -1;
};

// What tells that a file is the one that was looked at, with the bytes that it had.
struct Version {
  dev_t device = 0;
  ino_t inode = 0;
  off_t size = 0;
  time_t seconds = 0;  // of the last write
  long nanoseconds = 0;
  static Version Of(const struct stat& info) { return {info.st_dev, info.st_ino, info.st_size, info.st_mtim.tv_sec, info.st_mtim.tv_nsec}; }
  bool operator==(const Version&) const = default;
};

struct Tree {
  bool directory = false;
  std::vector<Version> versions;            // of entries
  std::vector<tensor::TensorSpec> entries;  // files with bytes
  std::vector<std::string> empty_files;
  std::vector<std::string> empty_directories;
  std::vector<std::string> executable;
};

// As JSON takes it: names stand in the object's info.
bool IsUtf8(const std::string& name) {
  const std::string quoted = Json(name).dump(-1, ' ', false, Json::error_handler_t::replace);
  const auto back = ParseJson(quoted, "a name");
  return back.ok() && back->get<std::string>() == name;
}

Status Add(Tree& tree, const fs::path& path, const std::string& name) {
  struct stat info {};
  if (lstat(path.c_str(), &info) != 0) return ErrnoError(errno, "looking at " + path.string());
  if (!IsUtf8(name)) {
    return MakeError(Code::kInvalidArgument, "the name of a file in {} is not UTF-8; rename it or send a tar file", path.parent_path().string());
  }
  if (name.size() > kMaxName) {
    return MakeError(Code::kInvalidArgument, "{}: names of entries have at most {} bytes; shorten it or send a tar file", path.string(), kMaxName);
  }
  if (S_ISDIR(info.st_mode)) {
    std::error_code ec;
    if (fs::is_empty(path, ec)) tree.empty_directories.push_back(name);
    return ec ? Status(ErrnoError(ec.value(), "looking at " + path.string())) : Ok();
  }
  if (!S_ISREG(info.st_mode)) {
    return MakeError(Code::kInvalidArgument, "{} is neither a file nor a directory, and cannot be sent; remove it or send a tar file", path.string());
  }
  if ((info.st_mode & S_IXUSR) != 0) tree.executable.push_back(name);
  if (info.st_size == 0) {
    tree.empty_files.push_back(name);
  } else {
    tree.entries.push_back(ByteEntry(name, static_cast<std::uint64_t>(info.st_size)));
    tree.versions.push_back(Version::Of(info));
  }
  return Ok();
}

class PathSource final : public Source {
 public:
  PathSource(fs::path root, Tree tree) : root_(std::move(root)), tree_(std::move(tree)) {}

  const std::vector<tensor::TensorSpec>& Entries() const override { return tree_.entries; }
  std::string Info() const override {
    OrderedJson info;
    info["format"] = kFormat;
    info["kind"] = tree_.directory ? "directory" : "file";
    if (!tree_.empty_files.empty()) info["empty_files"] = tree_.empty_files;
    if (!tree_.empty_directories.empty()) info["empty_directories"] = tree_.empty_directories;
    if (!tree_.executable.empty()) info["executable"] = tree_.executable;
    return info.dump();
  }
  Status Read(std::uint32_t entry, std::uint64_t offset, std::span<std::byte> out) override {
    const fs::path path = tree_.directory ? root_ / tree_.entries[entry].name : root_;
    if (entry != open_) {
      const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
      if (fd < 0) return ErrnoError(errno, "opening " + path.string());
      file_ = Fd(fd);
      open_ = entry;
    }
    const bool last = offset + out.size() >= tree_.entries[entry].shape[0];
    while (!out.empty()) {
      const ssize_t n = pread(file_.get(), out.data(), out.size(), static_cast<off_t>(offset));
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return ErrnoError(errno, "reading " + path.string());
      if (n == 0) return MakeError(Code::kDataLoss, "{} became shorter while it was sent; send it again", path.string());
      out = out.subspan(static_cast<std::size_t>(n));
      offset += static_cast<std::uint64_t>(n);
    }
    // Parts of two versions are no file that anybody had.
    return last ? CheckUnchanged(entry, path) : Ok();
  }

 private:
  Status CheckUnchanged(std::uint32_t entry, const fs::path& path) const {
    struct stat info {};
    if (fstat(file_.get(), &info) != 0) return ErrnoError(errno, "looking at " + path.string());
    if (tree_.versions[entry] == Version::Of(info)) return Ok();
    return MakeError(Code::kDataLoss, "{} changed while it was sent; send it again", path.string());
  }

  const fs::path root_;
  const Tree tree_;
  Fd file_;
  std::uint32_t open_ = ~0u;
};

// Relative, of plain components: whoever made the object may mean harm.
Status CheckName(const std::string& name) {
  const bool bad = name.empty() || name.size() > kMaxName || name.front() == '/' || name.back() == '/' || name.find('\0') != std::string::npos ||
                   name.find("//") != std::string::npos;
  if (!bad) {
    for (const fs::path& part : fs::path(name)) {
      if (part == "." || part == "..") return MakeError(Code::kInvalidArgument, "entry '{}' leads outside of its directory", name);
    }
    return Ok();
  }
  return MakeError(Code::kInvalidArgument, "entry '{}' is no name of a file", name.substr(0, 64));
}

Result<std::vector<std::string>> Names(const Json& info, const char* key) {
  std::vector<std::string> names;
  const auto found = info.find(key);
  if (found == info.end()) return names;
  if (!found->is_array()) return MakeError(Code::kInvalidArgument, "the object's '{}' is no list", key);
  for (const Json& name : *found) {
    if (!name.is_string()) return MakeError(Code::kInvalidArgument, "the object's '{}' holds what is no name", key);
    names.push_back(name.get<std::string>());
    TRIBUTARY_TRY(CheckName(names.back()));
  }
  return names;
}

Status SyncPath(const fs::path& path) {
  const Fd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (fd.get() < 0) return ErrnoError(errno, "opening " + path.string());
  return fsync(fd.get()) == 0 ? Ok() : Status(ErrnoError(errno, "syncing " + path.string()));
}

class PathSink final : public Sink {
 public:
  PathSink(fs::path target, bool overwrite)
      : target_(std::move(target)), temporary_(target_.string() + ".part"), overwrite_(overwrite) {}
  ~PathSink() override {
    std::error_code ec;
    if (begun_) fs::remove_all(temporary_, ec);
  }

  Status Begin(const std::vector<tensor::TensorSpec>& entries, const std::string& info) override {
    TRIBUTARY_TRY(Understand(entries, info));
    TRIBUTARY_TRY(CheckRoom());
    std::error_code ec;
    if (fs::exists(fs::symlink_status(temporary_, ec))) {
      return MakeError(Code::kAlreadyExists, "{} is there, of a get that runs or was killed; remove it", temporary_.string());
    }
    if (tree_.directory) {
      if (!fs::create_directories(temporary_, ec) || ec) return ErrnoError(ec.value(), "making " + temporary_.string());
    } else if (target_.has_parent_path()) {
      fs::create_directories(target_.parent_path(), ec);
      if (ec) return ErrnoError(ec.value(), "making " + target_.parent_path().string());
    }
    begun_ = true;
    for (const std::string& name : tree_.empty_directories) {
      fs::create_directories(temporary_ / name, ec);
      if (ec) return ErrnoError(ec.value(), "making " + (temporary_ / name).string());
    }
    for (const std::string& name : tree_.empty_files) TRIBUTARY_TRY(OpenFile(name));
    return Ok();
  }

  Status Write(std::uint32_t entry, std::uint64_t offset, std::span<const std::byte> bytes) override {
    if (entry != open_) {
      TRIBUTARY_TRY(OpenFile(tree_.entries[entry].name));
      open_ = entry;
    }
    while (!bytes.empty()) {
      const ssize_t n = pwrite(file_.get(), bytes.data(), bytes.size(), static_cast<off_t>(offset));
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return ErrnoError(errno, "writing " + tree_.entries[entry].name + " for " + target_.string());
      bytes = bytes.subspan(static_cast<std::size_t>(n));
      offset += static_cast<std::uint64_t>(n);
    }
    return Ok();
  }

  Status Finish() override {
    TRIBUTARY_TRY(CloseFile());
    if (tree_.directory) TRIBUTARY_TRY(SyncPath(temporary_));
    // Without `overwrite` nothing that came meanwhile is replaced.
    const unsigned flags = overwrite_ && !tree_.directory ? 0 : RENAME_NOREPLACE;
    int renamed = renameat2(AT_FDCWD, temporary_.c_str(), AT_FDCWD, target_.c_str(), flags);
    if (renamed != 0 && flags != 0 && (errno == EINVAL || errno == ENOSYS)) {
      // A file system without that flag, as NFS: looked at, then renamed.
      std::error_code ec;
      if (fs::exists(fs::symlink_status(target_, ec))) {
        errno = EEXIST;
      } else {
        renamed = rename(temporary_.c_str(), target_.c_str());
      }
    }
    if (renamed != 0) {
      const int error = errno;
      if (error == EEXIST) return MakeError(Code::kAlreadyExists, "{} appeared meanwhile; give another place", target_.string());
      return ErrnoError(error, "renaming " + temporary_.string());
    }
    begun_ = false;
    return SyncPath(target_.has_parent_path() ? target_.parent_path() : fs::path("."));
  }

 private:
  Status Understand(const std::vector<tensor::TensorSpec>& entries, const std::string& text) {
    TRIBUTARY_ASSIGN(const Json info, ParseJson(text, "the object's info"));
    const auto format = GetString(info, "format", "the object's info");
    if (!format.ok() || *format != kFormat) {
      return MakeError(Code::kInvalidArgument, "the object holds no files; a job's model is written by 'tributary model export'");
    }
    TRIBUTARY_ASSIGN(const std::string kind, GetString(info, "kind", "the object's info"));
    tree_.directory = kind == "directory";
    if (!tree_.directory && (kind != "file" || entries.size() != 1)) {
      return MakeError(Code::kInvalidArgument, "the object says that it is a {} of {} entries", kind.substr(0, 32), entries.size());
    }
    TRIBUTARY_ASSIGN(tree_.empty_files, Names(info, "empty_files"));
    TRIBUTARY_ASSIGN(tree_.empty_directories, Names(info, "empty_directories"));
    TRIBUTARY_ASSIGN(const std::vector<std::string> executable, Names(info, "executable"));
    executable_.insert(executable.begin(), executable.end());
    for (const tensor::TensorSpec& entry : entries) {
      TRIBUTARY_TRY(CheckName(entry.name));
      if (entry.dtype != tensor::DType::kU8 || entry.shape.size() != 1) {
        return MakeError(Code::kInvalidArgument, "entry '{}' is no file", entry.name);
      }
      total_ += entry.shape[0];
    }
    tree_.entries = entries;
    return Ok();
  }

  Status CheckRoom() const {
    std::error_code ec;
    fs::path near = target_;
    do {
      near = near.parent_path().empty() ? fs::path(".") : near.parent_path();
    } while (!fs::exists(near, ec) && near != near.parent_path());
    const auto space = fs::space(near, ec);
    if (ec || space.available >= total_ + kRoomToSpare) return Ok();
    return MakeError(Code::kResourceExhausted, "{} has {} left, the object needs {}; make room or give another place", near.string(),
                     FormatBytes(space.available), FormatBytes(total_));
  }

  Status OpenFile(const std::string& name) {
    TRIBUTARY_TRY(CloseFile());
    const fs::path path = tree_.directory ? temporary_ / name : temporary_;
    std::error_code ec;
    if (tree_.directory) fs::create_directories(path.parent_path(), ec);
    if (ec) return ErrnoError(ec.value(), "making " + path.parent_path().string());
    // Entries of different dtypes come in turn: a file may be opened again, but a link is never followed.
    const mode_t mode = executable_.contains(name) ? 0755 : 0644;
    const int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, mode);
    if (fd < 0) return ErrnoError(errno, "making " + path.string());
    file_ = Fd(fd);
    return Ok();
  }
  Status CloseFile() {
    if (file_.get() < 0) return Ok();
    const int synced = fsync(file_.get());
    const int error = errno;
    file_ = Fd();
    return synced == 0 ? Ok() : Status(ErrnoError(error, "syncing a file of " + temporary_.string()));
  }

  const fs::path target_;
  const fs::path temporary_;
  const bool overwrite_;
  bool begun_ = false;
  Tree tree_;
  std::set<std::string> executable_;
  std::uint64_t total_ = 0;
  Fd file_;
  std::uint32_t open_ = ~0u;
};

}  // namespace

Result<std::unique_ptr<Source>> ReadPath(const std::string& text) {
  fs::path path = fs::path(text).lexically_normal();
  if (!path.has_filename() && path.has_parent_path()) path = path.parent_path();  // "dir/" is "dir"
  std::error_code ec;
  const auto status = fs::status(path, ec);
  if (!fs::exists(status)) return MakeError(Code::kNotFound, "there is nothing at {}", text);
  Tree tree;
  tree.directory = fs::is_directory(status);
  if (tree.directory) {
    std::vector<fs::path> found;
    for (fs::recursive_directory_iterator it(path, ec), end; !ec && it != end; it.increment(ec)) {
      found.push_back(it->path());
      if (found.size() > 2 * tensor::kMaxTensors) {
        return MakeError(Code::kInvalidArgument, "{} holds more than {} files and directories; send a tar file", text, 2 * tensor::kMaxTensors);
      }
    }
    if (ec) return ErrnoError(ec.value(), "listing " + path.string());
    std::sort(found.begin(), found.end());
    for (const fs::path& file : found) TRIBUTARY_TRY(Add(tree, file, file.lexically_relative(path).string()));
  } else if (fs::is_regular_file(status)) {
    // A link to a file is the file that it leads to, under the link's name.
    const std::string name = path.filename().string();
    path = fs::canonical(path, ec);
    if (ec) return ErrnoError(ec.value(), "following " + text);
    TRIBUTARY_TRY(Add(tree, path, name));
  } else {
    return MakeError(Code::kInvalidArgument, "{} is neither a file nor a directory", text);
  }
  if (tree.entries.empty()) return MakeError(Code::kInvalidArgument, "{} holds no byte: there is nothing to send", text);
  if (tree.entries.size() > tensor::kMaxTensors) {
    return MakeError(Code::kInvalidArgument, "{} holds more than {} files; send a tar file", text, tensor::kMaxTensors);
  }
  auto source = std::make_unique<PathSource>(std::move(path), std::move(tree));
  if (source->Info().size() > 64 * 1024) {
    return MakeError(Code::kInvalidArgument, "{} has too many empty or executable files to name; send a tar file", text);
  }
  return std::unique_ptr<Source>(std::move(source));
}

Result<std::unique_ptr<Sink>> WritePath(const std::string& text, bool overwrite) {
  fs::path path = fs::absolute(text).lexically_normal();
  if (!path.has_filename()) path = path.parent_path();
  std::error_code ec;
  const auto status = fs::symlink_status(path, ec);
  if (fs::exists(status) && !(overwrite && fs::is_regular_file(status))) {
    return MakeError(Code::kAlreadyExists, "{} is there already; give another place{}", path.string(),
                     fs::is_regular_file(status) ? " or replace it with --force" : "");
  }
  return std::unique_ptr<Sink>(std::make_unique<PathSink>(std::move(path), overwrite));
}

}  // namespace tributary::objects
