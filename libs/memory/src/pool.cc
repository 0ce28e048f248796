#include "tributary/memory/pool.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstdlib>
#include <iterator>

#include "tributary/memory/owners.h"

namespace tributary::memory {
namespace {

constexpr std::size_t kAlignment = 4096;  // what direct I/O wants of the allocation

// Buffers come from pages of their own, not from malloc: large aligned blocks of malloc's, freed in another order than
// they were made, leave holes that the next one does not fit, and the heap grows to twice the budget.
std::byte* MapPages(std::size_t size) {
#ifdef __SANITIZE_ADDRESS__
  return static_cast<std::byte*>(std::aligned_alloc(kAlignment, size));  // so that the sanitizer sees use after free
#else
  void* base = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (base == MAP_FAILED) return nullptr;
  Gained(Owner::kPool, size);
  return static_cast<std::byte*>(base);
#endif
}
void UnmapPages(std::byte* base, [[maybe_unused]] std::size_t size) {
#ifdef __SANITIZE_ADDRESS__
  std::free(base);
#else
  munmap(base, size);
  Lost(Owner::kPool, size);
#endif
}

std::size_t Index(Side side) { return static_cast<std::size_t>(side); }

}  // namespace

Reservation::Reservation(Reservation&& other) noexcept
    : pool_(std::exchange(other.pool_, nullptr)), side_(other.side_), bytes_(std::exchange(other.bytes_, 0)) {}

Reservation& Reservation::operator=(Reservation&& other) noexcept {
  if (this != &other) {
    Release();
    pool_ = std::exchange(other.pool_, nullptr);
    side_ = other.side_;
    bytes_ = std::exchange(other.bytes_, 0);
  }
  return *this;
}

Reservation Reservation::Split(std::uint64_t bytes) {
  bytes_ -= bytes;
  return Reservation(pool_, side_, bytes);
}

void Reservation::Release() {
  if (Pool* pool = std::exchange(pool_, nullptr); pool != nullptr) pool->Return(side_, std::exchange(bytes_, 0));
}

Buffer::~Buffer() { reservation_.pool_->Recycle(base_, mapped_, reservation_.bytes()); }

Pool::Pool(std::uint64_t budget)
    : budget_(budget), limit_{budget / 2, budget - budget / 2}, keep_(std::clamp<std::uint64_t>(budget / 8, 2u << 20, 16u << 20)) {}

Pool::~Pool() {
  for (const Pages& pages : kept_) UnmapPages(pages.base, pages.size);
}

std::byte* Pool::TakePages(std::size_t size) {
  {
    const std::lock_guard lock(mutex_);
    for (auto it = kept_.rbegin(); it != kept_.rend(); ++it) {
      if (it->size != size) continue;
      std::byte* base = it->base;
      kept_bytes_ -= size;
      kept_.erase(std::next(it).base());
      return base;
    }
  }
  return MapPages(size);
}

std::vector<Pool::Pages> Pool::Evict(std::uint64_t bytes) {
  std::vector<Pages> surplus;
  auto end = kept_.begin();
  for (; end != kept_.end() && kept_bytes_ > bytes; ++end) {
    surplus.push_back(*end);
    kept_bytes_ -= end->size;
  }
  kept_.erase(kept_.begin(), end);
  return surplus;
}

void Pool::Unmap(const std::vector<Pages>& pages) {
  for (const Pages& each : pages) UnmapPages(each.base, each.size);
}

void Pool::Recycle(std::byte* base, std::size_t size, std::uint64_t reserved) {
  std::vector<Pages> surplus;
  {
    const std::lock_guard lock(mutex_);
    kept_.push_back({base, size});
    kept_bytes_ += size;
    // What its buffer reserved is still counted, and goes right after this. The oldest pages go first: of another size than those
    // that are streamed now.
    surplus = Evict(std::min(keep_, budget_ - (used_[0] + used_[1] - reserved)));
  }
  Unmap(surplus);
}

std::vector<Pool::Pages> Pool::Take(Side side, std::uint64_t bytes) {
  used_[Index(side)] += bytes;
  const std::uint64_t used = used_[0] + used_[1];
  peak_ = std::max(peak_, used);
  return kept_bytes_ > budget_ - used ? Evict(budget_ - used) : std::vector<Pages>();
}

bool Pool::Fits(std::size_t side, std::uint64_t bytes) const {
  if (used_[0] + used_[1] + bytes > budget_) return false;
  return used_[side] + bytes <= limit_[side] || used_[side] == 0;
}

std::optional<Reservation> Pool::TryReserve(Side side, std::uint64_t bytes) {
  std::vector<Pages> surplus;
  {
    const std::lock_guard lock(mutex_);
    if (!Fits(Index(side), bytes)) return std::nullopt;
    surplus = Take(side, bytes);
  }
  Unmap(surplus);
  return Reservation(this, side, bytes);
}

Result<Reservation> Pool::Reserve(Side side, std::uint64_t bytes, Duration limit, std::stop_token stop) {
  if (bytes > budget_) {
    return MakeError(Code::kResourceExhausted,
                     "{} bytes are asked of a memory budget of {}; raise --memory-budget or lower chunk_bytes",
                     bytes, budget_);
  }
  std::unique_lock lock(mutex_);
  const auto fits = [&] { return Fits(Index(side), bytes); };
  bool ok;
  if (limit.count() == 0) {
    ok = released_.wait(lock, stop, fits);
  } else {
    ok = released_.wait_for(lock, stop, limit, fits);
  }
  if (!ok) {
    if (stop.stop_requested()) return MakeError(Code::kCancelled, "stopped while waiting for memory");
    return MakeError(Code::kDeadline, "no {} bytes of the memory budget came free within {}", bytes,
                     FormatDuration(limit));
  }
  const std::vector<Pages> surplus = Take(side, bytes);
  lock.unlock();
  Unmap(surplus);
  return Reservation(this, side, bytes);
}

std::shared_ptr<Buffer> Pool::TryAllocate(Side side, std::size_t bytes) {
  auto reservation = TryReserve(side, bytes + kHeadroom);
  if (!reservation) return nullptr;
  return AllocateFrom(std::move(*reservation), bytes);
}

Result<BufferPtr> Pool::Allocate(Side side, std::size_t bytes, Duration limit, std::stop_token stop) {
  TRIBUTARY_ASSIGN(Reservation reservation, Reserve(side, bytes + kHeadroom, limit, stop));
  return AllocateFrom(std::move(reservation), bytes);
}

BufferPtr Pool::AllocateFrom(Reservation reservation, std::size_t bytes) {
  const std::size_t size = (kHeadroom + bytes + kAlignment - 1) / kAlignment * kAlignment;
  std::byte* base = TakePages(size);
  if (base == nullptr) std::abort();  // within the operator's own budget: nothing sensible is left to do
  return BufferPtr(new Buffer(base, size, bytes, std::move(reservation)));
}

void Pool::OnRelease(std::function<void()> callback) {
  auto next = callback ? std::make_shared<const std::function<void()>>(std::move(callback)) : nullptr;
  const std::lock_guard lock(mutex_);
  on_release_ = std::move(next);
}

PoolUse Pool::Use() const {
  const std::lock_guard lock(mutex_);
  return {budget_, limit_, used_, peak_, kept_bytes_};
}

void Pool::Return(Side side, std::uint64_t bytes) {
  std::shared_ptr<const std::function<void()>> told;
  {
    const std::lock_guard lock(mutex_);
    used_[Index(side)] -= bytes;
    told = on_release_;
  }
  released_.notify_all();
  if (told) (*told)();
}

}  // namespace tributary::memory
