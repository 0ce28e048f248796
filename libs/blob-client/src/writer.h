// Private: puts chunks, several under way, each kept until it is acknowledged.
//
// A put spends credit of its lane's session; what a lost session did not acknowledge is put again in the next. After the first error nothing
// more is sent. One thread, the lanes'.
#pragma once

#include <deque>
#include <functional>
#include <optional>
#include <vector>

#include "lanes.h"
#include "tributary/wire/object.h"
#include "window.h"

namespace tributary::blob_client {

class RemoteWriter final : public blob::ChunkWriter, public Participant {
 public:
  // Gives a page of an object's manifest.
  using GetPage = std::function<Result<std::vector<wire::SlotDigest>>(const ObjectName& object, std::uint64_t page)>;

  RemoteWriter(Lanes& lanes, const blob::WriteOptions& options, GetPage get_page);
  ~RemoteWriter() override;

  Result<memory::BufferPtr> Allocate(std::size_t bytes) override;
  Status Put(const ObjectName& object, std::uint64_t slot, memory::BufferPtr chunk) override;
  Status Flush() override;
  std::uint64_t deduplicated() const override { return deduplicated_; }

  void OnReply(std::uint64_t id, transport::InFrame frame) override;
  void OnLost(Session& session) override;
  void OnSession(Session& session) override;
  bool Advance() override;

 private:
  struct Item {
    ObjectName object;
    std::uint64_t slot = 0;
    std::size_t lane = 0;
    memory::BufferPtr buffer;
    digest::Xxh128 xxh128{};
    std::uint64_t id = 0;  // 0: to be sent
    int sent = 0;
    int damaged = 0;
    std::optional<digest::Sha256> linked;  // by these bytes' digest, instead of being sent
    std::uint64_t bytes() const { return buffer->payload().size(); }
  };

  // Of the bytes if the store has them: in options.same_as at this slot, as far as its manifest tells.
  std::optional<digest::Sha256> LinkOf(std::uint64_t slot, std::span<const std::byte> bytes, const digest::Xxh128& xxh128);
  // Sends what credit allows, asks for more.
  Status SendItems();
  Status Check() const;
  // Until at most `bytes` are not acknowledged.
  Status DrainTo(std::uint64_t bytes);
  void Fail(const Error& error);
  void Renew();
  bool AllSent() const;
  Error NoProgress() const;

  Lanes& lanes_;
  const blob::WriteOptions options_;
  const GetPage get_page_;
  Window window_;
  const Duration timeout_;
  const Duration ack_timeout_;
  Deadline deadline_;      // while there is something to send
  Deadline ack_deadline_;  // once everything is sent
  std::deque<Item> items_;  // not acknowledged
  std::uint64_t item_bytes_ = 0;
  std::uint64_t unit_ = 0;  // the largest chunk so far
  std::uint64_t acknowledged_ = 0;
  std::optional<Error> failed_;
  std::uint64_t deduplicated_ = 0;
  bool links_ = false;                     // same_as is as it should be, for all that is known
  std::optional<std::uint64_t> page_;      // of its manifest, the one that is here
  std::vector<wire::SlotDigest> digests_;  // of that page
  bool waits_for_socket_ = false;  // of an earlier session, to let go of a buffer
};

}  // namespace tributary::blob_client
