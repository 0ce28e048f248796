// Private: reads sealed objects and compares them with their manifests.
//
// Opens files of its own and takes no lock: an object that is removed meanwhile is left out. Any thread.
#pragma once

#include <filesystem>

#include "tributary/blob/local_store.h"

namespace tributary::blob {

// All below `objects`, of which the store has the slots of `shard`.
Result<ScrubReport> ScrubObjects(const std::filesystem::path& objects, const Shard& shard, const ScrubOptions& options);

}  // namespace tributary::blob
