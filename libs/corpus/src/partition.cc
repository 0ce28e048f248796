#include "partition.h"

#include <algorithm>
#include <numeric>

#include "shuffle.h"
#include "tributary/base/random.h"

namespace tributary::corpus {

std::vector<std::uint32_t> DealFiles(const std::vector<TextFile>& files, std::uint32_t partitions,
                                     std::uint64_t seed) {
  SplitMix64 random(seed);
  std::vector<double> stirred(files.size());
  for (std::size_t i = 0; i < files.size(); ++i) {
    stirred[i] = static_cast<double>(files[i].bytes) * (1.0 + 0.25 * random.NextUnit());
  }
  std::vector<std::size_t> order(files.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return stirred[a] > stirred[b]; });
  std::vector<std::uint32_t> turn(partitions);
  std::iota(turn.begin(), turn.end(), 0);
  Shuffle(turn, random);
  std::vector<std::uint64_t> bytes(partitions);
  std::vector<std::uint32_t> partition_of(files.size());
  for (const std::size_t file : order) {
    const auto least =
        std::min_element(turn.begin(), turn.end(),
                         [&](std::uint32_t a, std::uint32_t b) { return bytes[a] < bytes[b]; });
    partition_of[file] = *least;
    bytes[*least] += files[file].bytes;
  }
  return partition_of;
}

std::vector<std::uint32_t> DealDocuments(std::uint64_t documents, std::uint32_t partitions,
                                         std::uint64_t seed) {
  std::vector<std::uint32_t> partition_of(documents);
  for (std::uint64_t i = 0; i < documents; ++i)
    partition_of[i] = static_cast<std::uint32_t>(i % partitions);
  SplitMix64 random(seed);
  Shuffle(partition_of, random);
  return partition_of;
}

}  // namespace tributary::corpus
