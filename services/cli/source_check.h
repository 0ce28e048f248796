// What of a model directory no trainer would take, told before a byte of it is imported.
//
// Reads texts alone: config.json, which is open already, and the tokenizer's files, once. Weights are not read. Errors are one line that names the
// key (model.source), the file, the cause and what is supported. Pure but for reading files; any thread.
#pragma once

#include "tributary/base/result.h"
#include "tributary/job/job.h"
#include "tributary/modeldir/directory.h"

namespace tributary::cli {

// False where what is trained on is images, or made up.
bool ReadsText(const job::Job& job);

// `source` is the directory of job.model.source. kInvalidArgument for a model_type that no trainer makes a model of, and for tokenizer files that
// cannot be read where the job would use them.
Status CheckSource(const job::Job& job, const modeldir::ModelDirectory& source);

}  // namespace tributary::cli
