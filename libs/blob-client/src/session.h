// Private: the conversation with one blob-store, over as many connections as it takes.
//
// One pump (Step) receives all frames and hands each to whom it belongs, so that a writer that waits for credit goes on
// receiving the reader's chunks and the other way round. Request ids are unique over all connections: an answer to an
// earlier one finds nobody and is dropped. After a lost connection (or silence, or the store's word) Step begins a new session and
// tells the participants, who ask and send again. One thread.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "line_meter.h"
#include "tributary/base/clock.h"
#include "tributary/blob_client/remote_store.h"
#include "tributary/transport/frame_client.h"
#include "tributary/wire/data.h"

namespace tributary::blob_client {

class Participant {
 public:
  virtual ~Participant() = default;
  // The answer to a request that was sent with Session::Request.
  virtual void OnReply(std::uint64_t id, transport::InFrame frame) = 0;
  virtual void OnLost() {}     // what was asked and not answered never will be
  virtual void OnSession() {}  // a new session
  // After each step, whoever waits: sends what can be sent now. True if it should be called again soon, since what it
  // waits for is no frame.
  virtual bool Advance() { return false; }
};

class Session {
 public:
  static Result<std::unique_ptr<Session>> Make(std::shared_ptr<transport::Context> context, memory::Pool& pool,
                                               const RemoteOptions& options);

  void Join(Participant* participant) { participants_.push_back(participant); }
  void Leave(Participant* participant);

  // Waits for one event, at most `limit`; begins a new session first if there is none.
  Status Step(Duration limit, const std::stop_token& stop);
  bool up() const { return up_; }

  // The id under which `participant` gets the answer. REQUIRES up().
  std::uint64_t NewRequest(Participant* participant);
  Status Send(transport::OutFrame frame);
  // The answer will come but nobody wants it: its memory stays reserved until then.
  void Abandon(std::uint64_t id, memory::Reservation reservation);
  // Tells the store to forget reads, and waits until all abandoned ones are answered or the connection is given up.
  void CancelReads();

  // Write credit of this session.
  std::uint64_t credit() const { return credit_; }
  void SpendCredit(std::uint64_t bytes);
  // Asks for more unless enough is asked for. kResourceExhausted when the store said that it can never be.
  Status WantCredit(std::uint64_t needed, std::uint64_t window, std::uint64_t unit);
  void GiveCreditBack();

  // One request, one answer; asked again in each new session. `credit`: payload bytes that the frame spends. `make` may give
  // an empty frame: not yet. `slow`: the answer may take long, a sign of life renews the deadline.
  Result<transport::InFrame> Call(const std::function<transport::OutFrame(std::uint64_t id)>& make,
                                  std::uint64_t credit, std::string_view what, bool slow = false);

  // A buffer of the pool's write side, going on with the conversation while it waits; `check` may end it.
  Result<memory::BufferPtr> Allocate(std::size_t bytes, Duration limit, const std::stop_token& stop,
                                     const std::function<Status()>& check = nullptr);

  // How long a wait without progress may last: `limit`, or longer where it is derived and `window` bytes take long on this line.
  Duration Patience(Duration limit, bool derived, std::uint64_t window) const;
  // Whether the wait is over. A derived limit that has passed is first raised to what the line calls for by now.
  bool Expired(Deadline& deadline, Duration limit, bool derived, std::uint64_t window) const;

  const RemoteOptions& options() const { return options_; }
  memory::Pool& pool() { return pool_; }
  TransferCounters& counters() { return counters_; }
  // The shortest time that a small request took to be answered; zero before the first.
  std::chrono::steady_clock::duration round_trip() const { return round_trip_; }

 private:
  using Time = std::chrono::steady_clock::time_point;
  Session(memory::Pool& pool, const RemoteOptions& options) : pool_(pool), options_(options) {}

  Status EnsureUp(const std::stop_token& stop);
  Status CheckStop(const std::stop_token& stop) const;
  Status Dispatch(transport::InFrame frame);
  void Lost();
  void Idle(Time now);
  void Measure(Time now);

  memory::Pool& pool_;
  const RemoteOptions options_;
  std::unique_ptr<transport::FrameClient> client_;
  TransferCounters counters_;
  LineMeter up_line_, down_line_;
  Time last_measure_{};
  std::vector<Participant*> participants_;
  std::map<std::uint64_t, Participant*> requests_;
  std::map<std::uint64_t, memory::Reservation> abandoned_;

  std::uint64_t last_id_ = 0;
  bool up_ = false;
  bool fresh_socket_ = true;
  bool ponged_ = false;
  bool soon_ = false;  // a participant wants to be called again soon
  std::chrono::steady_clock::duration round_trip_{};
  Time last_step_{};
  Time last_frame_{};
  Time last_ping_{};

  std::uint64_t credit_ = 0;
  std::uint64_t asked_ = 0;         // of credit, not granted yet
  std::uint64_t credit_from_ = 0;   // grants of requests before this id are void
  std::uint64_t credit_request_ = 0;
  std::optional<Error> credit_error_;
  Time last_credit_use_{};
};

}  // namespace tributary::blob_client
