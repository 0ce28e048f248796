// Private: the conversation with one shard of the blob-store over one connection at a time, over as many as it takes.
//
// Its frames are received in Pump and handed to whom they belong. Request ids are unique over all connections and all sessions of a
// client: an answer to an earlier one finds nobody and is dropped. After a lost connection (or silence, or the store's word) Greet
// begins a new session and tells the participants, who ask and send again. Nothing here waits but Pump. One thread; lanes.h drives it.
#pragma once

#include <chrono>
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

class Session;

class Participant {
 public:
  virtual ~Participant() = default;
  // The answer to a request that was sent with Session::NewRequest.
  virtual void OnReply(std::uint64_t id, transport::InFrame frame) = 0;
  virtual void OnLost(Session&) {}     // what was asked there and not answered never will be
  virtual void OnSession(Session&) {}  // a new one
  // After each step, whoever waits: sends what can be sent now. True if it should be called again soon, since what it
  // waits for is no frame.
  virtual bool Advance() { return false; }
};

// What all sessions of a client share.
struct Company {
  std::vector<Participant*> participants;
  std::uint64_t last_id = 0;
};

// One of the store's shards, as its welcome must name it.
struct ShardAddress {
  std::string endpoint;
  std::uint32_t number = 0;
  std::uint32_t count = 1;
};

class Session {
 public:
  using Time = std::chrono::steady_clock::time_point;

  static Result<std::unique_ptr<Session>> Make(std::shared_ptr<transport::Context> context, Company& company, const RemoteOptions& options,
                                               const ShardAddress& shard);

  // Begins a new session, and sees whether it is there: until up(), to be called again and again.
  Status Greet(Time now);
  // Begins from scratch: the store did not answer for too long.
  void GiveUpGreeting() { greeting_ = false; }
  bool up() const { return up_; }
  // Before Pump, at the time that it begins to wait.
  void Listen(Time now);
  // Receives what is there; waits for the first frame at most `limit`.
  Status Pump(Duration limit);

  // The id under which `participant` gets the answer. REQUIRES up().
  std::uint64_t NewRequest(Participant* participant);
  void ForgetRequest(std::uint64_t id) { requests_.erase(id); }
  void Forget(const Participant* participant);
  bool asks() const { return !requests_.empty(); }
  Status Send(transport::OutFrame frame);
  // The answer will come but nobody wants it: its memory stays reserved until then.
  void Abandon(std::uint64_t id, memory::Reservation reservation);
  // Tells the store to forget reads whose answers nobody wants; false if there are none.
  bool StartCancelling();
  // Receives such answers without waiting and without beginning a new session; false when all came or the connection is lost.
  bool Cancelling();
  // After StartCancelling: gives the connection up where answers are still to come, as nothing is reserved for them any more.
  void EndCancelling();

  // Write credit of this session.
  std::uint64_t credit() const { return credit_; }
  void SpendCredit(std::uint64_t bytes);
  // Asks for more unless enough is asked for. kResourceExhausted when the store said that it can never be.
  Status WantCredit(std::uint64_t needed, std::uint64_t window, std::uint64_t unit);
  void GiveCreditBack();

  // Bytes a second of the way that carries the chunks, the faster one; 0: not known.
  double rate() const { return std::max(up_line_.Rate().value_or(0), down_line_.Rate().value_or(0)); }
  // The shortest time that a small request took to be answered; zero before the first.
  Time::duration round_trip() const { return round_trip_; }
  void Took(Time::duration time) {
    if (round_trip_.count() == 0 || time < round_trip_) round_trip_ = time;
  }
  // Whether a sign of life came since the last call.
  bool TakePong() { return std::exchange(ponged_, false); }

  const std::string& endpoint() const { return shard_.endpoint; }
  std::string Trouble() const { return client_->Trouble(); }
  bool Refused() const { return client_->Refused(); }
  TransferCounters& counters() { return counters_; }
  transport::FrameClient* client() { return client_.get(); }

 private:
  Session(Company& company, const RemoteOptions& options, const ShardAddress& shard) : company_(company), options_(options), shard_(shard) {}

  Status CheckProtocol(const wire::FrameView& frame) const;
  Status CheckWelcome(const wire::FrameView& frame) const;
  void Begin();
  Status Dispatch(transport::InFrame frame);
  void Lost();
  void Idle(Time now);
  void Measure(Time now);

  Company& company_;
  const RemoteOptions& options_;
  const ShardAddress shard_;
  std::unique_ptr<transport::FrameClient> client_;
  TransferCounters counters_;
  LineMeter up_line_, down_line_;
  Time last_measure_{};
  std::map<std::uint64_t, Participant*> requests_;
  std::map<std::uint64_t, memory::Reservation> abandoned_;

  bool up_ = false;
  bool greeting_ = false;        // the hello is on its way
  std::uint64_t hello_ = 0;      // its id
  Time greet_at_{};              // not before
  Duration pause_{0};            // before the hello after that
  bool fresh_socket_ = true;
  bool ponged_ = false;
  Time::duration round_trip_{};
  Time last_pump_{};
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
