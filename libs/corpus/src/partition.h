// Who gets what: files, documents and images dealt to partitions, the same at every site for the
// same seed. Every item goes to one partition and to one of its parts.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "permutation.h"
#include "tributary/base/result.h"
#include "tributary/corpus/corpus.h"
#include "tributary/corpus/files.h"

namespace tributary::corpus {

enum class Part : std::uint8_t { kTraining = 0, kValidation = 1 };

// The partition of each file. The largest first, to the partition that has the fewest bytes; the
// seed stirs the order (sizes count up to a quarter more) and which partition is first.
std::vector<std::uint32_t> DealFiles(const std::vector<DataFile>& files, std::uint32_t partitions,
                                     std::uint64_t seed);

// How many items there are, by what the scheme goes by.
struct Population {
  std::uint64_t items = 0;
  std::vector<std::uint64_t> per_label;  // of scheme dirichlet
  std::vector<std::uint64_t> per_file;   // of scheme by-file
  std::vector<std::uint32_t> owner;      // of scheme by-file: the partition of each file
  // Items that were set apart for validation by whoever made the data: none of them trains.
  bool held_out = false;
};

// Goes through a population in its order and says which items are this partition's.
//
// iid: a seeded permutation is dealt round, so that counts differ by one at most. dirichlet: the
// items of a label, permuted, are cut into consecutive shares of Dirichlet(alpha) sizes; one draw
// of shares serves training, validation and held-out data, so that a seat is tested on what it is
// like. by-file: an item goes with its file. The first items of each permutation are for
// validation: floor(n * validation_fraction), and at least one for each partition (iid) or one (of
// a label or file), as long as half of the items are left. `options.samples` takes so many of the
// items, of each label or file in proportion. Memory: a Permutation for each label, or for one
// file.
class Dealer {
 public:
  Dealer(const CorpusOptions& options, Population population);

  // Of the next item; REQUIRES the label for dirichlet, and the file, in order, for by-file.
  std::optional<Part> Next(std::uint32_t file, std::uint32_t label);

 private:
  struct Group {
    Permutation order;
    std::uint64_t next = 0;
    std::uint64_t items = 0;       // that are taken, of order.size()
    std::uint64_t validation = 0;  // of those, the first
    // dirichlet: this partition's shares, [begin, end) of the training and of the validation items
    std::uint64_t begin[2] = {0, 0};
    std::uint64_t end[2] = {0, 0};
  };

  Group MakeGroup(std::uint64_t items, std::uint64_t seed, std::uint64_t least) const;
  void MakeLabels();

  CorpusOptions options_;
  Population population_;
  std::vector<Group> groups_;  // one; for dirichlet one a label; for by-file that of `file_`
  std::uint32_t file_ = UINT32_MAX;
};

// The shares of `partitions` in each label: shares[label][partition], each row a Dirichlet(alpha)
// draw that sums to 1. Redrawn, up to a hundred times, while a partition would get nothing.
std::vector<std::vector<double>> DrawShares(const std::vector<std::uint64_t>& per_label,
                                            std::uint32_t partitions, double alpha,
                                            std::uint64_t seed);

}  // namespace tributary::corpus
