#include "services/cli/run_events.h"

#include <gtest/gtest.h>

namespace tributary::cli {
namespace {

TEST(EventValues, GroupsWhatBelongsTogether) {
  wire::RoundStatus round;
  round.round = 3;
  round.seconds = 12.5;
  round.participants = {"a/0", "b/1"};
  round.bytes_up = 10;
  round.bytes_down = 20;
  round.metrics = {{"train_loss", 2}, {"val_loss", 3}, {"seconds_train", 9}, {"aggregator_bytes_up", 7}, {"tokens_per_second", 5100}};
  std::map<std::string, InstanceUse> memory;
  memory["blob-store"].peak_rss_bytes = 32u << 20;
  EXPECT_EQ(EventValues(round, memory),
            (std::map<std::string, double>{{"loss/train", 2}, {"loss/validation", 3}, {"seconds/round", 12.5}, {"seconds/train", 9}, {"bytes/up", 10}, {"bytes/down", 20},
                                           {"bytes/aggregator_up", 7}, {"metrics/tokens_per_second", 5100}, {"metrics/participants", 2}, {"memory_peak_mib/blob-store", 32}}));
}

}  // namespace
}  // namespace tributary::cli
