// What clients ask of sites by name: who offers it, who sends it, how it stands.
//
// A state machine beside the federation's that never touches rounds or the journal: it lives in memory, and a client that meets another
// life of the coordinator asks again. A retrieval is a task of one trainer of the site, which puts the object into the blob-store under a
// name that is chosen here; when the client says that it is over, or falls silent, the task is withdrawn and a trainer removes the
// object. Used by the server's thread. Times are milliseconds of a steady clock that the caller reads.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "tributary/base/result.h"
#include "tributary/base/units.h"
#include "tributary/wire/control.h"

namespace tributary::service {

struct RetrievalLimits {
  Duration away_after{15'000};      // silence of a trainer after which another one of its site sends instead
  Duration client_silence{30'000};  // of a client, after which it is gone
  std::size_t retrievals = 64;      // at a time
};

class Retrievals {
 public:
  // `life`: unlike any earlier coordinator's, and fit for a name. `blob_stores`: what clients are told.
  Retrievals(RetrievalLimits limits, std::string life, std::vector<std::string> blob_stores);

  // Whether a Hello's offers may be kept.
  static Status Check(const wire::Hello& hello);
  // A trainer said hello. Others are passed over.
  void Connect(const std::string& worker, const wire::Hello& hello, Duration now);
  // Its connection ended: it may come back.
  void Disconnect(const std::string& worker, Duration now);
  // It left, or was not heard of for too long.
  void Forget(const std::string& worker, Duration now);

  wire::OfferList Offers(const std::string& site, Duration now) const;
  // A new one, or how it stands. kNotFound, kUnavailable and kResourceExhausted tell what there is instead.
  Result<wire::Retrieval> Ask(const wire::Retrieve& request, Duration now);

  // A worker was heard; takes what is of retrievals out of its reports.
  void TakeReports(const std::string& worker, std::vector<wire::TaskReport>& tasks, Duration now);
  void AddTasks(const std::string& worker, wire::Assignment& assignment) const;
  void Tick(Duration now);
  // Trainers whose tasks changed since the last call.
  std::set<std::string> TakeChanged();

 private:
  enum class State { kWaiting, kSending, kDone, kFailed };
  struct Trainer {
    std::string site;
    std::string instance;
    std::set<std::string> offers;
    bool connected = false;
    Duration heard{0};
  };
  struct Row {
    std::string site;
    std::string name;
    State state = State::kWaiting;
    std::string holder;      // trainer; empty: none is there
    std::string object;      // also the task's name; new with each holder
    wire::TaskReport told;   // the holder's last word
    Duration asked{0};       // when the client was heard
    bool named = true;       // done: the holder still reports it, so that the next life of the coordinator hears of it
  };
  struct Removal {
    std::string object;
    std::string holder;
  };

  bool Alive(const std::string& worker, Duration now) const;
  Status CheckThere(const wire::Retrieve& request, Duration now) const;
  // Gives it to the trainer of its site that has least to send; false if none is there.
  bool Place(Row& row, Duration now);
  void TakeReport(const std::string& worker, const wire::TaskReport& report);
  // What a former life of the coordinator asked for: nobody waits for it.
  void RemoveUnknown(const std::string& worker, const std::string& object);
  // The holder will not send it any more.
  void Withdraw(Row& row);
  // What was put, or may have been, is to go.
  void Remove(const Row& row);
  void PlaceRemovals(Duration now);
  wire::Retrieval Answer(const std::string& request, const Row& row, Duration now) const;

  const RetrievalLimits limits_;
  const std::string life_;
  const std::vector<std::string> blob_stores_;
  std::map<std::string, Trainer> trainers_;
  std::map<std::string, Row> rows_;  // by the client's request
  std::deque<Removal> removals_;
  std::set<std::string> changed_;
  std::uint64_t count_ = 0;
};

}  // namespace tributary::service
