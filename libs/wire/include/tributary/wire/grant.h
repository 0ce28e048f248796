// What a trainer's task may do at the blob-store: told by the coordinator, carried by the trainer, believed by the store because it is signed
// (transport/grants.h signs and checks; docs/security.md).
//
// Names of objects are exact. A plain value; the decoder bounds what it makes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "tributary/base/result.h"

namespace tributary::wire {

// Signature included. A task names five objects at most.
constexpr std::size_t kMaxGrantBytes = 2048;
constexpr std::size_t kMaxGrantObjects = 8;  // in each list

struct Grant {
  std::string role;                  // of the identity that may use it, as in the list of peers
  std::string name;
  std::string job;                   // empty: of none
  std::uint32_t kind = 0;            // TaskKind
  std::vector<std::string> reads;
  std::vector<std::string> writes;   // created, written, sealed and read; removed too, where the task's kind is offer or remove
  std::int64_t until = 0;            // seconds since 1970
  bool operator==(const Grant&) const = default;
};

std::string EncodeGrant(const Grant& grant);
Result<Grant> DecodeGrant(std::span<const std::byte> bytes);

}  // namespace tributary::wire
