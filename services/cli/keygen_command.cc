// keygen: the keys of a federation, and the list that admits them.
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "services/cli/commands.h"
#include "tributary/base/names.h"
#include "tributary/config/options.h"
#include "tributary/config/service.h"
#include "tributary/transport/curve.h"
#include "tributary/transport/peers.h"

namespace tributary::cli {
namespace {

namespace fs = std::filesystem;
using transport::Identity;
using transport::PeerList;
using transport::PeerRole;

int Report(const Error& error) {
  fmt::print(stderr, "tributary keygen: {}\n", error.message());
  return error.code() == Code::kInvalidArgument ? config::kExitUsage : config::kExitFailed;
}

Status MakeDirectory(const fs::path& path) {
  if (path.empty()) return Ok();  // of a bare file name
  std::error_code ec;
  fs::create_directories(path, ec);
  return ec ? Status(ErrnoError(ec.value(), "making " + path.string())) : Ok();
}

fs::path KeyOf(const fs::path& directory, const Identity& who) {
  if (who.role == PeerRole::kTrainer) return directory / "sites" / who.name / "key";
  if (who.role == PeerRole::kOperator && who.name != "operator") return directory / "operators" / who.name / "key";
  if (who.role == PeerRole::kCache) return directory / "caches" / who.name / "key";
  return directory / transport::RoleName(who.role) / "key";
}

// The public half of the key file, which is made if it is not there.
Result<std::string> PublicKey(const fs::path& path, bool* made) {
  std::error_code ec;
  if (!fs::exists(path, ec)) {
    TRIBUTARY_TRY(MakeDirectory(path.parent_path()));
    TRIBUTARY_ASSIGN(const auto keys, transport::GenerateCurveKeys());
    TRIBUTARY_TRY(transport::WriteCurveKeys(path, keys));
    *made = true;
    return keys.public_key;
  }
  TRIBUTARY_ASSIGN(const auto keys, transport::ReadCurveKeys(path));
  return keys.public_key;
}

Result<PeerList> ListOrNone(const fs::path& path) {
  std::error_code ec;
  if (!fs::exists(path, ec)) return PeerList();
  return transport::ReadPeerList(path);
}

// "ROLE/NAME", as in trainer/hospital-a.
Result<Identity> ParseIdentity(const std::string& text) {
  const auto slash = text.find('/');
  const auto role = transport::ParseRole(text.substr(0, slash));
  if (slash == std::string::npos || !role) return MakeError(Code::kInvalidArgument, "'{}' is no ROLE/NAME, as in trainer/hospital-a", text);
  TRIBUTARY_TRY(CheckSegment(text.substr(slash + 1), "name"));
  return Identity{*role, text.substr(slash + 1)};
}

// One keygen of a directory at a time: each reads the lists, and writes them anew.
class Lock {
 public:
  explicit Lock(const fs::path& directory) : fd_(open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)) {
    held_ = fd_ >= 0 && flock(fd_, LOCK_EX) == 0;
  }
  ~Lock() {
    if (fd_ >= 0) close(fd_);
  }
  Lock(const Lock&) = delete;
  Lock& operator=(const Lock&) = delete;
  bool held() const { return held_; }

