#include "tributary/memory/phases.h"

#include <algorithm>
#include <mutex>
#include <set>
#include <utility>

#include "tributary/memory/process_memory.h"

namespace tributary::memory {
namespace {

constexpr const char* kIdle = "idle";

class Book {
 public:
  void Begin(const std::string& name) {
    const std::lock_guard lock(mutex_);
    Settle(/*reset=*/true);
    begun_ = true;
    active_.insert(name);
  }
  void End(const std::string& name) {
    const std::lock_guard lock(mutex_);
    Settle(/*reset=*/true);
    active_.erase(active_.find(name));
  }
  void Change(const std::string& from, const std::string& to) {
    const std::lock_guard lock(mutex_);
    Settle(/*reset=*/true);
    active_.erase(active_.find(from));
    active_.insert(to);
  }
  void Own() {
    const std::lock_guard lock(mutex_);
    own_ = true;
  }
  PeakUse Read() {
    const std::lock_guard lock(mutex_);
    Settle(/*reset=*/false);
    return {overall_, begun_ ? peaks_ : std::map<std::string, std::uint64_t>()};
  }

 private:
  // Enters what the kernel says now for all phases that go on.
  void Settle(bool reset) {
    const auto memory = ReadProcessMemory();
    if (!memory.ok()) return;
    overall_ = std::max(overall_, memory->rss_peak);
    const auto enter = [&](const std::string& name) {
      std::uint64_t& peak = peaks_[name];
      peak = std::max(peak, memory->rss_peak);
    };
    if (active_.empty()) enter(kIdle);
    for (const std::string& name : active_) enter(name);
    if (reset && own_) (void)ResetPeak();
  }

  std::mutex mutex_;
  // State below is protected by mutex_.
  bool own_ = false;
  bool begun_ = false;
  std::uint64_t overall_ = 0;
  std::multiset<std::string> active_;
  std::map<std::string, std::uint64_t> peaks_;
};

Book& TheBook() {
  static Book book;
  return book;
}

}  // namespace

Phase::Phase(std::string name) : name_(std::move(name)) { TheBook().Begin(name_); }
Phase::~Phase() { TheBook().End(name_); }

void Phase::Change(std::string name) {
  if (name == name_) return;
  TheBook().Change(name_, name);
  name_ = std::move(name);
}

void OwnPeak() { TheBook().Own(); }
PeakUse ReadPeaks() { return TheBook().Read(); }

}  // namespace tributary::memory
