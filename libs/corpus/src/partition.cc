#include "partition.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "shuffle.h"
#include "tributary/base/random.h"

namespace tributary::corpus {
namespace {

// Seeds of different uses of one job seed.
enum Use : std::uint64_t { kItems = 11, kHeldOut = 12, kShares = 13 };

// The last cut is the whole, whatever the shares sum to in floating point.
std::uint64_t CutAt(const std::vector<double>& shares, std::uint32_t partition,
                    std::uint64_t items) {
  if (partition >= shares.size()) return items;
  double sum = 0;
  for (std::uint32_t i = 0; i < partition; ++i) sum += shares[i];
  const double at = std::floor(std::clamp(sum, 0.0, 1.0) * static_cast<double>(items) + 0.5);
  return std::min(items, static_cast<std::uint64_t>(at));
}

}  // namespace

std::vector<std::uint32_t> DealFiles(const std::vector<DataFile>& files, std::uint32_t partitions,
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

Dealer::Dealer(const CorpusOptions& options, Population population)
    : options_(options), population_(std::move(population)) {
  if (options_.scheme == PartitionScheme::kDirichlet) {
    MakeLabels();
  } else if (options_.scheme == PartitionScheme::kIid) {
    groups_.push_back(MakeGroup(population_.items,
                                MixSeed(options_.seed, population_.held_out ? kHeldOut : kItems),
                                options_.partitions));
  }
}

Dealer::Group Dealer::MakeGroup(std::uint64_t items, std::uint64_t seed,
                                std::uint64_t least) const {
  Group group;
  group.order = Permutation(items, seed);
  group.items = items;
  if (options_.samples > 0 && options_.samples < population_.items) {
    // Rounded up, so that no label or file is lost.
    const double share = static_cast<double>(options_.samples) /
                         static_cast<double>(population_.items) * static_cast<double>(items);
    group.items = std::min(items, static_cast<std::uint64_t>(std::ceil(share - 1e-6)));
  }
  if (options_.validation_fraction <= 0) return group;
  if (population_.held_out) {
    group.validation = group.items;
    return group;
  }
  const auto fraction = static_cast<std::uint64_t>(
      std::floor(static_cast<double>(group.items) * options_.validation_fraction));
  group.validation = std::max(fraction, std::min(least, group.items / 2));
  return group;
}

void Dealer::MakeLabels() {
  const auto shares = DrawShares(population_.per_label, options_.partitions, options_.alpha,
                                 MixSeed(options_.seed, kShares));
  for (std::size_t label = 0; label < shares.size(); ++label) {
    Group group = MakeGroup(population_.per_label[label],
                            MixSeed(options_.seed, population_.held_out ? kHeldOut : kItems, label),
                            /*least=*/1);
    const std::uint64_t items[2] = {group.items - group.validation, group.validation};
    for (int part = 0; part < 2; ++part) {
      group.begin[part] = CutAt(shares[label], options_.partition, items[part]);
      group.end[part] = CutAt(shares[label], options_.partition + 1, items[part]);
    }
    groups_.push_back(std::move(group));
  }
}

std::optional<Part> Dealer::Next(std::uint32_t file, std::uint32_t label) {
  const bool by_file = options_.scheme == PartitionScheme::kByFile;
  if (by_file) {
    if (population_.owner[file] != options_.partition) return std::nullopt;
    if (file != file_) {
      file_ = file;
      groups_.clear();
      groups_.push_back(
          MakeGroup(population_.per_file[file], MixSeed(options_.seed, kItems, file), /*least=*/1));
    }
  }
  Group& group = groups_[options_.scheme == PartitionScheme::kDirichlet ? label : 0];
  const std::uint64_t place = group.order[group.next++];
  if (place >= group.items) return std::nullopt;
  const Part part = place < group.validation ? Part::kValidation : Part::kTraining;
  // Held-out data that nobody validates on is left aside; it never trains.
  if (population_.held_out && part == Part::kTraining) return std::nullopt;
  if (by_file) return part;
  const std::uint64_t turn = part == Part::kValidation ? place : place - group.validation;
  if (options_.scheme == PartitionScheme::kIid) {
    if (turn % options_.partitions != options_.partition) return std::nullopt;
    return part;
  }
  const auto index = static_cast<std::size_t>(part);
  if (turn < group.begin[index] || turn >= group.end[index]) return std::nullopt;
  return part;
}

}  // namespace tributary::corpus
