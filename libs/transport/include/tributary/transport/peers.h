// Who may speak to whom: the public keys (CURVE) of a federation's processes, each with a role and a name.
//
// A text file, one identity in a line, "ROLE NAME KEY"; blank lines and lines that begin with # say nothing. Roles: coordinator, blob-store, aggregator, trainer (its
// name is the site's), operator, cache (of a blob-store; clients tell caches by name). A server's file is its allow-list; who dials takes the servers' keys out of its own. One key has one
// identity; an identity may have several keys (while one is replaced by another). Values, any thread. Failures: kInvalidArgument with file and line, kPermission
// (others may write the file, and so admit whom they like), kIo.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tributary/base/result.h"

namespace tributary::transport {

enum class PeerRole { kCoordinator, kBlobStore, kAggregator, kTrainer, kOperator, kCache };
std::string_view RoleName(PeerRole role);
std::optional<PeerRole> ParseRole(std::string_view name);

struct Identity {
  PeerRole role = PeerRole::kOperator;
  std::string name;
  bool operator==(const Identity&) const = default;
  std::string str() const;  // "trainer hospital-a", for logs
};

class PeerList {
 public:
  // `file` stands in errors.
  static Result<PeerList> Parse(std::string_view text, const std::string& file);

  // kInvalidArgument: no key of CURVE in Z85, no name, or a key that another identity has.
  Status Add(Identity who, const std::string& key);
  // Null: nobody's.
  const Identity* Find(std::string_view key) const;
  // The first one with this role, in the order of the file.
  std::optional<std::string> KeyOf(PeerRole role) const;
  // Of the server that is to be dialled: the first of a name or, without a name, of the role; of caches without a name the only one. kInvalidArgument: none is.
  Result<std::string> KeyToDial(PeerRole role, std::string_view name = {}) const;
  struct Entry {
    Identity who;
    std::string key;
  };
  const std::vector<Entry>& entries() const { return entries_; }
  std::string Text() const;  // which Parse reads

 private:
  std::vector<Entry> entries_;
  std::map<std::string, std::size_t, std::less<>> by_key_;
};

Result<PeerList> ReadPeerList(const std::filesystem::path& path);
// In one step, so that a reader has the old list or the new one.
Status WritePeerList(const std::filesystem::path& path, const PeerList& list);

}  // namespace tributary::transport
