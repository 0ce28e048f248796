#include "services/cli/run_events.h"

namespace tributary::cli {
namespace {

// Numbers of one kind share the part before the slash: TensorBoard shows them together.
std::string TagOf(const std::string& metric) {
  if (metric == "train_loss") return "loss/train";
  if (metric == "val_loss") return "loss/validation";
  if (metric.rfind("seconds_", 0) == 0) return "seconds/" + metric.substr(8);
  if (metric.rfind("aggregator_bytes_", 0) == 0) return "bytes/aggregator_" + metric.substr(17);
  return "metrics/" + metric;
}

}  // namespace

std::map<std::string, double> EventValues(const wire::RoundStatus& round, const std::map<std::string, InstanceUse>& memory) {
  std::map<std::string, double> values;
  for (const auto& [name, value] : round.metrics) values[TagOf(name)] = value;
  values["seconds/round"] = round.seconds;
  values["bytes/up"] = static_cast<double>(round.bytes_up);
  values["bytes/down"] = static_cast<double>(round.bytes_down);
  values["metrics/participants"] = static_cast<double>(round.participants.size());
  for (const auto& [instance, use] : memory) values["memory_peak_mib/" + instance] = static_cast<double>(use.peak_rss_bytes) / (1 << 20);
  return values;
}

}  // namespace tributary::cli
