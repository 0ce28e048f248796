// The client of `bench transfer`: puts a set of tensors into a blob-store and gets it back, in one of the transfer modes.
//
// Runs in a process of its own (Forked), with the library that trainers use. Bytes, seconds.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "services/cli/bench/forked.h"
#include "tributary/base/result.h"
#include "tributary/tensor/layout.h"
#include "tributary/transport/keyring.h"

namespace tributary::cli {

struct TransferPlan {
  std::uint64_t bytes = 0;
  std::uint64_t tensors = 1;  // of equal size; the last takes the remainder
  std::uint64_t chunk_bytes = 0;
  std::uint64_t memory_budget = 0;
  std::uint64_t repeats = 1;
  struct Keys {
    transport::Keyring store;
    transport::Keyring client;
  };
  std::optional<Keys> keys = {};  // with CURVE
  std::uint64_t chunks() const { return bytes / chunk_bytes; }
};

// One mode of a plan, with what it needs.
struct TransferMode {
  std::string name;  // "stream", "container", "file" or "regular"
  tensor::Cut cut = tensor::Cut::kChunks;
  std::uint64_t largest_message = 0;
  std::uint64_t memory_budget = 0;  // of the store and of the client: the plan's, or what the largest message needs
  std::uint64_t max_message = 0;    // of the store
};
// kInvalidArgument when its messages would be too large or too many.
Result<TransferMode> ModeOf(const std::string& name, const TransferPlan& plan);

// Seconds of {"put", "seal", "get"} and CPU seconds {"put_cpu", "get_cpu"}; tells a line once the object is sealed. `directory` takes the
// files of mode file.
Result<Json> RunTransferClient(const std::string& endpoint, const TransferPlan& plan, const TransferMode& mode, const std::string& directory,
                               const Forked::Tell& tell);

}  // namespace tributary::cli
