// The tokenizer that came with an imported model (model.tokenizer: object:NAME@SHA256), as a directory of this trainer's own.
//
// Fetched from the blob-store by the first task that needs it, and kept while jobs name the same: WORK-DIR/tokenizers/SHA256, where a
// restarted trainer finds it, or without a work directory in a temporary one that goes with this object. There is one at a time. A
// directory appears whole, by a rename, after every byte was held against the digest. Used by the task thread.
#pragma once

#include <stop_token>
#include <string>

#include "services/trainer/task_support.h"

namespace tributary::trainer {

class CarriedTokenizer {
 public:
  explicit CarriedTokenizer(const Identity& identity) : identity_(identity) {}
  ~CarriedTokenizer();
  CarriedTokenizer(const CarriedTokenizer&) = delete;
  CarriedTokenizer& operator=(const CarriedTokenizer&) = delete;

  // The directory with the files of `object`. Fails as modeldir::FetchTokenizer does.
  Result<std::string> Open(blob::BlobStore& store, const std::string& object, std::stop_token stop);

 private:
  Result<std::string> Base();
  const Identity& identity_;
  std::string temporary_;
};

}  // namespace tributary::trainer
