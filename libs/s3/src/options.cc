// What users give: endpoint, bucket, prefix and credentials.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <string_view>

#include "tributary/s3/client.h"

namespace tributary::s3 {
namespace {

constexpr std::size_t kMaxFile = 64 * 1024;

bool IsSafe(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-'; }

std::string_view Trim(std::string_view text) {
  const auto blank = [](char c) { return c == ' ' || c == '\t' || c == '\r'; };
  while (!text.empty() && blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && blank(text.back())) text.remove_suffix(1);
  return text;
}

// Header and signature would take the rest for something else.
Status CheckSecret(const std::string& text, const char* what, const std::string& where) {
  if (std::ranges::all_of(text, [](char c) { return c > ' ' && c < 0x7F; })) return Ok();
  return MakeError(Code::kInvalidArgument, "the {} of {} holds a blank or a control character", what, where);
}

Result<Credentials> Checked(Credentials credentials, const std::string& where) {
  if (credentials.access_key.empty() || credentials.secret_key.empty()) {
    return MakeError(Code::kInvalidArgument,
                     "{} has no {}: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or name a file that holds aws_access_key_id and "
                     "aws_secret_access_key with --s3-credentials-file",
                     where, credentials.access_key.empty() ? "access key" : "secret key");
  }
  TRIBUTARY_TRY(CheckSecret(credentials.access_key, "access key", where));
  TRIBUTARY_TRY(CheckSecret(credentials.secret_key, "secret key", where));
  TRIBUTARY_TRY(CheckSecret(credentials.session_token, "session token", where));
  return credentials;
}

struct Descriptor {
  int fd;
  ~Descriptor() {
    if (fd >= 0) close(fd);
  }
};

}  // namespace

Status CheckEndpoint(const std::string& endpoint) {
  std::string_view rest = endpoint;
  const bool scheme = rest.starts_with("https://") || rest.starts_with("http://");
  if (scheme) rest.remove_prefix(rest.find("//") + 2);
  // User and password in it would go to the log; a path belongs to --s3-prefix.
  const bool host = !rest.empty() && std::ranges::all_of(rest, [](char c) { return IsSafe(c) || c == ':' || c == '[' || c == ']'; });
  if (scheme && host) return Ok();
  return MakeError(Code::kInvalidArgument, "a URL of scheme and host, as https://s3.eu-central-1.amazonaws.com or http://127.0.0.1:9000");
}

Status CheckBucket(const std::string& bucket) {
  const bool letters = std::ranges::all_of(bucket, [](char c) { return IsSafe(c) && !(c >= 'A' && c <= 'Z') && c != '_'; });
  if (letters && bucket.size() >= 3 && bucket.size() <= 63 && bucket.front() != '.' && bucket.front() != '-') return Ok();
  return MakeError(Code::kInvalidArgument, "a bucket's name: 3 to 63 of a-z, 0-9, '.' and '-'");
}

Status CheckPrefix(const std::string& prefix) {
  bool good = prefix.size() <= 256;
  char before = '/';
  for (const char c : prefix) {
    good = good && (IsSafe(c) || c == '/') && !(before == '/' && (c == '/' || c == '.'));
    before = c;
  }
  if (prefix.empty() || (good && before != '/')) return Ok();
  return MakeError(Code::kInvalidArgument, 
                   "at most 256 of A-Z, a-z, 0-9, '.', '_', '-' and '/', with no '/' at its ends and no part that begins with '.'");
}

Result<Credentials> CredentialsFromEnvironment() {
  const auto read = [](const char* name) {
    const char* value = std::getenv(name);
    return std::string(value == nullptr ? "" : value);
  };
  return Checked({read("AWS_ACCESS_KEY_ID"), read("AWS_SECRET_ACCESS_KEY"), read("AWS_SESSION_TOKEN")}, "the environment");
}

Result<Credentials> CredentialsFromFile(const std::string& path) {
  const Descriptor file{open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
  if (file.fd < 0) return ErrnoError(errno, "opening the credentials file " + path);
  struct stat status {};
  if (fstat(file.fd, &status) != 0) return ErrnoError(errno, "looking at " + path);
  if (!S_ISREG(status.st_mode)) return MakeError(Code::kInvalidArgument, "{} is no file", path);
  // A secret that a cluster mounts is root's and readable by a group that is the process's alone.
  const mode_t others = status.st_uid == geteuid() ? 077 : 037;
  if ((status.st_mode & others) != 0) {
    return MakeError(Code::kPermission, "{} holds credentials and others than its owner may use it: chmod 600 {} (its mode is {:o})", path, path,
                     status.st_mode & 07777);
  }
  std::string text(kMaxFile, '\0');
  const ssize_t got = read(file.fd, text.data(), text.size());
  if (got < 0) return ErrnoError(errno, "reading " + path);
  text.resize(static_cast<std::size_t>(got));
  Credentials credentials;
  bool ours = true;  // lines before any profile, too
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    const std::string_view line = Trim(std::string_view(text).substr(begin, end - begin));
    begin = end + 1;
    if (line.starts_with('[')) ours = line == "[default]";
    const std::size_t equals = line.find('=');
    if (!ours || line.starts_with('#') || line.starts_with(';') || equals == std::string_view::npos) continue;
    const std::string_view key = Trim(line.substr(0, equals));
    const std::string value(Trim(line.substr(equals + 1)));
    if (key == "aws_access_key_id") credentials.access_key = value;
    if (key == "aws_secret_access_key") credentials.secret_key = value;
    if (key == "aws_session_token") credentials.session_token = value;
  }
  return Checked(std::move(credentials), path);
}

}  // namespace tributary::s3
