// The coordinator's side of the protocol: takes frames, keeps sessions, asks the federation, journals, answers.
//
// A Handler of one FrameServer; all state is that server's thread's. Every decision is committed to the journal before any frame that
// follows from it is sent. When a commit fails nothing more is sent and `on_failure` is called, once, from that thread.
#pragma once

#include <cstdint>
#include <functional>
#include <latch>
#include <map>
#include <optional>
#include <string>

#include "services/coordinator/retrievals.h"
#include "services/coordinator/telemetry.h"
#include "tributary/federation/federation.h"
#include "tributary/journal/journal.h"
#include "tributary/transport/frame_server.h"
#include "tributary/transport/grants.h"
#include "tributary/wire/control.h"

namespace tributary::service {

struct ControlOptions {
  Duration heartbeat{1'000};
  std::vector<std::string> blob_stores;
  federation::Limits limits;
  RetrievalLimits retrievals;
  federation::JobParser parser;
  std::optional<transport::GrantSigner> grants = {};  // none: there are no keys
};

class Control : public transport::Handler {
 public:
  // `journal` and `telemetry` outlive this.
  Control(ControlOptions options, federation::State restored, journal::Journal& journal, Telemetry& telemetry,
          std::function<void(Error)> on_failure);
  // Frames wait until the server is known.
  void Attach(transport::FrameServer& server);

  void OnFrame(const transport::PeerId& peer, transport::InFrame frame) override;
  void OnTick() override;
  void OnGone(const transport::PeerId& peer) override;

 private:
  struct Session {
    std::string worker;
    transport::PeerId peer;
    bool trainer = false;
    Duration heard{0};
    std::string life;
    std::string displaced;  // life of the process that had the name before
    bool gone = false;      // its connection has ended and no other has come
    std::uint64_t memory_budget = 0;  // 0: not told
    std::optional<transport::Identity> owner = {};  // whose key said hello; none: there are no keys
  };

  Status Dispatch(const transport::PeerId& peer, const wire::FrameView& frame, const transport::Identity* sender);
  // Whether who has this key may send such a message at all.
  static Status CheckRole(const transport::Identity& sender, wire::Type type);
  // Whether a task of one of its workers belongs to the job.
  bool WorksFor(const transport::Identity& sender, const std::string& job);
  Status CheckRival(const wire::Hello& hello, federation::Time now) const;
  Status OnHello(const transport::PeerId& peer, std::uint64_t id, const wire::Hello& hello, const transport::Identity* sender);
  Status OnReport(const transport::PeerId& peer, std::uint64_t id, wire::Report report, const transport::Identity* sender);
  // kInvalidArgument, naming a worker that is connected and what it needs, for a job whose messages do not fit its memory budget.
  Status CheckBudgets(const wire::Submit& submit) const;
  Status OnSubmit(const transport::PeerId& peer, std::uint64_t id, const wire::Submit& submit);
  Status OnGetStatus(const transport::PeerId& peer, std::uint64_t id, const wire::GetStatus& request);
  // control_jobs.cc
  Result<wire::Log> LogOf(const wire::GetLog& request);
  Result<wire::Resumed> Resume(const wire::ResumeJob& request, federation::Time now);
  Status OnGetJobText(const transport::PeerId& peer, std::uint64_t id, const wire::GetJobText& request, const transport::Identity* sender);

  // Commits what was decided. False: the journal failed, nothing may be sent any more.
  bool Commit();
  // Tells each worker whose tasks changed.
  void Push();
  // Of both state machines.
  wire::Assignment AssignmentOf(const std::string& worker);
  // The same with the grants that its tasks need at the blob-store, for who said hello in this session.
  wire::Assignment GrantedTo(const Session& session);
  void EndSession(const std::string& session);
  template <class Message>
  void Reply(const transport::PeerId& peer, std::uint64_t id, const Message& message);
  void ReplyError(const transport::PeerId& peer, std::uint64_t id, const Error& error);

  const ControlOptions options_;
  journal::Journal& journal_;
  Telemetry& telemetry_;
  const std::function<void(Error)> on_failure_;
  std::latch attached_{1};
  transport::FrameServer* server_ = nullptr;
  bool failed_ = false;
  Duration watched_{0};
  federation::Federation federation_;
  const std::string life_;  // of this process, in session names
  Retrievals retrievals_;
  std::uint64_t session_count_ = 0;
  std::map<std::string, Session> sessions_;
  std::map<std::string, std::string> session_of_;  // worker -> session
};

}  // namespace tributary::service
