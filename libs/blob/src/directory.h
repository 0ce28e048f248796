// Private: how a store's directory is laid out: its format, its lock, and the names of objects as names of files.
#pragma once

#include <filesystem>
#include <functional>
#include <string>

#include "files.h"
#include "tributary/base/names.h"
#include "tributary/base/units.h"
#include "tributary/blob/shard.h"

namespace tributary::blob {

inline std::filesystem::path ObjectsIn(const std::filesystem::path& store) { return store / "objects"; }
inline std::filesystem::path TemporaryIn(const std::filesystem::path& store) { return store / "tmp"; }

std::string FileNameOf(const ObjectName& name);
// Back again; whatever lies there, so it may be no name.
std::string ObjectTextOf(const std::filesystem::path& directory);
// Calls `visit` for every object below `objects`, in no order, until it gives an error. Objects that come or go meanwhile may be left out.
Status ForEachObject(const std::filesystem::path& objects,
                     const std::function<Status(const ObjectName&, const std::filesystem::path&)>& visit);

// kUnavailable while another process has the store.
Result<Fd> LockStore(const std::filesystem::path& store);
// A directory of another format or shard, or with other people's files, is refused: the store removes what it finds in its tmp. An empty one
// becomes this shard's.
Status CheckFormat(const std::filesystem::path& store, const Shard& shard);
// Which shard's it is; an empty one is kNotFound.
Result<Shard> ReadFormat(const std::filesystem::path& store);

// Open, and without a put for so long; of what a site put for somebody (`offers/…`) also sealed, and for so long not fetched and removed.
bool IsAbandoned(const ObjectName& name, const std::filesystem::path& directory, Duration age);

}  // namespace tributary::blob
