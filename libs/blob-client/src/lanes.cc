#include "lanes.h"

#include <algorithm>

namespace tributary::blob_client {
namespace {

using std::chrono::steady_clock;

constexpr Duration kSlice{50};  // how soon a stop is seen
constexpr Duration kSoon{2};
constexpr Duration kGreetSlice{20};  // the pause before a new hello is no event
// A server takes a second to see a new list of peers.
constexpr Duration kRefusedForGood{3'000};
constexpr Duration kCancelWait{2'000};
// The line is shared and stutters, the disk behind it has its own pace: a window may take so many times its share.
constexpr double kPatience = 4;
constexpr Duration kLongestPatience{3'600'000};

// Waits for the answer of one shard.
class Caller final : public Participant {
 public:
  explicit Caller(Session& of) : session(of) {}
  void OnReply(std::uint64_t, transport::InFrame frame) override {
    reply = std::move(frame);
    session.Took(steady_clock::now() - asked_at);
  }
  void OnLost(Session& lost) override {
    if (&lost == &session) asked = false;
  }

  Session& session;
  Session::Time asked_at{};
  std::optional<transport::InFrame> reply;
  bool asked = false;
};

}  // namespace

Duration PatienceAt(double rate, Duration limit, bool derived, std::uint64_t window) {
  if (!derived || limit.count() == 0 || rate <= 0) return limit;
  const double milliseconds = kPatience * 1000 * static_cast<double>(window) / rate;
  return std::max(limit, Duration(static_cast<Duration::rep>(std::min(milliseconds, static_cast<double>(kLongestPatience.count())))));
}

Lanes::Lanes(memory::Pool& pool, const RemoteOptions& options) : pool_(pool), options_(options) {
  for (const std::string& endpoint : options.endpoints) name_ += (name_.empty() ? "" : ", ") + endpoint;
}

Result<std::unique_ptr<Lanes>> Lanes::Make(std::shared_ptr<transport::Context> context, memory::Pool& pool, const RemoteOptions& options) {
  if (options.endpoints.empty() || options.connections == 0 || options.connections > kMaxConnections ||
      options.endpoints.size() * options.connections > kMaxLanes) {
    return MakeError(Code::kInvalidArgument, "{} blob-store shards with {} connections each: 1 to {} connections are possible, {} in all",
                     options.endpoints.size(), options.connections, kMaxConnections, kMaxLanes);
  }
  std::unique_ptr<Lanes> lanes(new Lanes(pool, options));
  const auto count = static_cast<std::uint32_t>(options.endpoints.size());
  for (std::uint32_t shard = 0; shard < count; ++shard) {
    for (std::uint32_t i = 0; i < options.connections; ++i) {
      TRIBUTARY_ASSIGN(auto session, Session::Make(context, lanes->company_, lanes->options_, {options.endpoints[shard], shard, count}));
      lanes->clients_.push_back(session->client());
      lanes->sessions_.push_back(std::move(session));
    }
  }
  return lanes;
}

void Lanes::Leave(Participant* participant) {
  std::erase(company_.participants, participant);
  for (const auto& session : sessions_) session->Forget(participant);
}

Status Lanes::CheckStop(const std::stop_token& stop) const {
  if (!stop.stop_requested() && !options_.stop.stop_requested()) return Ok();
  return MakeError(Code::kCancelled, "stopped while waiting for the blob-store at {}", name_);
}

Status Lanes::EnsureUp(const std::stop_token& stop) {
  const auto is_up = [](const auto& session) { return session->up(); };
  if (std::ranges::all_of(sessions_, is_up)) return Ok();
  const Deadline deadline(Clock::Steady(), options_.connect_timeout);
  std::optional<Deadline> refused;
  for (;;) {
    for (const auto& session : sessions_) {
      if (session->up()) {
        session->Listen(steady_clock::now());
        TRIBUTARY_TRY(session->Pump(Duration(0)));
      } else {
        TRIBUTARY_TRY(session->Greet(steady_clock::now()));
      }
    }
    const auto down = std::ranges::find_if_not(sessions_, is_up);
    if (down == sessions_.end()) return Ok();
    TRIBUTARY_TRY(CheckStop(stop));
    const auto closed = std::ranges::find_if(sessions_, [](const auto& session) { return !session->up() && session->Refused(); });
    if (closed == sessions_.end()) {
      refused.reset();
    } else if (!refused) {
      refused.emplace(Clock::Steady(), kRefusedForGood);
    } else if (refused->Expired()) {
      for (const auto& session : sessions_) session->GiveUpGreeting();
      return MakeError(Code::kPermission, "the blob-store at {} does not speak with this process{}", (*closed)->endpoint(), (*closed)->Trouble());
    }
    if (deadline.Expired()) {
      for (const auto& session : sessions_) session->GiveUpGreeting();
      return MakeError(Code::kDeadline, "no blob-store answers at {} for {}{}", (*down)->endpoint(), FormatDuration(options_.connect_timeout),
                       (*down)->Trouble().empty() ? "; start tributary-blob-store or check the endpoint" : (*down)->Trouble());
    }
    TRIBUTARY_TRY(transport::FrameClient::WaitAny(clients_, std::min(kGreetSlice, deadline.Left())));
  }
}

Status Lanes::Step(Duration limit, const std::stop_token& stop) {
  TRIBUTARY_TRY(CheckStop(stop));
  TRIBUTARY_TRY(EnsureUp(stop));
  const auto begin = steady_clock::now();
  for (const auto& session : sessions_) session->Listen(begin);
  limit = std::min(limit, soon_ ? kSoon : kSlice);
  if (sessions_.size() > 1) {
    if (limit.count() > 0) TRIBUTARY_TRY(transport::FrameClient::WaitAny(clients_, limit));
    limit = Duration(0);
  }
  for (const auto& session : sessions_) TRIBUTARY_TRY(session->Pump(limit));
  soon_ = false;
  for (std::size_t i = 0; i < company_.participants.size(); ++i) soon_ |= company_.participants[i]->Advance();
  return Ok();
}

Duration Lanes::Patience(Duration limit, bool derived, std::uint64_t window) const {
  double rate = 0;
  for (const auto& session : sessions_) {
    const double own = session->rate();
    if (own > 0 && (rate == 0 || own < rate)) rate = own;
  }
  return PatienceAt(rate, limit, derived, window);
}

bool Lanes::Expired(Deadline& deadline, Duration limit, bool derived, std::uint64_t window) const {
  if (!deadline.Expired()) return false;
  const Duration patience = Patience(limit, derived, window);
  if (patience <= deadline.limit()) return true;
  // From here on: that much longer than what was waited already.
  deadline = Deadline(Clock::Steady(), patience);
  return false;
}

Session::Time::duration Lanes::round_trip() const {
  Session::Time::duration longest{};
  for (const auto& session : sessions_) longest = std::max(longest, session->round_trip());
  return longest;
}

TransferCounters Lanes::counters() const {
  TransferCounters sum;
  for (const auto& session : sessions_) {
    const TransferCounters& each = session->counters();
    sum.bytes_read += each.bytes_read;
    sum.bytes_written += each.bytes_written;
    sum.bytes_deduplicated += each.bytes_deduplicated;
    sum.bytes_resent += each.bytes_resent;
    sum.bytes_reasked += each.bytes_reasked;
    sum.sessions += each.sessions;
  }
  return sum;
}

void Lanes::CancelReads() {
  std::vector<Session*> cancelling;
  for (const auto& session : sessions_) {
    if (session->StartCancelling()) cancelling.push_back(session.get());
  }
  const Deadline deadline(Clock::Steady(), kCancelWait);
  while (!deadline.Expired()) {
    // All of them, each time.
    const auto left = std::ranges::count_if(cancelling, [](Session* session) { return session->Cancelling(); });
    if (left == 0 || !transport::FrameClient::WaitAny(clients_, std::min(kSlice, deadline.Left())).ok()) break;
  }
  for (Session* session : cancelling) session->EndCancelling();
}

void Lanes::GiveCreditBack() {
  for (const auto& session : sessions_) session->GiveCreditBack();
}

Result<memory::BufferPtr> Lanes::Allocate(std::size_t bytes, Duration limit, const std::stop_token& stop,
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
    const bool asks = std::ranges::any_of(sessions_, [](const auto& session) { return session->asks(); });
    TRIBUTARY_TRY(Step(asks ? kSoon : Duration(0), stop));
    if (check) TRIBUTARY_TRY(check());
    auto buffer = pool_.Allocate(memory::Side::kWrite, bytes, Duration(1), stop);
    if (buffer.ok()) return buffer;
    if (buffer.error().code() != Code::kDeadline) return buffer.error();
  }
}

Result<transport::InFrame> Lanes::Call(std::size_t shard, const MakeFrame& make, const CallOptions& options) {
  TRIBUTARY_ASSIGN(auto replies, CallEach({shard}, make, options));
  return std::move(replies.front());
}

Result<std::vector<transport::InFrame>> Lanes::CallEach(const std::vector<std::size_t>& shards, const MakeFrame& make,
                                                        const CallOptions& options) {
  std::vector<std::unique_ptr<Caller>> callers;
  struct Guard {
    Lanes& lanes;
    std::vector<std::unique_ptr<Caller>>& callers;
    ~Guard() {
      for (const auto& caller : callers) lanes.Leave(caller.get());
    }
  } guard{*this, callers};
  TRIBUTARY_TRY(EnsureUp({}));
  for (const std::size_t shard : shards) {
    callers.push_back(std::make_unique<Caller>(OfShard(shard)));
    Join(callers.back().get());
  }

  Deadline deadline(Clock::Steady(), options_.request_timeout);
  std::uint64_t sessions = counters().sessions;
  for (;;) {
    Caller* waits = nullptr;
    bool soon = false;
    for (const auto& caller : callers) {
      if (caller->reply) continue;
      if (waits == nullptr) waits = caller.get();
      Session& session = caller->session;
      if (!session.up() || caller->asked) continue;
      if (session.credit() < options.credit) {
        TRIBUTARY_TRY(session.WantCredit(options.credit, options.credit, options.credit));
        continue;
      }
      const std::uint64_t id = session.NewRequest(caller.get());
      transport::OutFrame frame = make(id);
      if (frame.header.empty()) {
        session.ForgetRequest(id);
        soon = true;
        continue;
      }
      session.SpendCredit(options.credit);
      TRIBUTARY_TRY(session.Send(std::move(frame)));
      caller->asked = true;
      caller->asked_at = steady_clock::now();
    }
    if (waits == nullptr) break;
    // The request stands behind the chunks that are under way.
    if (Expired(deadline, options_.request_timeout, options_.derived.request, pool_.budget() / 2)) {
      return MakeError(Code::kDeadline, "the blob-store at {} did not answer within {} ({}); is it overloaded or its disk slow?",
                       waits->session.endpoint(), FormatDuration(deadline.limit()), options.what);
    }
    TRIBUTARY_TRY(Step(soon ? Duration(1) : kSlice, {}));
    const std::uint64_t before = std::exchange(sessions, counters().sessions);
    bool alive = before != sessions;
    for (const auto& caller : callers) {
      const bool pong = caller->session.TakePong();
      alive = alive || (options.slow && !caller->reply && pong);
    }
    if (alive) deadline.Renew();
  }
  std::vector<transport::InFrame> replies;
  for (const auto& caller : callers) {
    if (caller->reply->view().type == wire::Type::kError) return wire::ErrorOf(caller->reply->view());
    replies.push_back(*std::move(caller->reply));
  }
  return replies;
}

}  // namespace tributary::blob_client
