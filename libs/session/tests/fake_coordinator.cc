#include "fake_coordinator.h"

#include <gtest/gtest.h>

#include <chrono>

namespace tributary::session {

FakeCoordinator::FakeCoordinator(const std::string& endpoint, std::string session) : session_(std::move(session)) {
  const std::lock_guard lock(mutex_);  // frames may come before the server is ours
  auto server = transport::FrameServer::Start(std::make_shared<transport::Context>(), {.endpoint = endpoint}, *this);
  EXPECT_TRUE(server.ok()) << server.error().message();
  server_ = std::move(*server);
}

FakeCoordinator::~FakeCoordinator() { server_->Stop(); }

void FakeCoordinator::Assign(std::vector<wire::TaskSpec> tasks, std::string seat) {
  const std::lock_guard lock(mutex_);
  tasks_ = std::move(tasks);
  seat_ = std::move(seat);
}
void FakeCoordinator::SetJobText(const std::string& job, const std::string& text) {
  const std::lock_guard lock(mutex_);
  texts_[job] = text;
}
void FakeCoordinator::RefuseHellos(std::optional<Error> error) {
  const std::lock_guard lock(mutex_);
  refusal_ = std::move(error);
}
void FakeCoordinator::AnswerNothing(bool silent) {
  const std::lock_guard lock(mutex_);
  silent_ = silent;
}
void FakeCoordinator::SpeakProtocol(std::uint32_t protocol) {
  const std::lock_guard lock(mutex_);
  protocol_ = protocol;
}
void FakeCoordinator::ForgetSession(std::string next) {
  const std::lock_guard lock(mutex_);
  session_ = std::move(next);
}

bool FakeCoordinator::WaitFor(const std::function<bool(const Seen&)>& predicate) {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, std::chrono::seconds(20), [&] { return predicate(seen_); });
}

FakeCoordinator::Seen FakeCoordinator::seen() {
  const std::lock_guard lock(mutex_);
  return seen_;
}

void FakeCoordinator::OnFrame(const transport::PeerId& peer, transport::InFrame frame) {
  const auto& view = frame.view();
  const std::lock_guard lock(mutex_);
  const auto answer = [&](const auto& message) {
    using M = std::decay_t<decltype(message)>;
    server_->Send(peer, {wire::MakeHeader(M::kType, view.id, wire::EncodeBody(message), false, protocol_), nullptr});
  };
  switch (view.type) {
    case wire::Type::kHello:
      ++seen_.hellos;
      seen_.hello = *wire::DecodeBody<wire::Hello>(view.body);
      if (silent_) break;
      if (refusal_) {
        server_->Send(peer, {wire::EncodeError(view.id, *refusal_), nullptr});
      } else {
        answer(wire::Welcome{session_, 50, {"tcp://store:1"}, 1});
      }
      break;
    case wire::Type::kReport: {
      const auto report = *wire::DecodeBody<wire::Report>(view.body);
      ++seen_.reports;
      seen_.last_report = report;
      for (const auto& task : report.tasks) seen_.tasks[task.task] = task;
      seen_.leaving = seen_.leaving || report.leaving;
      if (silent_) break;
      if (report.session != session_) {
        server_->Send(peer, {wire::EncodeError(view.id, Error(Code::kNotFound, "no such session")), nullptr});
      } else {
        answer(wire::Assignment{seat_, tasks_});
      }
      break;
    }
    case wire::Type::kGetJobText: {
      const auto request = *wire::DecodeBody<wire::GetJobText>(view.body);
      ++seen_.job_text_requests;
      const auto text = texts_.find(request.job);
      if (text == texts_.end()) {
        server_->Send(peer, {wire::EncodeError(view.id, Error(Code::kNotFound, "no job " + request.job)), nullptr});
      } else {
        answer(wire::JobText{request.job, text->second});
      }
      break;
    }
    default: break;
  }
  changed_.notify_all();
}

}  // namespace tributary::session
