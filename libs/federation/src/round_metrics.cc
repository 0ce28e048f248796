// What a round is told to have achieved, out of what its seats reported.
#include <algorithm>
#include <cmath>

#include "machine.h"

namespace tributary::federation {
namespace {

double Get(const Metrics& metrics, const char* name) {
  const auto it = metrics.find(name);
  return it == metrics.end() ? 0 : it->second;
}

}  // namespace

Metrics Federation::Machine::RoundMetrics(const RoundRow& round) const {
  Metrics metrics = round.metrics;
  double encoding_error = -1, weight = 0, loss = 0, with_loss = 0, tokens_per_second = 0, samples = 0, tokens = 0, deduplicated = 0;
  bool by_tokens = true;
  const auto trained = Tasks(round.job, round.round, wire::TaskKind::kTrain);
  for (const TaskRow* row : trained) {
    if (row->state == RowState::kDone && Get(row->metrics, "tokens") <= 0) by_tokens = false;
  }
  for (const TaskRow* row : trained) {
    if (row->state != RowState::kDone) continue;
    samples += Get(row->metrics, "samples");
    tokens += Get(row->metrics, "tokens");
    deduplicated += Get(row->metrics, "bytes_deduplicated");
    // No update lost more than this.
    if (row->metrics.count("encoding_error") != 0) encoding_error = std::max(encoding_error, Get(row->metrics, "encoding_error"));
    if (const double rate = Get(row->metrics, "tokens_per_second"); rate > 0) {
      tokens_per_second += rate;
    } else if (const double seconds = Get(row->metrics, "seconds"); seconds > 0) {
      tokens_per_second += Get(row->metrics, "tokens") / seconds;
    }
    if (row->metrics.count("train_loss") == 0) continue;
    weight = Get(row->metrics, by_tokens ? "tokens" : "samples");
    loss += weight * Get(row->metrics, "train_loss");
    with_loss += weight;
  }
  metrics["samples"] = samples;
  // Of the model that this round's seats were given.
  if (const auto before = state.rounds.find({round.job, round.round - 1});
      before != state.rounds.end() && !before->second.broadcast_digest.empty()) {
    metrics["broadcast_error"] = before->second.broadcast_error;
  }
  if (encoding_error >= 0) metrics["encoding_error"] = encoding_error;
  if (tokens > 0) metrics["tokens"] = tokens;
  if (deduplicated > 0) metrics["bytes_deduplicated"] = deduplicated;
  if (tokens_per_second > 0) metrics["tokens_per_second"] = tokens_per_second;
  if (with_loss > 0) metrics["train_loss"] = loss / with_loss;

  double val_loss = 0, correct = 0, targets = 0, validated = 0, empty = 0;
  bool accuracy = true;
  const auto validations = Tasks(round.job, round.round, wire::TaskKind::kValidate);
  for (const TaskRow* row : validations) {
    if (row->state != RowState::kDone) continue;
    const double count = row->metrics.count("val_targets") != 0 ? Get(row->metrics, "val_targets") : 1;
    if (count <= 0) {
      ++empty;
      continue;
    }
    ++validated;
    val_loss += count * Get(row->metrics, "val_loss");
    accuracy = accuracy && row->metrics.count("val_accuracy") != 0;
    correct += count * Get(row->metrics, "val_accuracy");
    targets += count;
  }
  // Seats that the loss is of, and those that had nothing held out.
  if (!validations.empty()) metrics["val_seats"] = validated;
  if (empty > 0) metrics["val_seats_empty"] = empty;
  if (targets > 0) {
    metrics["val_loss"] = val_loss / targets;
    metrics["val_perplexity"] = std::exp(val_loss / targets);
    if (accuracy) metrics["val_accuracy"] = correct / targets;
  }
  return metrics;
}

}  // namespace tributary::federation