 private:
  int fd_;
  bool held_ = false;
};

bool Has(const PeerList& list, const Identity& who) {
  return std::ranges::any_of(list.entries(), [&](const auto& entry) { return entry.who == who; });
}

struct Outcome {
  int made = 0;
  std::size_t revoked = 0;
};

Status Admit(const fs::path& directory, const Identity& who, PeerList& list, Outcome& outcome) {
  const fs::path path = KeyOf(directory, who);
  bool made = false;
  TRIBUTARY_ASSIGN(const std::string key, PublicKey(path, &made));
  if (made) {
    ++outcome.made;
    fmt::print("{}: {}\n", who.str(), path.string());
  }
  return list.Add(who, key);
}

Result<Outcome> Generate(const config::Options& options) {
  const fs::path directory = options.String("directory");
  TRIBUTARY_TRY(MakeDirectory(directory));
  const Lock lock(directory);
  if (!lock.held()) return ErrnoError(errno, "locking " + directory.string());
  TRIBUTARY_ASSIGN(const PeerList known, ListOrNone(directory / "peers"));
  // Who was revoked stays out, whatever is run again: its key file may still be there.
  TRIBUTARY_ASSIGN(PeerList out, ListOrNone(directory / "revoked"));
  Outcome outcome;
  PeerList list;
  std::vector<Identity> revoked;
  for (const std::string& text : options.Strings("revoke")) {
    TRIBUTARY_ASSIGN(const Identity who, ParseIdentity(text));
    if (who.role == PeerRole::kCoordinator || who.role == PeerRole::kBlobStore) {
      return MakeError(Code::kInvalidArgument, "the {} is a server: give it a new key (remove its key file and its line in {}), and the new 'servers' to everybody",
                       transport::RoleName(who.role), (directory / "peers").string());
    }
    revoked.push_back(who);
  }
  const auto is_revoked = [&](const Identity& who) { return std::find(revoked.begin(), revoked.end(), who) != revoked.end(); };
  for (const auto& entry : known.entries()) {
    if (is_revoked(entry.who)) {
      ++outcome.revoked;
      TRIBUTARY_TRY(out.Add(entry.who, entry.key));
      continue;
    }
    TRIBUTARY_TRY(list.Add(entry.who, entry.key));
  }
  if (outcome.revoked < revoked.size()) {
    for (const Identity& who : revoked) {
      if (std::ranges::none_of(known.entries(), [&](const auto& entry) { return entry.who == who; })) {
        return MakeError(Code::kNotFound, "{} has no {}: nothing is changed", (directory / "peers").string(), who.str());
      }
    }
  }
  std::vector<Identity> wanted = {{PeerRole::kCoordinator, "coordinator"}, {PeerRole::kBlobStore, "blob-store"}, {PeerRole::kAggregator, "aggregator"}, {PeerRole::kOperator, "operator"}};
  for (const std::string& site : options.Strings("site")) wanted.push_back({PeerRole::kTrainer, site});
  for (const std::string& name : options.Strings("cache")) wanted.push_back({PeerRole::kCache, name});
  for (const std::string& name : options.Strings("operator")) wanted.push_back({PeerRole::kOperator, name});
  for (const Identity& who : wanted) {
    if (is_revoked(who)) continue;
    if (Has(out, who)) {
      fmt::print(stderr, "{} was revoked and stays out; to admit it with a new key, remove its line in {} and its key file\n", who.str(), (directory / "revoked").string());
      continue;
    }
    TRIBUTARY_TRY(Admit(directory, who, list, outcome));
  }
  for (const std::string& text : options.Strings("admit")) {
    const auto equals = text.find('=');
    TRIBUTARY_ASSIGN(const Identity who, ParseIdentity(text.substr(0, equals)));
    if (equals == std::string::npos) return MakeError(Code::kInvalidArgument, "--admit wants ROLE/NAME=PUBLIC-KEY");
    if (out.Find(text.substr(equals + 1)) != nullptr) {
      return MakeError(Code::kInvalidArgument, "that key of {} was revoked: it needs a new one ({} lists the old ones)", who.str(), (directory / "revoked").string());
    }
    TRIBUTARY_TRY(list.Add(who, text.substr(equals + 1)));
  }
  PeerList servers;
  for (const auto& entry : list.entries()) {
    const bool server = entry.who.role == PeerRole::kCoordinator || entry.who.role == PeerRole::kBlobStore || entry.who.role == PeerRole::kCache;
    if (server) TRIBUTARY_TRY(servers.Add(entry.who, entry.key));
  }
  if (!out.entries().empty()) TRIBUTARY_TRY(transport::WritePeerList(directory / "revoked", out));
  TRIBUTARY_TRY(transport::WritePeerList(directory / "servers", servers));
  // Last: a server reads it within a second.
  TRIBUTARY_TRY(transport::WritePeerList(directory / "peers", list));
  return outcome;
}

// Of a site that makes its own key, so that its secret half never leaves it.
int MakeOwn(const std::string& path) {
  bool made = false;
  const auto key = PublicKey(path, &made);
  if (!key.ok()) return Report(key.error());
  fmt::print("{}\n", *key);
  fmt::print(stderr, "{} {}; the federation's operator admits it: tributary keygen DIR --admit 'trainer/SITE={}'\n", made ? "made" : "kept", path, *key);
  return config::kExitDone;
}

}  // namespace

int KeygenCommand(int argc, char** argv) {
  config::Options options("tributary keygen", "makes a federation's keys and the list of who is admitted; what is there is kept");
  options.AddPositional("directory", "for keys and lists; with --own the key file to make");
  options.AddStrings("site", "a site that trains: makes DIR/sites/NAME/key; may be repeated", config::CheckName);
  options.AddStrings("cache", "a cache of the blob-store (--upstream): makes DIR/caches/NAME/key; may be repeated", config::CheckName);
  options.AddStrings("operator", "one more who may submit and stop jobs, put and get: makes DIR/operators/NAME/key; may be repeated", config::CheckName);
  options.AddStrings("admit", "ROLE/NAME=PUBLIC-KEY: whose secret key was made elsewhere, as with --own; may be repeated");
  options.AddStrings("revoke", "ROLE/NAME: is heard no more within 5 s, by servers that run too; may be repeated");
  options.AddBool("own", false, "make one key and print its public half: what a site does that gives its secret to nobody");
  if (const auto exit_code = options.ParseOrExitCode(argc, argv, environ)) return *exit_code;
  if (options.Flag("own")) {
    for (const char* other : {"site", "cache", "operator", "admit", "revoke"}) {
      if (options.Given(other)) return Report(MakeError(Code::kInvalidArgument, "--own makes one key and nothing else: leave out --{}", other));
    }
    return MakeOwn(options.String("directory"));
  }
  const auto outcome = Generate(options);
  if (!outcome.ok()) return Report(outcome.error());
  const fs::path directory = options.String("directory");
  fmt::print("{} keys made, {} revoked; servers take --peers {}, everybody else --peers {}\n", outcome->made, outcome->revoked, (directory / "peers").string(),
             (directory / "servers").string());
  return config::kExitDone;
}

}  // namespace tributary::cli
