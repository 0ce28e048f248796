#include "session.h"

#include <algorithm>

#include "lanes.h"
#include "tributary/base/log.h"
#include "tributary/wire/control.h"
#include "tributary/wire/greeting.h"

namespace tributary::blob_client {
namespace {

using std::chrono::steady_clock;

constexpr Duration kPingAfter{5'000};
constexpr Duration kSilent{120'000};  // a chunk of 4 MiB at 280 kbit/s; an end of the connection is seen at once
constexpr Duration kUnusedCredit{5'000};
constexpr int kBurst = 32;
constexpr Duration kMeasureEvery{100};

}  // namespace

Result<std::unique_ptr<Session>> Session::Make(std::shared_ptr<transport::Context> context, Company& company, const RemoteOptions& options,
                                               const ShardAddress& shard) {
  std::unique_ptr<Session> session(new Session(company, options, shard));
  transport::ClientOptions client;
  client.endpoint = shard.endpoint;
  client.max_frame_bytes = options.max_message + wire::kMaxHeaderWithPayload;
  client.server = options.server;
  client.server_name = options.server_name;
  TRIBUTARY_ASSIGN(session->client_, transport::FrameClient::Connect(std::move(context), client));
  return session;
}

void Session::Forget(const Participant* participant) {
  std::erase_if(requests_, [&](const auto& request) { return request.second == participant; });
}

void Session::Lost() {
  if (!up_) return;
  up_ = false;
  greet_at_ = {};
  credit_ = asked_ = credit_request_ = 0;
  requests_.clear();
  abandoned_.clear();
  // A copy: a participant may leave in its answer.
  const auto participants = company_.participants;
  for (Participant* participant : participants) participant->OnLost(*this);
}

Status Session::CheckProtocol(const wire::FrameView& frame) const { return wire::CheckProtocol(frame, "the blob-store at " + endpoint()); }

Status Session::CheckWelcome(const wire::FrameView& frame) const {
  const auto welcome = wire::Expect<wire::StoreWelcome>(frame);
  if (!welcome.ok()) return welcome.error().Wrap(endpoint());
  if (welcome->shard == shard_.number && welcome->shards == shard_.count) return Ok();
  return MakeError(Code::kInvalidArgument,
                   "the blob-store at {} is shard {} of {}, and is named here as shard {} of {}; name all shards, once each, in the order of "
                   "their --shard",
                   endpoint(), welcome->shard, welcome->shards, shard_.number, shard_.count);
}

Status Session::Greet(Time now) {
  if (!greeting_) {
    if (now < greet_at_) return Ok();
    if (!std::exchange(fresh_socket_, false)) TRIBUTARY_TRY(client_->Reset());
    hello_ = ++company_.last_id;
    TRIBUTARY_TRY(Send(transport::MakeFrame(hello_, wire::StoreHello{options_.instance, static_cast<std::uint32_t>(options_.role), options_.grant})));
    greeting_ = true;
  }
  while (greeting_) {
    TRIBUTARY_ASSIGN(const transport::Received received, client_->Receive(Duration(0)));
    if (received.event == transport::Event::kTimeout) break;
    if (received.event == transport::Event::kLost) {
      // A store that takes connections and ends them is not asked in a tight loop.
      greeting_ = false;
      greet_at_ = now + pause_;
      pause_ = std::clamp(pause_ * 2, Duration(20), Duration(1000));
    } else if (received.event == transport::Event::kFrame) {
      // Whatever it answers: another protocol's fields may mean something else.
      if (const Status same = CheckProtocol(received.frame.view()); !same.ok()) {
        greeting_ = false;
        return same;
      }
      if (received.frame.view().id != hello_) continue;
      greeting_ = false;
      TRIBUTARY_TRY(CheckWelcome(received.frame.view()));
      Begin();
    }
  }
  return Ok();
}

void Session::Begin() {
  up_ = true;
  pause_ = Duration(0);
  last_frame_ = last_ping_ = last_pump_ = steady_clock::now();
  credit_from_ = hello_;
  credit_error_.reset();
  if (++counters_.sessions > 1) log::Info("a new session with the blob-store at {}", endpoint());
  const auto participants = company_.participants;
  for (Participant* participant : participants) participant->OnSession(*this);
}

void Session::Listen(Time now) {
  // Time in which nobody listened is not the store's silence.
  if (now - last_pump_ <= std::chrono::seconds(1)) return;
  last_frame_ = last_ping_ = now;
  up_line_.Pause();
  down_line_.Pause();
}

Status Session::Pump(Duration limit) {
  for (int i = 0; i < kBurst && up_; ++i) {
    TRIBUTARY_ASSIGN(transport::Received received, client_->Receive(i == 0 ? limit : Duration(0)));
    if (received.event == transport::Event::kLost) {
      log::Info("the connection to the blob-store at {} is lost", endpoint());
      Lost();
    } else if (received.event == transport::Event::kFrame) {
      last_frame_ = steady_clock::now();
      TRIBUTARY_TRY(Dispatch(std::move(received.frame)));
    } else {
      break;
    }
  }
  last_pump_ = steady_clock::now();
  Measure(last_pump_);
  if (up_) Idle(last_pump_);
  return Ok();
}

void Session::Measure(Time now) {
  if (now - last_measure_ < kMeasureEvery) return;
  last_measure_ = now;
  const auto line = client_->Line();
  if (!line) return;
  up_line_.Look(now, line->acknowledged);
  down_line_.Look(now, line->received);
}

void Session::Idle(Time now) {
  // A chunk is one frame: the slower the line, the longer it is silent before that.
  if (const Duration limit = PatienceAt(rate(), kSilent, true, wire::kMaxPayload); now - last_frame_ > limit) {
    log::Warning("the blob-store at {} is silent for {}: a new session begins", endpoint(), FormatDuration(limit));
    Lost();
    return;
  }
  if (now - std::max(last_frame_, last_ping_) > kPingAfter) {
    last_ping_ = now;
    if (!Send(transport::MakeFrame(++company_.last_id, wire::Ping{})).ok()) Lost();
  }
  // A reader that waits for long must not sit on credit that others need.
  if (credit_ > 0 && now - last_credit_use_ > kUnusedCredit) GiveCreditBack();
}

Status Session::Dispatch(transport::InFrame frame) {
  const wire::FrameView& view = frame.view();
  TRIBUTARY_TRY(CheckProtocol(view));
  if (view.type == wire::Type::kPong) {
    ponged_ = true;
    return Ok();
  }
  if (view.type == wire::Type::kCreditGrant) {
    TRIBUTARY_ASSIGN(const wire::CreditGrant grant, wire::Expect<wire::CreditGrant>(view));
    if (view.id < credit_from_) return Ok();
    credit_ += grant.bytes;
    asked_ -= std::min(asked_, grant.bytes);
    last_credit_use_ = steady_clock::now();
    return Ok();
  }
  if (view.type == wire::Type::kError && view.id == 0) {
    const Error error = wire::ErrorOf(view);
    if (error.code() != Code::kUnavailable) return error.Wrap(endpoint());
    Lost();
    return Ok();
  }
  if (view.type == wire::Type::kError && view.id == credit_request_) {
    credit_error_ = wire::ErrorOf(view);
    return Ok();
  }
  if (abandoned_.erase(view.id) > 0) return Ok();
  const auto it = requests_.find(view.id);
  if (it == requests_.end()) return Ok();  // of an earlier session, or a second answer
  Participant* participant = it->second;
  requests_.erase(it);
  participant->OnReply(view.id, std::move(frame));
  return Ok();
}

std::uint64_t Session::NewRequest(Participant* participant) {
  requests_.emplace(++company_.last_id, participant);
  return company_.last_id;
}

Status Session::Send(transport::OutFrame frame) { return client_->Send(std::move(frame)); }

void Session::Abandon(std::uint64_t id, memory::Reservation reservation) {
  requests_.erase(id);
  abandoned_.emplace(id, std::move(reservation));
}

bool Session::StartCancelling() {
  if (!up_ || abandoned_.empty()) return false;
  if (!Send(transport::MakeFrame(++company_.last_id, wire::CancelReads{})).ok()) Lost();
  return true;
}

bool Session::Cancelling() {
  // Not Pump: a stop must not keep the connection from being left clean.
  while (up_ && !abandoned_.empty()) {
    auto received = client_->Receive(Duration(0));
    if (!received.ok()) {
      Lost();
    } else if (received->event == transport::Event::kLost) {
      Lost();
    } else if (received->event != transport::Event::kFrame) {
      return true;
    } else {
      last_frame_ = steady_clock::now();
      if (!Dispatch(std::move(received->frame)).ok()) Lost();
    }
  }
  return false;
}

void Session::EndCancelling() {
  if (up_ && !abandoned_.empty()) Lost();
  // What still arrives on the old socket has no reservation any more.
  if (!up_ && client_->Reset().ok()) fresh_socket_ = true;
}

void Session::SpendCredit(std::uint64_t bytes) {
  credit_ -= bytes;
  last_credit_use_ = steady_clock::now();
}

Status Session::WantCredit(std::uint64_t needed, std::uint64_t window, std::uint64_t unit) {
  if (credit_error_) {
    asked_ = 0;
    return *std::exchange(credit_error_, std::nullopt);
  }
  if (!up_) return Ok();
  window = std::max(window, needed);
  // Asked again when half of it is granted, so that the store always knows of a wish while there is one.
  if (credit_ + asked_ >= needed && asked_ * 2 >= window) return Ok();
  asked_ = window;
  credit_request_ = ++company_.last_id;
  last_credit_use_ = steady_clock::now();
  return Send(transport::MakeFrame(credit_request_, wire::CreditRequest{window, unit, window}));
}

void Session::GiveCreditBack() {
  if (!up_ || (credit_ == 0 && asked_ == 0)) return;
  credit_ = asked_ = 0;
  credit_request_ = 0;
  const std::uint64_t id = ++company_.last_id;
  credit_from_ = id + 1;
  if (!Send(transport::MakeFrame(id, wire::CreditRequest{})).ok()) Lost();
}

}  // namespace tributary::blob_client
