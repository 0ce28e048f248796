// Private: reads a sequence of chunks, a window of requests ahead of its consumer.
//
// Each request holds a reservation for its chunk (and the frame's header), taken in order of the sequence, so the next chunk to be
// delivered always has one; it passes to the chunk and ends with it. One thread, the lanes'.
#pragma once

#include <deque>
#include <map>
#include <optional>

#include "lanes.h"
#include "tributary/tensor/layout.h"
#include "window.h"

namespace tributary::blob_client {

class RemoteReader final : public blob::ChunkReader, public Participant {
 public:
  RemoteReader(Lanes& lanes, blob::ChunkSequence sequence, const blob::ReadOptions& options);
  ~RemoteReader() override;

  Result<std::optional<blob::Chunk>> Next() override;

  void OnReply(std::uint64_t id, transport::InFrame frame) override;
  void OnLost(Session& session) override;
  void OnSession(Session& session) override;
  bool Advance() override;

 private:
  struct Pending {
    blob::ChunkRef ref;
    std::size_t lane = 0;
    std::uint64_t bytes = 0;
    std::uint64_t id = 0;  // 0: to be asked
    int attempts = 0;
    bool lost = false;  // asked for in a session that ended
    memory::Reservation reservation;
    std::optional<transport::InFrame> frame;
    std::uint64_t generation = 0;
    std::optional<Error> error;
    bool done() const { return frame || error; }
  };

  // Takes more of the sequence while window and memory allow.
  Status Fill();
  Status Ask();
  Result<std::uint64_t> BytesOf(const blob::ChunkRef& ref);
  Status Check(Pending& pending, transport::InFrame frame);
  Error NoProgress() const;
  Error NoMemory() const;

  Lanes& lanes_;
  blob::ChunkSequence sequence_;
  const blob::ReadOptions options_;
  Window window_;
  Deadline deadline_;
  std::deque<Pending> pending_;
  std::uint64_t pending_bytes_ = 0;
  std::optional<blob::ChunkRef> next_;
  bool ended_ = false;
  std::uint64_t delivered_ = 0;
  std::optional<Error> failed_;

  struct Sizes {
    std::vector<tensor::Section> sections;
    std::uint64_t slots = 0;
    tensor::Encoding encoding = tensor::Encoding::kNative;
  };
  std::map<ObjectName, Sizes> sizes_;
};

}  // namespace tributary::blob_client
