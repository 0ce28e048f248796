#include "reader.h"

#include <algorithm>
#include <utility>

#include "tributary/digest/digest.h"
#include "tributary/encoding/encoding.h"
#include "tributary/wire/object.h"

namespace tributary::blob_client {
namespace {

constexpr std::size_t kMaxOutstanding = 48;  // stores refuse more than 64
constexpr int kAttempts = 3;                 // for bytes that do not match their digest
constexpr std::size_t kMaxSizes = 4096;
// Of a line without delay: 5 ms at 1 GB/s. Two of them are what a blob-store with the default budget has under way with such peers.
constexpr std::uint64_t kWindow = 6u << 20;
constexpr Duration kSlice{50};

}  // namespace

RemoteReader::RemoteReader(Lanes& lanes, blob::ChunkSequence sequence, const blob::ReadOptions& options)
    : lanes_(lanes),
      sequence_(std::move(sequence)),
      options_(options),
      window_(options.window_bytes > 0 ? Window(options.window_bytes, options.window_bytes) : Window(kWindow, lanes.pool().budget() / 2)),
      deadline_(Clock::Steady(), options.wait.count() > 0 ? options.wait : lanes.options().read_timeout) {
  lanes_.Join(this);
}

RemoteReader::~RemoteReader() {
  lanes_.Leave(this);
  for (Pending& pending : pending_) {
    Session& session = lanes_.at(pending.lane);
    if (pending.id != 0 && !pending.done() && session.up()) session.Abandon(pending.id, std::move(pending.reservation));
  }
  lanes_.CancelReads();
}

Result<std::uint64_t> RemoteReader::BytesOf(const blob::ChunkRef& ref) {
  auto it = sizes_.find(ref.object);
  if (it == sizes_.end()) {
    TRIBUTARY_ASSIGN(const transport::InFrame frame,
                     lanes_.Call(0, [&](std::uint64_t id) { return transport::MakeFrame(id, wire::GetSpec{ref.object.str()}); },
                                 {.what = "spec of " + ref.object.str()}));
    TRIBUTARY_TRY(wire::Expect<wire::SpecBody>(frame.view()).status());
    TRIBUTARY_ASSIGN(const wire::ObjectSpec spec, wire::DecodeObjectSpec(frame.view().payload));
    TRIBUTARY_ASSIGN(const tensor::Layout layout, wire::MakeLayout(spec));
    if (sizes_.size() >= kMaxSizes) sizes_.clear();
    it = sizes_.emplace(ref.object, Sizes{layout.sections(), layout.slot_count(), spec.encoding}).first;
  }
  for (const tensor::Section& section : it->second.sections) {
    if (ref.slot >= section.slots.end) continue;
    const std::uint64_t bytes = encoding::EncodedBytes(section.dtype, it->second.encoding, section.ElementsOf(ref.slot).count);
    // libzmq would end the connection, again and again.
    if (bytes > lanes_.options().max_message) {
      return MakeError(Code::kResourceExhausted, "slot {} of object '{}' is a message of {}: this program takes at most {} at a time; "
                       "raise its --memory-budget", ref.slot,
                       ref.object.str(), FormatBytes(bytes), FormatBytes(lanes_.options().max_message));
    }
    return bytes;
  }
  return MakeError(Code::kNotFound, "object '{}' has no slot {}: it has {}", ref.object.str(), ref.slot, it->second.slots);
}

Status RemoteReader::Fill() {
  while (!ended_ && pending_.size() < kMaxOutstanding * lanes_.size()) {
    if (!next_) next_ = sequence_();
    if (!next_) {
      ended_ = true;
      break;
    }
    const auto bytes = BytesOf(*next_);
    Pending pending;
    pending.ref = *next_;
    pending.lane = lanes_.LaneOf(next_->slot);
    if (!bytes.ok()) {
      // Told when its turn comes; nothing after it can be of use.
      if (bytes.error().code() == Code::kDeadline || bytes.error().code() == Code::kCancelled) return bytes.error();
      pending.error = bytes.error();
      ended_ = true;
    } else {
      pending.bytes = *bytes;
      if (!pending_.empty() && pending_bytes_ + *bytes > window_.bytes(lanes_.round_trip())) break;
      auto reservation = lanes_.pool().TryReserve(memory::Side::kRead, *bytes + memory::kHeadroom);
      if (!reservation) break;
      pending.reservation = *std::move(reservation);
    }
    next_.reset();
    pending_bytes_ += pending.bytes;
    pending_.push_back(std::move(pending));
  }
  return Ask();
}

Status RemoteReader::Ask() {
  if (pending_.empty()) return Ok();
  std::vector<std::size_t> asked(lanes_.size(), 0);
  for (Pending& pending : pending_) {
    if (pending.done()) continue;
    Session& session = lanes_.at(pending.lane);
    if (++asked[pending.lane] > kMaxOutstanding || pending.id != 0 || !session.up()) continue;
    if (std::exchange(pending.lost, false)) session.counters().bytes_reasked += pending.bytes;
    pending.id = session.NewRequest(this);
    wire::GetChunk get;
    get.object = pending.ref.object.str();
    get.slot = pending.ref.slot;
    get.min_generation = options_.min_generation;
    get.wait_ms = static_cast<std::uint64_t>(options_.wait.count());
    TRIBUTARY_TRY(session.Send(transport::MakeFrame(pending.id, get)));
  }
  return Ok();
}

void RemoteReader::OnLost(Session& session) {
  for (Pending& pending : pending_) {
    if (pending.done() || &lanes_.at(pending.lane) != &session) continue;
    pending.lost = pending.id != 0;
    pending.id = 0;
  }
}

void RemoteReader::OnSession(Session&) { deadline_.Renew(); }

bool RemoteReader::Advance() {
  if (const Status asked = Ask(); !asked.ok()) failed_ = asked.error();
  return false;
}

Status RemoteReader::Check(Pending& pending, transport::InFrame frame) {
  TRIBUTARY_ASSIGN(const wire::Chunk chunk, wire::Expect<wire::Chunk>(frame.view()));
  const auto payload = frame.view().payload;
  if (chunk.slot != pending.ref.slot || chunk.generation < options_.min_generation || payload.size() != pending.bytes ||
      digest::ComputeXxh128(payload) != chunk.xxh128) {
    return MakeError(Code::kDataLoss, "slot {} of object '{}' came from {} with other bytes than its digest says",
                     pending.ref.slot, pending.ref.object.str(), lanes_.at(pending.lane).endpoint());
  }
  pending.generation = chunk.generation;
  frame.Attach(std::move(pending.reservation));
  pending.frame = std::move(frame);
  lanes_.at(pending.lane).counters().bytes_read += pending.bytes;
  window_.Moved(pending.bytes, std::chrono::steady_clock::now());
  return Ok();
}

void RemoteReader::OnReply(std::uint64_t id, transport::InFrame frame) {
  const auto it = std::ranges::find(pending_, id, &Pending::id);
  if (it == pending_.end()) return;
  const Status checked = Check(*it, std::move(frame));
  if (checked.ok()) {
    deadline_.Renew();
    return;
  }
  const Code code = checked.error().code();
  // The store gave up waiting, but this reader's own deadline was renewed by other chunks; or bits flipped on the way.
  const bool waiting = options_.wait.count() > 0 && (code == Code::kDeadline || code == Code::kUnavailable);
  if (waiting || (code == Code::kDataLoss && ++it->attempts < kAttempts)) {
    it->id = 0;
  } else {
    it->error = checked.error();
  }
}

Error RemoteReader::NoProgress() const {
  const Pending& front = pending_.front();
  return MakeError(Code::kDeadline,
                   "slot {} of object '{}' did not come from {} within {}, after {} chunks; is its writer still running? If it is slow, "
                   "wait longer",
                   front.ref.slot, front.ref.object.str(), lanes_.at(front.lane).endpoint(), FormatDuration(deadline_.limit()),
                   delivered_);
}

Error RemoteReader::NoMemory() const {
  const memory::PoolUse use = lanes_.pool().Use();
  return MakeError(Code::kResourceExhausted,
                   "no room to read slot {} of object '{}' after {} chunks: {} of the {} for reading are held by chunks not yet let "
                   "go; raise --memory-budget above {} or lower chunk_bytes",
                   next_->slot, next_->object.str(), delivered_, FormatBytes(use.used[0]), FormatBytes(use.limit[0]),
                   FormatBytes(use.budget));
}

Result<std::optional<blob::Chunk>> RemoteReader::Next() {
  // The consumer's own time does not count.
  deadline_.Renew();
  for (;;) {
    if (failed_) return *failed_;
    if (const Status filled = Fill(); !filled.ok()) {
      failed_ = filled.error();
      continue;
    }
    if (pending_.empty() && ended_) return std::optional<blob::Chunk>();
    if (!pending_.empty() && pending_.front().done()) {
      Pending front = std::move(pending_.front());
      pending_.pop_front();
      pending_bytes_ -= front.bytes;
      if (front.error) {
        failed_ = front.error;
        continue;
      }
      ++delivered_;
      auto owner = std::make_shared<transport::InFrame>(*std::move(front.frame));
      const auto bytes = owner->view().payload;
      return std::optional<blob::Chunk>(
          blob::Chunk{front.ref.object, front.ref.slot, front.generation, bytes, std::move(owner)});
    }
    const Duration own = options_.wait;
    if (lanes_.Expired(deadline_, own.count() > 0 ? own : lanes_.options().read_timeout, own.count() == 0 && lanes_.options().derived.read,
                         window_.bytes(lanes_.round_trip()))) {
      failed_ = pending_.empty() ? NoMemory() : NoProgress();
      continue;
    }
    // Without a request under way only this process can make progress: look again soon.
    const Duration limit = pending_.empty() ? Duration(2) : std::min(kSlice, deadline_.Left());
    if (const Status stepped = lanes_.Step(limit, options_.stop); !stepped.ok()) failed_ = stepped.error();
  }
}

}  // namespace tributary::blob_client
