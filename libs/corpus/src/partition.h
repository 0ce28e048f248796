// Who gets what: files or documents dealt to partitions, the same at every site for the same seed.
#pragma once

#include <cstdint>
#include <vector>

#include "tributary/corpus/files.h"

namespace tributary::corpus {

// The partition of each file. The largest first, to the partition that has the fewest bytes; the
// seed stirs the order (sizes count up to a quarter more) and which partition is first.
std::vector<std::uint32_t> DealFiles(const std::vector<TextFile>& files, std::uint32_t partitions,
                                     std::uint64_t seed);

// The partition of each of `documents` documents: a seeded shuffle dealt round, so that counts
// differ by one at most.
std::vector<std::uint32_t> DealDocuments(std::uint64_t documents, std::uint32_t partitions,
                                         std::uint64_t seed);

}  // namespace tributary::corpus
