// Every key that a job file may have, as data: for references, completion and the check of docs/job-file.md.
//
// The rows are those that the parser itself reads by. They live for ever; any thread.
#pragma once

#include <string_view>
#include <vector>

namespace tributary::job {

struct KeyInfo {
  std::string_view path;      // "train.batch_size"
  std::string_view expected;  // "a whole number of 1 to 65536"
  std::string_view fallback;  // "16"; empty: none
  std::string_view meaning;
  bool supported;  // false: named by the design, refused by this release
};

std::vector<KeyInfo> JobKeys();

}  // namespace tributary::job
