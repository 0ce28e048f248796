// A coordinator that says what the test tells it to, and remembers what workers said.
#pragma once

#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "tributary/transport/frame_server.h"
#include "tributary/wire/control.h"

namespace tributary::session {

class FakeCoordinator final : public transport::Handler {
 public:
  explicit FakeCoordinator(const std::string& endpoint, std::string session = "s1");
  ~FakeCoordinator() override;

  const std::string& endpoint() const { return server_->endpoint(); }
  void Assign(std::vector<wire::TaskSpec> tasks, std::string seat = "");
  void SetJobText(const std::string& job, const std::string& text);
  void RefuseHellos(std::optional<Error> error);
  void AnswerNothing(bool silent);
  void SpeakProtocol(std::uint32_t protocol);
  void ForgetSession(std::string next);  // reports of the old session are answered with kNotFound

  // Waits up to 20 s until the predicate holds over what was seen.
  struct Seen {
    int hellos = 0;
    int reports = 0;
    int job_text_requests = 0;
    wire::Hello hello;
    wire::Report last_report;
    std::map<std::string, wire::TaskReport> tasks;  // the last report of each
    bool leaving = false;
  };
  bool WaitFor(const std::function<bool(const Seen&)>& predicate);
  Seen seen();

 private:
  void OnFrame(const transport::PeerId& peer, transport::InFrame frame) override;

  std::mutex mutex_;
  std::condition_variable changed_;
  // Protected by mutex_.
  Seen seen_;
  std::string session_;
  std::vector<wire::TaskSpec> tasks_;
  std::string seat_;
  std::map<std::string, std::string> texts_;
  std::optional<Error> refusal_;
  bool silent_ = false;
  std::uint32_t protocol_ = wire::kProtocol;

  std::unique_ptr<transport::FrameServer> server_;
};

}  // namespace tributary::session
