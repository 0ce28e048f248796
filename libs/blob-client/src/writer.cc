#include "writer.h"

#include <algorithm>

namespace tributary::blob_client {
namespace {

// Of a line without delay: 5 ms at 1 GB/s. Two of them are what a blob-store with the default budget has under way with such peers.
constexpr std::uint64_t kWindow = 6u << 20;
constexpr int kAttempts = 3;  // for bytes that the store says arrived damaged

}  // namespace

RemoteWriter::RemoteWriter(Lanes& lanes, const blob::WriteOptions& options, GetPage get_page)
    : lanes_(lanes),
      options_(options),
      get_page_(std::move(get_page)),
      window_(options.window_bytes > 0 ? Window(options.window_bytes, options.window_bytes) : Window(kWindow, lanes.pool().budget() / 2)),
      timeout_(options.timeout.count() > 0 ? options.timeout : lanes.options().write_timeout),
      ack_timeout_(options.timeout.count() > 0 ? options.timeout : lanes.options().ack_timeout),
      deadline_(Clock::Steady(), timeout_),
      ack_deadline_(Clock::Steady(), ack_timeout_) {
  links_ = options.same_as.has_value();
  lanes_.Join(this);
}

RemoteWriter::~RemoteWriter() {
  lanes_.Leave(this);
  lanes_.GiveCreditBack();
}

Result<memory::BufferPtr> RemoteWriter::Allocate(std::size_t bytes) {
  if (failed_) return *failed_;
  return lanes_.Allocate(bytes, timeout_, options_.stop, [this] { return Check(); });
}

Status RemoteWriter::Put(const ObjectName& object, std::uint64_t slot, memory::BufferPtr chunk) {
  if (failed_) return *failed_;
  const std::uint64_t bytes = chunk->payload().size();
  if (bytes == 0 || bytes > lanes_.options().max_message) {
    return MakeError(Code::kInvalidArgument, "slot {} of object '{}': a chunk of {} bytes cannot be put, messages have at most {}", slot,
                     object.str(), bytes, lanes_.options().max_message);
  }
  // The consumer's own time does not count.
  Renew();
  const auto xxh128 = digest::ComputeXxh128(std::as_const(*chunk).payload());
  auto linked = LinkOf(slot, std::as_const(*chunk).payload(), xxh128);
  items_.push_back({object, slot, lanes_.LaneOf(slot), std::move(chunk), xxh128, 0, 0, 0, std::move(linked)});
  item_bytes_ += bytes;
  unit_ = std::max(unit_, bytes);
  Advance();
  // Sees to acknowledgements and the reader's chunks, without waiting.
  if (!failed_ && lanes_.at(items_.back().lane).up()) {
    if (const Status stepped = lanes_.Step(Duration(0), options_.stop); !stepped.ok()) Fail(stepped.error());
  }
  const std::uint64_t window = window_.bytes(lanes_.round_trip());
  return DrainTo(window > bytes ? window - bytes : 0);
}

std::optional<digest::Sha256> RemoteWriter::LinkOf(std::uint64_t slot, std::span<const std::byte> bytes, const digest::Xxh128& xxh128) {
  if (!links_) return std::nullopt;
  const std::uint64_t page = slot / wire::kPageDigests;
  if (page_ != page) {
    auto digests = get_page_(*options_.same_as, page);
    // Not there, not sealed, another layout: nothing is equal then.
    if (!digests.ok()) {
      links_ = false;
      return std::nullopt;
    }
    page_ = page;
    digests_ = *std::move(digests);
  }
  const std::uint64_t place = slot % wire::kPageDigests;
  // SHA-256 is computed only of what is all but certain to be equal.
  if (place >= digests_.size() || digests_[place].xxh128 != xxh128) return std::nullopt;
  const auto sha256 = digest::ComputeSha256(bytes);
  if (digests_[place].sha256 != sha256) return std::nullopt;
  return sha256;
}

Status RemoteWriter::Flush() {
  Renew();
  const Status drained = DrainTo(0);
  lanes_.GiveCreditBack();
  return drained;
}

void RemoteWriter::Renew() {
  deadline_.Renew();
  ack_deadline_.Renew();
}

bool RemoteWriter::AllSent() const {
  return std::ranges::none_of(items_, [](const Item& item) { return item.id == 0; });
}

Status RemoteWriter::DrainTo(std::uint64_t bytes) {
  while (!failed_ && item_bytes_ > bytes) {
    const bool all_sent = AllSent();
    Deadline& deadline = all_sent ? ack_deadline_ : deadline_;
    // A timeout of the caller's own is what it says.
    const bool derived = options_.timeout.count() == 0 && (all_sent ? lanes_.options().derived.ack : lanes_.options().derived.write);
    const Duration limit = all_sent ? ack_timeout_ : timeout_;
    if (lanes_.Expired(deadline, limit, derived, std::max(window_.bytes(lanes_.round_trip()), unit_))) {
      Fail(NoProgress());
      break;
    }
    const Status stepped = lanes_.Step(deadline.Left(), options_.stop);
    if (!stepped.ok()) Fail(stepped.error());
  }
  return Check();
}

Status RemoteWriter::Check() const {
  if (failed_) return *failed_;
  return Ok();
}

Status RemoteWriter::SendItems() {
  waits_for_socket_ = false;
  if (failed_ || items_.empty()) return Ok();
  struct Lane {
    bool used = false;
    bool held_up = false;
    std::uint64_t waiting = 0;
  };
  std::vector<Lane> lanes(lanes_.size());
  for (Item& item : items_) {
    Session& session = lanes_.at(item.lane);
    Lane& lane = lanes[item.lane];
    if (!session.up()) continue;
    lane.used = true;
    if (item.id != 0 || lane.held_up) continue;
    if (lane.waiting > 0 || session.credit() < item.bytes()) {
      lane.waiting += item.bytes();
      continue;
    }
    // The socket of the session that was lost may not have let go of the buffer, whose headroom takes the new header.
    lane.held_up = item.sent > 0 && item.buffer.use_count() > 1;
    waits_for_socket_ |= lane.held_up;
    if (lane.held_up) continue;
    Renew();
    item.id = session.NewRequest(this);
    session.SpendCredit(item.bytes());
    if (item.linked) {
      wire::LinkChunk link;
      link.object = item.object.str();
      link.slot = item.slot;
      link.generation = options_.generation;
      link.from = options_.same_as->str();
      link.bytes = item.bytes();
      link.xxh128 = item.xxh128;
      link.sha256 = *item.linked;
      TRIBUTARY_TRY(session.Send(transport::MakeFrame(item.id, link)));
      continue;
    }
    if (item.sent++ > 0) session.counters().bytes_resent += item.bytes();
    wire::PutChunk put;
    put.object = item.object.str();
    put.slot = item.slot;
    put.generation = options_.generation;
    put.xxh128 = item.xxh128;
    TRIBUTARY_TRY(session.Send(transport::MakeFrame(item.id, put, item.buffer)));
  }
  const std::uint64_t share = (window_.bytes(lanes_.round_trip()) + lanes.size() - 1) / lanes.size();
  for (std::size_t i = 0; i < lanes.size(); ++i) {
    if (lanes[i].used) TRIBUTARY_TRY(lanes_.at(i).WantCredit(lanes[i].waiting, std::max(share, unit_), unit_));
  }
  return Ok();
}

bool RemoteWriter::Advance() {
  if (const Status sent = SendItems(); !sent.ok()) Fail(sent.error());
  return waits_for_socket_;
}

void RemoteWriter::OnLost(Session& session) {
  for (Item& item : items_) {
    if (&lanes_.at(item.lane) == &session) item.id = 0;
  }
}

void RemoteWriter::OnSession(Session&) { Renew(); }

void RemoteWriter::OnReply(std::uint64_t id, transport::InFrame frame) {
  const auto it = std::ranges::find(items_, id, &Item::id);
  if (it == items_.end()) return;
  const auto ack = wire::Expect<wire::PutAck>(frame.view());
  if (!ack.ok() && it->linked) {
    // The bytes go instead; if the object, slot or content is what is wrong, the answer to them says so. A store that does not know the
    // message is asked no more.
    it->linked.reset();
    it->id = 0;
    if (ack.error().code() == Code::kProtocol) links_ = false;
    return;
  }
  if (!ack.ok()) {
    if (ack.error().code() == Code::kDataLoss && ++it->damaged < kAttempts) {
      it->id = 0;
    } else {
      Fail(ack.error());
    }
    return;
  }
  Renew();
  acknowledged_ += it->bytes();
  if (it->linked) {
    deduplicated_ += it->bytes();
    lanes_.at(it->lane).counters().bytes_deduplicated += it->bytes();
  } else {
    lanes_.at(it->lane).counters().bytes_written += it->bytes();
  }
  window_.Moved(it->bytes(), std::chrono::steady_clock::now());
  item_bytes_ -= it->bytes();
  items_.erase(it);
}

void RemoteWriter::Fail(const Error& error) {
  if (!failed_) failed_ = error;
  items_.clear();
  item_bytes_ = 0;
}

Error RemoteWriter::NoProgress() const {
  const Item& item = items_.front();
  return MakeError(Code::kDeadline,
                   "{} acknowledged nothing for {}, slot {} of object '{}' and {} more wait, {} are there; is its disk slow, or its "
                   "--memory-budget too small for its peers?",
                   lanes_.at(item.lane).endpoint(), FormatDuration((AllSent() ? ack_deadline_ : deadline_).limit()), item.slot, item.object.str(),
                   FormatBytes(item_bytes_ - item.bytes()), FormatBytes(acknowledged_));
}

}  // namespace tributary::blob_client
