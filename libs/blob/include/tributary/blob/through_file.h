// A store whose chunks take the way through a file: what transfer.mode file does, to compare with systems that do so.
//
// A reader first receives its whole sequence into a file, then gives the chunks out of it; a writer first puts everything into a file, and
// Flush sends it. The files have no name, so that a process that dies leaves none. Everything else goes to `store`, which, like `pool`,
// outlives this and its readers and writers. Each chunk in memory holds a buffer: of `pool` when it is read, of the store's own when it is
// written. Failures are those of `store`, and kIo or kResourceExhausted with the directory's name. One thread, as the store under it.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "tributary/blob/store.h"

namespace tributary::blob {

struct ThroughFileOptions {
  std::string directory;  // must exist
  // Bytes of the object that crossed the socket so far: `what` is "download" or "upload".
  std::function<void(const char* what, std::uint64_t bytes)> moved;
};

std::shared_ptr<BlobStore> ThroughFile(std::shared_ptr<BlobStore> store, memory::Pool& pool, ThroughFileOptions options);

}  // namespace tributary::blob
