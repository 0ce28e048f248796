// What a byte costs on this machine at least: SHA-256, a socket, the page cache, the disk; and the floor of a job made of them.
//
// Costs are CPU seconds a byte (they add up and are shared by the cores); the disk's is wall-clock seconds a byte. One thread, which has no
// others beside it.
#pragma once

#include <cstdint>

#include "services/cli/bench/bench.h"

namespace tributary::cli {

struct Rates {
  double sha256_cpu = 0;  // CPU seconds a byte
  double socket_cpu = 0;  // both ends of a bare pair over a UNIX socket
  double write_cpu = 0;   // into the page cache
  double read_cpu = 0;    // out of it
  double sync_wall = 0;   // until it is on the disk
  unsigned cores = 1;     // that this process may use
};

// `bytes` go through each.
Result<Rates> MeasureRates(const Scratch& scratch, std::uint64_t bytes);

// The bytes of a job of `rounds` rounds in which `trainers` stream a model of `model_bytes` through and send updates as large as it.
struct JobBytes {
  std::uint64_t moved = 0;   // across sockets
  std::uint64_t hashed = 0;  // SHA-256, once each
  std::uint64_t written = 0;
  std::uint64_t read = 0;
  std::uint64_t synced = 0;
};
JobBytes BytesOfJob(std::uint64_t model_bytes, std::uint64_t trainers, std::uint64_t rounds);

struct Floor {
  double cpu_seconds = 0;   // shared by all cores without a gap
  double disk_seconds = 0;
  double seconds() const { return std::max(cpu_seconds, disk_seconds); }
};
Floor FloorOf(const JobBytes& bytes, const Rates& rates);

}  // namespace tributary::cli
