// Private: all connections of one client with the blob-store: one or several to each of its shards, and which chunk takes which.
//
// Step drives all of them, so that whoever waits for one goes on with the others: a writer that waits for credit receives the reader's
// chunks, and the other way round. Slot s belongs to shard s mod shards; of the connections to a shard its slots take turns.
// One thread.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "session.h"

namespace tributary::blob_client {

// How long a request may be without its answer: `what` is for the error.
struct CallOptions {
  std::string what;
  bool slow = false;         // the answer may take long, a sign of life renews the deadline
  std::uint64_t credit = 0;  // payload bytes that the frame spends
};

class Lanes {
 public:
  static Result<std::unique_ptr<Lanes>> Make(std::shared_ptr<transport::Context> context, memory::Pool& pool, const RemoteOptions& options);

  std::size_t size() const { return sessions_.size(); }
  std::size_t shards() const { return options_.endpoints.size(); }
  Session& at(std::size_t lane) { return *sessions_[lane]; }
  // The lane that the slot takes.
  std::size_t LaneOf(std::uint64_t slot) const {
    const std::uint64_t each = options_.connections;
    return static_cast<std::size_t>(slot % shards() * each + slot / shards() % each);
  }
  // That of what is no slot's.
  Session& OfShard(std::size_t shard) { return *sessions_[shard * options_.connections]; }

  void Join(Participant* participant) { company_.participants.push_back(participant); }
  void Leave(Participant* participant);

  // Begins new sessions where there is none, all at a time, and waits for them; those that are up go on meanwhile.
  Status EnsureUp(const std::stop_token& stop);
  // Waits for one event, at most `limit`, after EnsureUp.
  Status Step(Duration limit, const std::stop_token& stop);

  // One request, one answer; asked again in each new session. `make` may give an empty frame: not yet.
  using MakeFrame = std::function<transport::OutFrame(std::uint64_t id)>;
  Result<transport::InFrame> Call(std::size_t shard, const MakeFrame& make, const CallOptions& options);
  // The same of several shards at a time; answers in their order, or the first error of these.
  Result<std::vector<transport::InFrame>> CallEach(const std::vector<std::size_t>& shards, const MakeFrame& make, const CallOptions& options);

  // A buffer of the pool's write side, going on with the conversation while it waits; `check` may end it.
  Result<memory::BufferPtr> Allocate(std::size_t bytes, Duration limit, const std::stop_token& stop,
                                     const std::function<Status()>& check = nullptr);

  // Waits a moment for reads under way that nobody wants any more.
  void CancelReads();
  void GiveCreditBack();

  // By the slowest line that is known: its slots are waited for, too.
  // How long a wait without progress may last: `limit`, or longer where it is derived and `window` bytes take long on this line.
  Duration Patience(Duration limit, bool derived, std::uint64_t window) const;
  // Whether the wait is over. A derived limit that has passed is first raised to what the line calls for by now.
  bool Expired(Deadline& deadline, Duration limit, bool derived, std::uint64_t window) const;

  const RemoteOptions& options() const { return options_; }
  memory::Pool& pool() { return pool_; }
  TransferCounters counters() const;
  // The longest of the sessions' shortest; zero before the first.
  Session::Time::duration round_trip() const;
  // For errors: the endpoints.
  const std::string& name() const { return name_; }

 private:
  Lanes(memory::Pool& pool, const RemoteOptions& options);
  Status CheckStop(const std::stop_token& stop) const;

  memory::Pool& pool_;
  const RemoteOptions options_;
  std::string name_;
  Company company_;
  std::vector<std::unique_ptr<Session>> sessions_;  // those of a shard one behind the other
  std::vector<transport::FrameClient*> clients_;    // theirs
  bool soon_ = false;  // a participant wants to be called again soon
};

// Of a line of `rate` bytes a second.
Duration PatienceAt(double rate, Duration limit, bool derived, std::uint64_t window);

}  // namespace tributary::blob_client
