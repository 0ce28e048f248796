#include "tributary/transport/curve.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <zmq.hpp>

namespace tributary::transport {
namespace {

constexpr std::size_t kKeyCharacters = 40;
constexpr std::size_t kMaxFileBytes = 4096;

struct File {
  int fd = -1;
  ~File() {
    if (fd >= 0) close(fd);
  }
};

// The value of a line "name = value".
std::string ValueOf(const std::string& text, const std::string& name) {
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    const std::string line = text.substr(at, end - at);
    if (line.starts_with(name + " = ")) return line.substr(name.size() + 3);
    at = end + 1;
  }
  return "";
}

}  // namespace

Result<CurveKeys> GenerateCurveKeys() {
  std::array<char, kKeyCharacters + 1> public_key{};
  std::array<char, kKeyCharacters + 1> secret_key{};
  if (zmq_curve_keypair(public_key.data(), secret_key.data()) != 0) {
    return MakeError(Code::kUnavailable, "this libzmq has no CURVE: install one that was built with libsodium");
  }
  return CurveKeys{public_key.data(), secret_key.data()};
}

Status WriteCurveKeys(const std::filesystem::path& path, const CurveKeys& keys) {
  const File file{open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600)};
  if (file.fd < 0 && errno == EEXIST) return MakeError(Code::kAlreadyExists, "{} exists; a key is never overwritten", path.string());
  if (file.fd < 0) return ErrnoError(errno, "making " + path.string());
  const std::string text = "public = " + keys.public_key + "\nsecret = " + keys.secret_key + "\n";
  if (write(file.fd, text.data(), text.size()) != static_cast<ssize_t>(text.size()) || fsync(file.fd) != 0) {
    const int error = errno;
    unlink(path.c_str());
    return ErrnoError(error, "writing " + path.string());
  }
  return Ok();
}

Result<CurveKeys> ReadCurveKeys(const std::filesystem::path& path) {
  const File file{open(path.c_str(), O_RDONLY | O_CLOEXEC)};
  struct stat about{};
  if (file.fd < 0 || fstat(file.fd, &about) != 0) return ErrnoError(errno, "reading the key " + path.string());
  // A secret that a cluster mounts is root's and readable by a group that is the process's alone.
  const mode_t others = about.st_uid == geteuid() ? 077 : 037;
  if ((about.st_mode & others) != 0) {
    return MakeError(Code::kPermission, "{} may be read or written by others (mode {:o}): chmod 600 it, and make a new key if others had it",
                     path.string(), about.st_mode & 0777);
  }
  std::string text(kMaxFileBytes, '\0');
  const ssize_t got = read(file.fd, text.data(), text.size());
  if (got < 0) return ErrnoError(errno, "reading the key " + path.string());
  text.resize(static_cast<std::size_t>(got));
  CurveKeys keys{ValueOf(text, "public"), ValueOf(text, "secret")};
  std::array<char, kKeyCharacters + 1> derived{};
  if (keys.secret_key.size() != kKeyCharacters || zmq_curve_public(derived.data(), keys.secret_key.c_str()) != 0 ||
      keys.public_key != derived.data()) {
    return MakeError(Code::kInvalidArgument, "{} is no key: it has a line 'public = ' and a line 'secret = ' with {} characters each that belong together",
                     path.string(), kKeyCharacters);
  }
  return keys;
}

}  // namespace tributary::transport
