#include "session.h"

#include <algorithm>

#include "tributary/base/log.h"
#include "tributary/wire/control.h"

namespace tributary::blob_client {
namespace {

using std::chrono::steady_clock;

constexpr Duration kSlice{50};  // how soon a stop is seen
constexpr Duration kSoon{2};
constexpr Duration kPingAfter{5'000};
constexpr Duration kSilent{120'000};  // a chunk of 4 MiB at 280 kbit/s; an end of the connection is seen at once
constexpr Duration kCancelWait{2'000};
constexpr Duration kUnusedCredit{5'000};
constexpr int kBurst = 32;
constexpr Duration kMeasureEvery{100};
// The line is shared and stutters, the disk behind it has its own pace: a window may take so many times its share.
constexpr double kPatience = 4;
constexpr Duration kLongestPatience{3'600'000};

}  // namespace

Result<std::unique_ptr<Session>> Session::Make(std::shared_ptr<transport::Context> context, memory::Pool& pool,
                                               const RemoteOptions& options) {
  std::unique_ptr<Session> session(new Session(pool, options));
  transport::ClientOptions client;
  client.endpoint = options.endpoint;
  client.max_frame_bytes = options.max_message + wire::kMaxHeaderWithPayload;
  client.curve = options.curve;
  TRIBUTARY_ASSIGN(session->client_, transport::FrameClient::Connect(std::move(context), client));
  return session;
}

void Session::Leave(Participant* participant) {
  std::erase(participants_, participant);
  std::erase_if(requests_, [&](const auto& request) { return request.second == participant; });
}

Status Session::CheckStop(const std::stop_token& stop) const {
  if (!stop.stop_requested() && !options_.stop.stop_requested()) return Ok();
  return MakeError(Code::kCancelled, "stopped while waiting for the blob-store at {}", options_.endpoint);
}

void Session::Lost() {
  if (!up_) return;
  up_ = false;
  credit_ = asked_ = credit_request_ = 0;
  requests_.clear();
  abandoned_.clear();
  // A copy: a participant may leave in its answer.
  const auto participants = participants_;
  for (Participant* participant : participants) participant->OnLost();
}

Status Session::EnsureUp(const std::stop_token& stop) {
  if (up_) return Ok();
  const Deadline deadline(Clock::Steady(), options_.connect_timeout);
  Duration pause{0};
  for (;;) {
    if (!std::exchange(fresh_socket_, false)) TRIBUTARY_TRY(client_->Reset());
    // A store that takes connections and ends them is not asked in a tight loop.
    if (pause.count() > 0) TRIBUTARY_TRY(client_->Receive(pause).status());
    pause = std::clamp(pause * 2, Duration(20), Duration(1000));
    const std::uint64_t id = ++last_id_;
    TRIBUTARY_TRY(Send(transport::MakeFrame(id, wire::StoreHello{options_.instance, static_cast<std::uint32_t>(options_.role)})));
    for (bool lost = false; !lost;) {
      TRIBUTARY_TRY(CheckStop(stop));
      if (deadline.Expired()) {
        return MakeError(Code::kDeadline,
                         "no blob-store answers at {} for {}; start tributary-blob-store or check the endpoint",
                         options_.endpoint, FormatDuration(options_.connect_timeout));
      }
      TRIBUTARY_ASSIGN(transport::Received received, client_->Receive(std::min(kSlice, deadline.Left())));
      if (received.event == transport::Event::kLost) lost = true;
      if (received.event != transport::Event::kFrame || received.frame.view().id != id) continue;
      const auto welcome = wire::Expect<wire::StoreWelcome>(received.frame.view());
      if (!welcome.ok()) return welcome.error().Wrap(options_.endpoint);
      up_ = true;
      last_frame_ = last_ping_ = steady_clock::now();
      credit_from_ = id;
      credit_error_.reset();
      if (++counters_.sessions > 1) log::Info("a new session with the blob-store at {}", options_.endpoint);
      const auto participants = participants_;
      for (Participant* participant : participants) participant->OnSession();
      return Ok();
    }
  }
}

Status Session::Step(Duration limit, const std::stop_token& stop) {
  TRIBUTARY_TRY(CheckStop(stop));
  TRIBUTARY_TRY(EnsureUp(stop));
  const Time begin = steady_clock::now();
  // Time in which nobody listened is not the store's silence.
  if (begin - last_step_ > std::chrono::seconds(1)) {
    last_frame_ = last_ping_ = begin;
    up_line_.Pause();
    down_line_.Pause();
  }
  limit = std::min(limit, soon_ ? kSoon : kSlice);
  for (int i = 0; i < kBurst && up_; ++i) {
    TRIBUTARY_ASSIGN(transport::Received received, client_->Receive(i == 0 ? limit : Duration(0)));
    if (received.event == transport::Event::kLost) {
      log::Info("the connection to the blob-store at {} is lost", options_.endpoint);
      Lost();
    } else if (received.event == transport::Event::kFrame) {
      last_frame_ = steady_clock::now();
      TRIBUTARY_TRY(Dispatch(std::move(received.frame)));
    } else {
      break;
    }
  }
  last_step_ = steady_clock::now();
  Measure(last_step_);
  if (up_) Idle(last_step_);
  soon_ = false;
  for (std::size_t i = 0; i < participants_.size(); ++i) soon_ |= participants_[i]->Advance();
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

Duration Session::Patience(Duration limit, bool derived, std::uint64_t window) const {
  // The way that carries the chunks is the faster one.
  const double rate = std::max(up_line_.Rate().value_or(0), down_line_.Rate().value_or(0));
  if (!derived || limit.count() == 0 || rate <= 0) return limit;
  const double milliseconds = kPatience * 1000 * static_cast<double>(window) / rate;
  return std::max(limit, Duration(static_cast<Duration::rep>(std::min(milliseconds, static_cast<double>(kLongestPatience.count())))));
}

bool Session::Expired(Deadline& deadline, Duration limit, bool derived, std::uint64_t window) const {
  if (!deadline.Expired()) return false;
  const Duration patience = Patience(limit, derived, window);
  if (patience <= deadline.limit()) return true;
  // From here on: that much longer than what was waited already.
  deadline = Deadline(Clock::Steady(), patience);
  return false;
}

void Session::Idle(Time now) {
  // A chunk is one frame: the slower the line, the longer it is silent before that.
  if (const Duration limit = Patience(kSilent, true, wire::kMaxPayload); now - last_frame_ > limit) {
    log::Warning("the blob-store at {} is silent for {}: a new session begins", options_.endpoint, FormatDuration(limit));
    Lost();
    return;
  }
  if (now - std::max(last_frame_, last_ping_) > kPingAfter) {
    last_ping_ = now;
    if (!Send(transport::MakeFrame(++last_id_, wire::Ping{})).ok()) Lost();
  }
  // A reader that waits for long must not sit on credit that others need.
  if (credit_ > 0 && now - last_credit_use_ > kUnusedCredit) GiveCreditBack();
}

Status Session::Dispatch(transport::InFrame frame) {
  const wire::FrameView& view = frame.view();
  if (view.protocol != wire::kProtocol) {
    return MakeError(Code::kProtocol, "the blob-store at {} speaks protocol {}, this program {}; install the same version",
                     options_.endpoint, view.protocol, wire::kProtocol);
  }
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
    if (error.code() != Code::kUnavailable) return error.Wrap(options_.endpoint);
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
  requests_.emplace(++last_id_, participant);
  return last_id_;
}

Status Session::Send(transport::OutFrame frame) { return client_->Send(std::move(frame)); }

void Session::Abandon(std::uint64_t id, memory::Reservation reservation) {
  requests_.erase(id);
  abandoned_.emplace(id, std::move(reservation));
}

void Session::CancelReads() {
  if (!up_ || abandoned_.empty()) return;
  const Deadline deadline(Clock::Steady(), kCancelWait);
  bool ok = Send(transport::MakeFrame(++last_id_, wire::CancelReads{})).ok();
  while (ok && up_ && !abandoned_.empty() && !deadline.Expired()) {
    // Not Step: it would begin a new session, and a stop must not keep the connection from being left clean.
    auto received = client_->Receive(kSlice);
    if (!received.ok()) {
      ok = false;
    } else if (received->event == transport::Event::kLost) {
      Lost();
    } else if (received->event == transport::Event::kFrame) {
      last_frame_ = steady_clock::now();
      ok = Dispatch(std::move(received->frame)).ok();
    }
  }
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
  credit_request_ = ++last_id_;
  last_credit_use_ = steady_clock::now();
  return Send(transport::MakeFrame(credit_request_, wire::CreditRequest{window, unit, window}));
}

void Session::GiveCreditBack() {
  if (!up_ || (credit_ == 0 && asked_ == 0)) return;
  credit_ = asked_ = 0;
  credit_request_ = 0;
  const std::uint64_t id = ++last_id_;
  credit_from_ = id + 1;
  if (!Send(transport::MakeFrame(id, wire::CreditRequest{})).ok()) Lost();
}

Result<memory::BufferPtr> Session::Allocate(std::size_t bytes, Duration limit, const std::stop_token& stop,
                                            const std::function<Status()>& check) {
  if (bytes + memory::kHeadroom > pool_.budget()) {
    return MakeError(Code::kResourceExhausted,
                     "a chunk of {} does not fit the memory budget of {}; raise --memory-budget or lower chunk_bytes",
                     FormatBytes(bytes), FormatBytes(pool_.budget()));
  }
  Deadline deadline(Clock::Steady(), limit);
  for (;;) {
    if (auto buffer = pool_.TryAllocate(memory::Side::kWrite, bytes)) return buffer;
    // What holds the memory is on its way to the store.
    if (Expired(deadline, limit, options_.derived.write, pool_.budget() / 2)) {
      return MakeError(Code::kResourceExhausted,
                       "no {} of the memory budget of {} came free for writing within {}; raise --memory-budget",
                       FormatBytes(bytes), FormatBytes(pool_.budget()), FormatDuration(limit));
    }
    // Memory comes free when the store acknowledges, and a moment later when libzmq lets go of it.
    TRIBUTARY_TRY(Step(requests_.empty() ? Duration(0) : kSoon, stop));
    if (check) TRIBUTARY_TRY(check());
    auto buffer = pool_.Allocate(memory::Side::kWrite, bytes, Duration(1), stop);
    if (buffer.ok()) return buffer;
    if (buffer.error().code() != Code::kDeadline) return buffer.error();
  }
}

Result<transport::InFrame> Session::Call(const std::function<transport::OutFrame(std::uint64_t)>& make,
                                         std::uint64_t credit, std::string_view what, bool slow) {
  class Caller final : public Participant {
   public:
    void OnReply(std::uint64_t, transport::InFrame frame) override {
      reply = std::move(frame);
      took = steady_clock::now() - asked_at;
    }
    void OnLost() override { asked = false; }
    Time asked_at{};
    steady_clock::duration took{};
    std::optional<transport::InFrame> reply;
    bool asked = false;
  } caller;
  Join(&caller);
  struct Guard {
    Session& session;
    Participant& participant;
    ~Guard() { session.Leave(&participant); }
  } guard{*this, caller};

  TRIBUTARY_TRY(EnsureUp({}));
  Deadline deadline(Clock::Steady(), options_.request_timeout);
  std::uint64_t sessions = counters_.sessions;
  while (!caller.reply) {
    if (up_ && !caller.asked) {
      if (credit_ >= credit) {
        const std::uint64_t id = NewRequest(&caller);
        transport::OutFrame frame = make(id);
        if (!frame.header.empty()) {
          SpendCredit(credit);
          TRIBUTARY_TRY(Send(std::move(frame)));
          caller.asked = true;
          caller.asked_at = steady_clock::now();
        } else {
          requests_.erase(id);
        }
      } else {
        TRIBUTARY_TRY(WantCredit(credit, credit, credit));
      }
    }
    TRIBUTARY_TRY(Step(caller.asked || credit_ < credit ? kSlice : Duration(1), {}));
    if (counters_.sessions != sessions || (slow && std::exchange(ponged_, false))) {
      sessions = counters_.sessions;
      deadline.Renew();
    }
    // The request stands behind the chunks that are under way.
    if (Expired(deadline, options_.request_timeout, options_.derived.request, pool_.budget() / 2)) {
      return MakeError(Code::kDeadline, "the blob-store at {} did not answer within {} ({}); is it overloaded or its disk slow?",
                       options_.endpoint, FormatDuration(deadline.limit()), what);
    }
  }
  if (round_trip_.count() == 0 || caller.took < round_trip_) round_trip_ = caller.took;
  if (caller.reply->view().type == wire::Type::kError) return wire::ErrorOf(caller.reply->view());
  return *std::move(caller.reply);
}

}  // namespace tributary::blob_client
