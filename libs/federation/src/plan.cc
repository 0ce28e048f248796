#include "tributary/federation/plan.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "tributary/base/random.h"

namespace tributary::federation {

std::uint32_t RoundSize(const job::Participants& participants, std::uint32_t count) {
  // The small subtraction keeps 0.1 * 30 = 3.0000000000000004 from becoming four.
  const double share = std::ceil(participants.fraction * count - 1e-9);
  return static_cast<std::uint32_t>(std::min<std::uint64_t>(
      count, std::max<std::uint64_t>({static_cast<std::uint64_t>(std::max(share, 1.0)), participants.quorum, 1})));
}

std::vector<std::uint32_t> SelectSeats(const job::Participants& participants, std::uint32_t count, std::uint32_t round,
                                       const std::set<std::uint32_t>& taken) {
  const std::uint32_t wanted = RoundSize(participants, count);
  std::vector<std::uint32_t> order(count);
  std::iota(order.begin(), order.end(), 0u);
  SplitMix64 random(MixSeed(participants.seed, round));
  for (std::uint32_t i = count; i > 1; --i) std::swap(order[i - 1], order[random.NextBelow(i)]);
  std::vector<std::uint32_t> selected;
  for (const std::uint32_t ordinal : order) {
    if (selected.size() == wanted) break;
    if (taken.count(ordinal) != 0) selected.push_back(ordinal);
  }
  std::sort(selected.begin(), selected.end());
  return selected;
}

std::vector<tensor::SlotRange> SplitSlots(std::uint64_t slots, std::uint64_t workers) {
  const std::uint64_t parts = std::min(slots, std::max<std::uint64_t>(workers, 1));
  std::vector<tensor::SlotRange> ranges;
  std::uint64_t begin = 0;
  for (std::uint64_t i = 0; i < parts; ++i) {
    const std::uint64_t size = slots / parts + (i < slots % parts ? 1 : 0);
    ranges.push_back({begin, begin + size});
    begin += size;
  }
  return ranges;
}

std::vector<double> Weights(const std::vector<double>& samples, bool by_samples) {
  std::vector<double> weights(samples.size(), samples.empty() ? 0 : 1.0 / static_cast<double>(samples.size()));
  if (!by_samples) return weights;
  const double sum = std::accumulate(samples.begin(), samples.end(), 0.0);
  for (std::size_t i = 0; i < samples.size(); ++i) weights[i] = samples[i] / sum;
  return weights;
}

bool KeepsModel(const job::Checkpoint& checkpoint, std::uint32_t model, std::uint32_t newest) {
  if (model == newest) return true;
  if (checkpoint.every == 0 || model == 0 || model % checkpoint.every != 0) return false;
  return newest / checkpoint.every - model / checkpoint.every < checkpoint.keep;
}

bool HasBroadcast(const job::Job& job, std::uint32_t round) {
  return job.transfer.broadcast != tensor::Encoding::kNative && (round < job.rounds || job.validate);
}

std::string BroadcastObject(const std::string& job, std::uint32_t round) { return fmt::format("jobs/{}/broadcasts/{}", job, round); }

std::string ModelObject(const std::string& job, std::uint32_t round) {
  return fmt::format("jobs/{}/models/{}", job, round);
}

std::string UpdateObject(const std::string& job, std::uint32_t round, const std::string& site, std::uint32_t ordinal,
                         std::uint32_t attempt) {
  std::string name = fmt::format("jobs/{}/rounds/{}/updates/{}/{}", job, round, site, ordinal);
  if (attempt > 0) name += fmt::format(".g{}", attempt);
  return name;
}

const char* KindName(wire::TaskKind kind) {
  switch (kind) {
    case wire::TaskKind::kInit: return "init";
    case wire::TaskKind::kTrain: return "train";
    case wire::TaskKind::kValidate: return "validate";
    case wire::TaskKind::kAggregate: return "aggregate";
    case wire::TaskKind::kSeal: return "seal";
    case wire::TaskKind::kRemove: return "remove";
    case wire::TaskKind::kOffer: return "offer";
  }
  return "unknown";
}

std::string TaskName(const std::string& job, std::uint32_t round, wire::TaskKind kind, std::uint32_t index,
                     std::uint32_t attempt) {
  std::string name = fmt::format("{}.r{}.{}.{}", job, round, KindName(kind), index);
  if (attempt > 0) name += fmt::format(".g{}", attempt);
  return name;
}

}  // namespace tributary::federation
