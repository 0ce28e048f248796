// Job files, as people write them and as they come from a submit.
#include "tests/fuzz/target.h"
#include "tributary/job/job.h"

using namespace tributary;

std::vector<std::string> tributary::fuzz::Seeds() {
  return {
      "name: a\nrounds: 2\nparticipants: {min: 2, quorum: 1, round_deadline: 5m}\nmodel: {family: synthetic, bytes: 1MiB, tensors: 4}\n"
      "data: {name: s, format: synthetic}\ntransfer: {chunk_bytes: 64KiB}\n",
      "name: b\ntasks: [train, validate]\nmodel: {family: gpt2, layers: 2, heads: 2, hidden: 64, positions: 128}\n"
      "data: {name: t, format: text, path: /srv, validation_fraction: 0.1, partition: {scheme: by-file, count: 3}}\n"
      "train: {mode: step, steps: 10, batch_size: 4, learning_rate: 1e-3, max_length: 64}\ncheckpoint: {every: 2, keep: 3}\n",
  };
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(fuzz::Text(data, size));
  const auto job = job::ParseJob(text, "job.yaml");
  if (!job.ok()) {
    fuzz::Promise(job.error().message().starts_with("job.yaml"), "an error names its file");
    return 0;
  }
  const auto merged = job::MergeOverrides(text, "job.yaml", {});
  fuzz::Promise(merged.ok() && job::ParseJob(*merged, "job.yaml").ok(), "what is sent parses as what was read");
  return 0;
}
