// The bare pair of sockets between two processes: what ZeroMQ itself moves here, with malloc set as the services set it.
//
// One thread, which has no others beside it. Bytes, seconds.
#pragma once

#include <cstdint>
#include <string>

#include "tributary/base/result.h"
#include "tributary/transport/bare_pair.h"

namespace tributary::cli {

struct PairRun {
  double bytes_per_second = 0;
  double cpu_seconds = 0;  // of both processes
};

// `hashed`: the receiver computes SHA-256 of every message.
Result<PairRun> RunPair(const std::string& endpoint, const transport::BarePair& pair, bool hashed);

}  // namespace tributary::cli
