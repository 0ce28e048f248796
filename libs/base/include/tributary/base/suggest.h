// "did you mean": the known name nearest to one that is not known.
//
// Used where people write names by hand (flags, ini keys, job keys, --set paths). Pure functions, any thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace tributary {

// The candidate with the smallest edit distance (a swap of neighbours counts one), or "" when none is near:
// at most a third of the longer name's letters, and at least one, may differ.
std::string NearestName(std::string_view name, const std::vector<std::string>& candidates);
// "; did you mean 'x'?" or "".
std::string DidYouMean(std::string_view name, const std::vector<std::string>& candidates);

}  // namespace tributary
