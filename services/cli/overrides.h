// --set path.to.key=value, as often as it is given.
#pragma once

#include <string>
#include <vector>

#include "tributary/base/result.h"
#include "tributary/job/job.h"

namespace tributary::cli {

inline Result<std::vector<job::Override>> ParseOverrides(const std::vector<std::string>& flags) {
  std::vector<job::Override> overrides;
  for (const std::string& flag : flags) {
    TRIBUTARY_ASSIGN(job::Override one, job::ParseOverride(flag));
    overrides.push_back(std::move(one));
  }
  return overrides;
}

}  // namespace tributary::cli
