// What an aggregator does: init of synthetic models, aggregation, seals, removals.
//
// A session::TaskRunner. Each task opens the store anew through `open_store`, so that it ends with the task. One task at a time.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "tributary/blob/store.h"
#include "tributary/session/worker.h"

namespace tributary::aggregator {

using OpenStore = std::function<Result<std::shared_ptr<blob::BlobStore>>(const session::TaskContext& task)>;

class AggregatorTasks final : public session::TaskRunner {
 public:
  explicit AggregatorTasks(OpenStore open_store) : open_store_(std::move(open_store)) {}
  Result<session::TaskResult> Run(const session::TaskContext& context) override;

 private:
  OpenStore open_store_;
};

}  // namespace tributary::aggregator
