// The site's own data for a job: tokenizer and the seat's partition, opened once and kept while the job's words stay the same.
//
// Token files are kept under the work directory (WORK-DIR/tokens), where a restarted trainer finds them; without one they are temporary
// files. Used by the task thread. Raw data never leaves; a job can only name data that the operator gave with --data. Made-up images
// (format synthetic) need no place.
#pragma once

#include <memory>
#include <stop_token>
#include <string>

#include "services/trainer/task_support.h"
#include "tributary/corpus/corpus.h"
#include "tributary/job/job.h"
#include "tributary/text/tokenizer.h"
#include "tributary/train/module.h"

namespace tributary::trainer {

class LocalData {
 public:
  explicit LocalData(const Identity& identity) : identity_(identity) {}

  // The partition `ordinal` of the job's data. Valid until the next call with another job or ordinal. Tells `progress` of the bytes that
  // are tokenized; kCancelled when `stop` is requested meanwhile.
  Result<const corpus::Corpus*> Open(const job::Job& job, std::uint32_t ordinal, session::TaskProgress& progress, std::stop_token stop);

 private:
  const Identity& identity_;
  std::string key_;
  std::unique_ptr<text::Tokenizer> tokenizer_;
  std::unique_ptr<corpus::Corpus> corpus_;
};

// kInvalidArgument where the job's data are images and the model is of text, or the other way round.
Status CheckDataSuits(const job::Job& job, const train::Model& model);

// A config.json for the job's model; `tokenizer` decides the vocabulary where the job leaves it open.
Result<std::string> MakeConfigJson(const job::Model& model);

}  // namespace tributary::trainer
