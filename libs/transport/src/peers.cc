#include "tributary/transport/peers.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <sstream>
#include <zmq.hpp>

#include "tributary/base/names.h"

namespace tributary::transport {
namespace {

constexpr std::size_t kKeyCharacters = 40;
constexpr std::size_t kMaxFileBytes = 4u << 20;
constexpr std::array<std::string_view, 6> kRoleNames = {"coordinator", "blob-store", "aggregator", "trainer", "operator", "cache"};

bool IsKey(const std::string& text) {
  std::array<std::uint8_t, 32> raw{};
  return text.size() == kKeyCharacters && zmq_z85_decode(raw.data(), text.c_str()) != nullptr;
}

struct File {
  int fd = -1;
  ~File() {
    if (fd >= 0) close(fd);
  }
};

}  // namespace

std::string_view RoleName(PeerRole role) { return kRoleNames.at(static_cast<std::size_t>(role)); }

std::optional<PeerRole> ParseRole(std::string_view name) {
  const auto found = std::find(kRoleNames.begin(), kRoleNames.end(), name);
  if (found == kRoleNames.end()) return std::nullopt;
  return static_cast<PeerRole>(found - kRoleNames.begin());
}

std::string Identity::str() const { return fmt::format("{} {}", RoleName(role), name); }

Status PeerList::Add(Identity who, const std::string& key) {
  TRIBUTARY_TRY(CheckSegment(who.name, "name of a peer"));
  if (!IsKey(key)) return MakeError(Code::kInvalidArgument, "the public key of {} is not {} characters of Z85", who.str(), kKeyCharacters);
  if (const Identity* other = Find(key); other != nullptr) {
    if (*other == who) return Ok();
    return MakeError(Code::kInvalidArgument, "{} has the key of {}: each needs one of its own", who.str(), other->str());
  }
  by_key_.emplace(key, entries_.size());
  entries_.push_back({std::move(who), key});
  return Ok();
}

Result<PeerList> PeerList::Parse(std::string_view text, const std::string& file) {
  PeerList list;
  std::size_t number = 0;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    const std::string line(text.substr(at, end - at));
    at = end + 1;
    ++number;
    std::istringstream words(line);
    std::string role, name, key, more;
    words >> role >> name >> key >> more;
    if (role.empty() || role.starts_with('#')) continue;
    if (key.empty() || !more.empty()) {
      return MakeError(Code::kInvalidArgument, "{}:{}: expected 'ROLE NAME KEY', as in 'trainer hospital-a' and {} characters of Z85", file, number, kKeyCharacters);
    }
    const auto parsed = ParseRole(role);
    if (!parsed) {
      return MakeError(Code::kInvalidArgument, "{}:{}: no role '{}': coordinator, blob-store, aggregator, trainer, operator or cache", file, number, role.substr(0, 40));
    }
    if (const Status added = list.Add({*parsed, name}, key); !added.ok()) return added.error().Wrap(fmt::format("{}:{}", file, number));
  }
  return list;
}

const Identity* PeerList::Find(std::string_view key) const {
  const auto found = by_key_.find(key);
  return found == by_key_.end() ? nullptr : &entries_[found->second].who;
}

std::optional<std::string> PeerList::KeyOf(PeerRole role) const {
  for (const Entry& entry : entries_) {
    if (entry.who.role == role) return entry.key;
  }
  return std::nullopt;
}

Result<std::string> PeerList::KeyToDial(PeerRole role, std::string_view name) const {
  const Entry* found = nullptr;
  for (const Entry& entry : entries_) {
    if (entry.who.role != role || (!name.empty() && entry.who.name != name)) continue;
    if (found == nullptr) {
      found = &entry;
      if (role != PeerRole::kCache) break;
    } else if (found->who != entry.who) {
      return MakeError(Code::kInvalidArgument, "the list of peers has several of '{0} NAME KEY': {1} and {2}; say which one is dialled", RoleName(role), found->who.name, entry.who.name);
    }
  }
  if (found == nullptr) {
    return MakeError(Code::kInvalidArgument, "the list of peers has no '{} {} KEY', whose key that server must have", RoleName(role), name.empty() ? "NAME" : name);
  }
  return found->key;
}

std::string PeerList::Text() const {
  std::string text = "# ROLE NAME PUBLIC-KEY; servers look at this file each second.\n";
  for (const Entry& entry : entries_) text += fmt::format("{} {} {}\n", RoleName(entry.who.role), entry.who.name, entry.key);
  return text;
}

Result<PeerList> ReadPeerList(const std::filesystem::path& path) {
  const File file{open(path.c_str(), O_RDONLY | O_CLOEXEC)};
  struct stat about{};
  if (file.fd < 0 || fstat(file.fd, &about) != 0) return ErrnoError(errno, "reading the list of peers " + path.string());
  if ((about.st_mode & S_IWOTH) != 0) {
    return MakeError(Code::kPermission, "{} may be written by everybody, who could admit whom they like: chmod o-w it and look through it (mode {:o})", path.string(),
                     about.st_mode & 0777);
  }
  std::string text;
  std::array<char, 65536> part{};
  for (;;) {
    const ssize_t got = read(file.fd, part.data(), part.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return ErrnoError(errno, "reading the list of peers " + path.string());
    if (got == 0) break;
    text.append(part.data(), static_cast<std::size_t>(got));
    if (text.size() > kMaxFileBytes) return MakeError(Code::kInvalidArgument, "{} is longer than a list of peers may be, {} bytes", path.string(), kMaxFileBytes);
  }
  return PeerList::Parse(text, path.string());
}

Status WritePeerList(const std::filesystem::path& path, const PeerList& list) {
  const std::string temporary = fmt::format("{}.{}.new", path.string(), getpid());
  const std::string text = list.Text();
  {
    const File file{open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644)};
    if (file.fd < 0) return ErrnoError(errno, "making " + temporary);
    // Who may read it, may read the new one: a server that cannot goes on with the old list.
    struct stat about{};
    const bool replaces = stat(path.c_str(), &about) == 0;
    if (fchmod(file.fd, replaces ? about.st_mode & 0777 & ~S_IWOTH : 0644) != 0 || (replaces && geteuid() == 0 && fchown(file.fd, about.st_uid, about.st_gid) != 0)) {
      return ErrnoError(errno, "making " + temporary);
    }
    std::size_t written = 0;
    while (written < text.size()) {
      const ssize_t put = write(file.fd, text.data() + written, text.size() - written);
      if (put < 0 && errno == EINTR) continue;
      if (put < 0) return ErrnoError(errno, "writing " + temporary);
      written += static_cast<std::size_t>(put);
    }
    if (fsync(file.fd) != 0) return ErrnoError(errno, "writing " + temporary);
  }
  if (rename(temporary.c_str(), path.c_str()) != 0) return ErrnoError(errno, "writing " + path.string());
  const std::string parent = path.has_parent_path() ? path.parent_path().string() : ".";
  const File directory{open(parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
  if (directory.fd < 0 || fsync(directory.fd) != 0) return ErrnoError(errno, "writing " + path.string());
  return Ok();
}

}  // namespace tributary::transport
