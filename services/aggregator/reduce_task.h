// One aggregation task: the weighted mean of a range of slots over all updates, slot by slot.
//
// Memory: one accumulator and the chunks under way, all out of the pool. Slots that the output has already (an earlier worker died
// after writing them) are left as they are. Updates may still be on their way: a slot is reduced as soon as all of them have it, and
// who is late is the coordinator's to say, which then withdraws the task. Runs on the caller's thread; kCancelled when `stop` is
// requested. An update that is not of the digest that its trainer reported, not made from the base, laid out otherwise or not finite
// is kInvalidArgument, and the message names it.
#pragma once

#include "tributary/blob/store.h"
#include "tributary/broadcast/broadcast.h"
#include "tributary/session/worker.h"

namespace tributary::aggregator {

// How the job says that its updates stand.
struct UpdateForm {
  tensor::Encoding encoding = tensor::Encoding::kNative;
  bool delta = false;
  tensor::Encoding broadcast = tensor::Encoding::kNative;  // of task.broadcast
  double max_norm = 0;  // of differences; 0: any
};

// The checks of an aggregate task's updates, and those of a seal task's: their specs and digests (docs/round.md). The message names
// the update that is not as the others must be.
Status CheckUpdates(blob::BlobStore& store, const wire::TaskSpec& task, const UpdateForm& form);

// That the update is sealed, with the digest that its trainer reported: what was averaged while it came is what stands there now. And that its
// norm, which the store summed up while the chunks came in, is at most `max_norm` (0: any).
Status CheckSealed(blob::BlobStore& store, const wire::Input& input, double max_norm);

// With task.broadcast the range's slots are encoded in the same pass; what an earlier worker left unencoded is read again. Returns what this
// worker's encoding lost.
Result<broadcast::Loss> Reduce(blob::BlobStore& store, const wire::TaskSpec& task, const UpdateForm& form, session::TaskProgress& progress,
                               std::stop_token stop);

}  // namespace tributary::aggregator
