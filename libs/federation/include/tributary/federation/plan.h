// Deterministic choices of a round: who takes part, how slots are split, what each update weighs, what things are called.
//
// Pure functions of their arguments, the same on every machine; any thread.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "tributary/job/job.h"
#include "tributary/tensor/layout.h"
#include "tributary/wire/control.h"

namespace tributary::federation {

// Trainers that a round asks for: ceil(fraction * count), at least the quorum, at most `count`.
std::uint32_t RoundSize(const job::Participants& participants, std::uint32_t count);

// Seats that train in `round`: RoundSize of them, taken in the order of a permutation seeded by the job's seed and the round; only seats
// in `taken`. Ascending.
std::vector<std::uint32_t> SelectSeats(const job::Participants& participants, std::uint32_t count, std::uint32_t round,
                                       const std::set<std::uint32_t>& taken);

// [0, slots) in min(slots, max(1, workers)) ranges whose sizes differ by one at most.
std::vector<tensor::SlotRange> SplitSlots(std::uint64_t slots, std::uint64_t workers);

// n_i / Σn in double; equal shares if not by_samples. REQUIRES: samples finite and > 0.
std::vector<double> Weights(const std::vector<double>& samples, bool by_samples);

// Is models/<model> still kept when models/<newest> is the last one sealed?
bool KeepsModel(const job::Checkpoint& checkpoint, std::uint32_t model, std::uint32_t newest);

// Is models/<round> also encoded for trainers (transfer.broadcast)? Not where nobody downloads it.
bool HasBroadcast(const job::Job& job, std::uint32_t round);

std::string ModelObject(const std::string& job, std::uint32_t round);
std::string BroadcastObject(const std::string& job, std::uint32_t round);
// `attempt` 0 has no suffix. A seat's next holder writes another object, lest one update mix the bytes of two trainers.
std::string UpdateObject(const std::string& job, std::uint32_t round, const std::string& site, std::uint32_t ordinal,
                         std::uint32_t attempt);
// "JOB.r3.train.1", "JOB.r3.train.1.g2"
std::string TaskName(const std::string& job, std::uint32_t round, wire::TaskKind kind, std::uint32_t index,
                     std::uint32_t attempt);
const char* KindName(wire::TaskKind kind);

}  // namespace tributary::federation
