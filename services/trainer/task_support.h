// What the trainer's tasks share: who this trainer is, and how a task reaches the store.
//
// Values that live as long as the service and do not change; used by the task threads.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "tributary/blob/store.h"
#include "tributary/session/worker.h"
#include "tributary/train/module.h"

namespace tributary::trainer {

struct Identity {
  std::string site = "local";
  std::map<std::string, std::string> data;  // name -> path, at this site
  std::map<std::string, std::string> offers;  // name -> path of what is given to whoever asks for it
  std::string work_dir;                     // empty: nothing is written
  std::uint32_t threads = 0;                // of local training; 0: as the job says
};

using OpenStore = std::function<Result<std::shared_ptr<blob::BlobStore>>(const session::TaskContext& task)>;
using LoadModule = std::function<Result<train::Module*>()>;

// Bytes moved by a task, told to the coordinator as they move.
class ByteCount {
 public:
  explicit ByteCount(session::TaskProgress& progress) : progress_(progress) {}
  void Up(std::uint64_t bytes) { progress_.Bytes(up_ += bytes, down_); }
  void Down(std::uint64_t bytes) { progress_.Bytes(up_, down_ += bytes); }
  // Bytes that were counted as sent and did not have to be.
  void Deduplicated(std::uint64_t bytes) { progress_.Bytes(up_ -= std::min(bytes, up_), down_), deduplicated_ += bytes; }
  std::uint64_t deduplicated() const { return deduplicated_; }
  std::uint64_t up() const { return up_; }
  std::uint64_t down() const { return down_; }

 private:
  session::TaskProgress& progress_;
  std::uint64_t up_ = 0;
  std::uint64_t down_ = 0;
  std::uint64_t deduplicated_ = 0;
};

// The native elements of a slot out of its chunk: the chunk itself where it is native, else decoded into `scratch`, which may be used again
// for the next one. kProtocol if the chunk has not the slot's size.
Result<std::span<const std::byte>> NativeOf(const blob::Chunk& chunk, const tensor::SlotPlace& place, tensor::Encoding encoding,
                                            std::vector<std::byte>& scratch);

// The object that a task reads, which must be sealed and, where the coordinator told its digest, of that digest.
Status CheckBase(blob::BlobStore& store, const ObjectName& base, const std::string& digest);

}  // namespace tributary::trainer
