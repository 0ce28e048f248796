// What this site's administrator lets others ask for by name, put into the blob-store when somebody does.
//
// Only names that --offer lists are given out; a peer never says a path, and is never told one. Runs beside training, on a thread of its
// own, in constant memory: the window of chunks under way.
#pragma once

#include "services/trainer/task_support.h"

namespace tributary::trainer {

// kNotFound: not offered, or no longer there; kDataLoss: it changed while it was read. The object is left for the coordinator to have removed.
Result<session::TaskResult> SendOffer(blob::BlobStore& store, const session::TaskContext& context, const Identity& identity);

// Removes what was put for somebody; objects of any other kind are refused.
Result<session::TaskResult> RemoveOffered(blob::BlobStore& store, const session::TaskContext& context);

}  // namespace tributary::trainer
