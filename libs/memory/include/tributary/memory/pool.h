// One byte budget per service: every chunk that is in memory, or may arrive, holds a reservation of it.
//
// The budget is split into two reserves, one for reads (bytes on their way to a peer or, at a client, bytes asked
// for) and one for writes, so that neither starves the other. A Reservation is taken before bytes exist and given
// back when the last owner lets go; for a Buffer handed to the network that is when libzmq calls its free function.
// Sizes are bytes. All methods are thread-safe; a Pool outlives what it gave out.
#pragma once

#include <array>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <stop_token>
#include <vector>

#include "tributary/base/result.h"
#include "tributary/base/units.h"

namespace tributary::memory {

enum class Side : std::uint8_t { kRead = 0, kWrite = 1 };

class Pool;

// Bytes of one side of a pool's budget; gives them back when destroyed. Movable, one owner.
class Reservation {
 public:
  Reservation() = default;
  Reservation(Reservation&& other) noexcept;
  Reservation& operator=(Reservation&& other) noexcept;
  ~Reservation() { Release(); }

  std::uint64_t bytes() const { return bytes_; }
  // Splits `bytes` off into a reservation of its own. REQUIRES bytes <= this->bytes().
  Reservation Split(std::uint64_t bytes);
  void Release();

 private:
  friend class Pool;
  friend class Buffer;
  Reservation(Pool* pool, Side side, std::uint64_t bytes) : pool_(pool), side_(side), bytes_(bytes) {}
  Pool* pool_ = nullptr;
  Side side_ = Side::kRead;
  std::uint64_t bytes_ = 0;
};

// Room in front of every payload, where a frame's header is written, so that header and payload leave as one part.
constexpr std::size_t kHeadroom = 512;

// A payload and its headroom in one allocation, with the reservation that covers it.
class Buffer {
 public:
  ~Buffer();
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;

  std::span<std::byte> payload() { return {base_ + kHeadroom, size_}; }
  std::span<const std::byte> payload() const { return {base_ + kHeadroom, size_}; }
  // The kHeadroom bytes in front of payload().
  std::span<std::byte> headroom() { return {base_, kHeadroom}; }
  // Shortens the payload. REQUIRES size <= payload().size().
  void Truncate(std::size_t size) { size_ = size; }

 private:
  friend class Pool;
  Buffer(std::byte* base, std::size_t mapped, std::size_t size, Reservation reservation)
      : base_(base), mapped_(mapped), size_(size), reservation_(std::move(reservation)) {}
  std::byte* base_;
  std::size_t mapped_;
  std::size_t size_;
  Reservation reservation_;
};
using BufferPtr = std::shared_ptr<Buffer>;

struct PoolUse {
  std::uint64_t budget = 0;
  std::array<std::uint64_t, 2> limit{};  // by Side
  std::array<std::uint64_t, 2> used{};
  std::uint64_t peak = 0;  // of both sides together
  std::uint64_t kept = 0;  // pages for the next buffers: never more than the budget leaves
};

class Pool {
 public:
  // Half of `budget` for each side. A side always grants one request at a time even if the request is larger
  // than its half, as long as it fits the budget: the smallest budget that works is one chunk.
  explicit Pool(std::uint64_t budget);
  ~Pool();

  std::optional<Reservation> TryReserve(Side side, std::uint64_t bytes);
  // Waits until the bytes are free. kResourceExhausted at once when they never can be, kDeadline after `limit` without
  // success (zero: for ever), kCancelled when `stop` is requested.
  Result<Reservation> Reserve(Side side, std::uint64_t bytes, Duration limit, std::stop_token stop = {});

  // A buffer with room for `bytes` of payload.
  std::shared_ptr<Buffer> TryAllocate(Side side, std::size_t bytes);  // null when it must wait
  Result<BufferPtr> Allocate(Side side, std::size_t bytes, Duration limit, std::stop_token stop = {});
  // Memory for a reservation that is held already. REQUIRES reservation.bytes() >= bytes.
  BufferPtr AllocateFrom(Reservation reservation, std::size_t bytes);

  // Called (from the releasing thread, without locks held) after bytes came back; null: nothing is. A call that is under way in
  // another thread when the callback changes may end later.
  void OnRelease(std::function<void()> callback);

  PoolUse Use() const;
  std::uint64_t budget() const { return budget_; }

 private:
  friend class Reservation;
  friend class Buffer;
  struct Pages {
    std::byte* base;
    std::size_t size;
  };
  std::byte* TakePages(std::size_t size);
  // Keeps a few buffers' pages for the next ones, so that steady streaming does not fault pages in again. Within the budget: they go
  // when a reservation needs their room.
  void Recycle(std::byte* base, std::size_t size, std::uint64_t reserved);
  // Takes the oldest kept pages away until they have at most `bytes`. REQUIRES mutex_; the caller unmaps them without it.
  std::vector<Pages> Evict(std::uint64_t bytes);
  static void Unmap(const std::vector<Pages>& pages);
  // Counts the bytes as used. REQUIRES mutex_ and Fits.
  std::vector<Pages> Take(Side side, std::uint64_t bytes);
  void Return(Side side, std::uint64_t bytes);
  bool Fits(std::size_t side, std::uint64_t bytes) const;

  const std::uint64_t budget_;
  const std::array<std::uint64_t, 2> limit_;
  const std::uint64_t keep_;

  mutable std::mutex mutex_;
  std::condition_variable_any released_;
  // State below is protected by mutex_.
  std::array<std::uint64_t, 2> used_{};
  std::uint64_t peak_ = 0;
  std::vector<Pages> kept_;  // oldest first
  std::uint64_t kept_bytes_ = 0;
  std::shared_ptr<const std::function<void()>> on_release_;
};

}  // namespace tributary::memory
