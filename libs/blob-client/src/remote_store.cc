#include "tributary/blob_client/remote_store.h"

#include <algorithm>
#include <functional>
#include <iterator>
#include <numeric>

#include "lanes.h"
#include "reader.h"
#include "striped.h"
#include "tributary/wire/object.h"
#include "writer.h"

namespace tributary::blob_client {
namespace {

constexpr std::uint32_t kListPage = 200;  // as many as a frame holds
constexpr std::size_t kPagesAtATime = 8;  // of digests, 192 KiB each

blob::ObjectInfo ToInfo(const wire::ObjectStatus& status, const ObjectName& name) {
  blob::ObjectInfo info;
  info.name = name;
  info.kind = static_cast<wire::ObjectKind>(std::clamp(status.kind, 1u, 3u));
  info.sealed = status.sealed;
  info.slots = status.slots;
  info.slots_present = status.slots_present;
  info.generation = status.generation;
  info.sample_count = status.sample_count;
  info.bytes = status.bytes;
  info.bytes_present = status.bytes_present;
  info.digest = status.digest;
  info.norm = status.norm;
  return info;
}

class Remote final : public RemoteStore {
 public:
  explicit Remote(std::unique_ptr<Lanes> lanes) : lanes_(std::move(lanes)), all_(lanes_->shards()) { std::iota(all_.begin(), all_.end(), 0); }

  Result<blob::CreateOutcome> Create(const ObjectName& name, const wire::ObjectSpec& spec, bool replace) override {
    const std::string text = wire::EncodeObjectSpec(spec);
    if (text.size() > wire::kMaxPayload) {
      return MakeError(Code::kInvalidArgument, "the spec of object '{}' has {} bytes: at most {}", name.str(), text.size(),
                       wire::kMaxPayload);
    }
    // Each shard judges by its own slots: none may replace what another keeps.
    bool kept = false;
    if (replace && all_.size() > 1) {
      TRIBUTARY_ASSIGN(kept, IsKept(name));
    }
    const auto frames = Send(all_, wire::Create{name.str(), replace && !kept}, std::as_bytes(std::span(text)), name);
    if (!frames.ok() && kept && frames.error().code() == Code::kAlreadyExists) {
      return MakeError(Code::kAlreadyExists, "object '{}' exists with another spec and is sealed, or an update that holds chunks, on one of the blob-store's "
                       "shards; choose another name or remove it", name.str());
    }
    if (!frames.ok()) return frames.error();
    blob::CreateOutcome outcome{true, true};
    bool one_sealed = false;
    for (const transport::InFrame& frame : *frames) {
      TRIBUTARY_ASSIGN(const wire::Created created, wire::Expect<wire::Created>(frame.view()));
      outcome.existed = outcome.existed && created.existed;
      outcome.sealed = outcome.sealed && created.sealed;
      one_sealed = one_sealed || created.sealed;
    }
    // A seal that did not come to its end: whoever would put the slots again could not put those of shards that are sealed.
    if (outcome.existed && one_sealed && !outcome.sealed) outcome.sealed = Seal(name, 0, true).ok();
    return outcome;
  }

  Result<blob::ObjectInfo> Stat(const ObjectName& name) override {
    TRIBUTARY_ASSIGN(const auto infos, StatEach(name));
    return MergeInfo(infos);
  }

  Result<wire::ObjectSpec> Spec(const ObjectName& name) override {
    TRIBUTARY_ASSIGN(const transport::InFrame frame, Fetch<wire::SpecBody>(0, wire::GetSpec{name.str()}, name));
    return wire::DecodeObjectSpec(frame.view().payload);
  }

  Result<std::vector<tensor::SlotRange>> Missing(const ObjectName& name, tensor::SlotRange range,
                                                 std::uint64_t generation) override {
    std::vector<std::vector<tensor::SlotRange>> missing(all_.size());
    for (const std::size_t shard : all_) {
      TRIBUTARY_ASSIGN(missing[shard], MissingOf(shard, name, range, generation));
    }
    if (all_.size() == 1) return std::move(missing.front());
    return MergeRanges(missing);
  }

  Result<std::unique_ptr<blob::ChunkReader>> Read(blob::ChunkSequence sequence, const blob::ReadOptions& options) override {
    return std::unique_ptr<blob::ChunkReader>(std::make_unique<RemoteReader>(*lanes_, std::move(sequence), options));
  }
  Result<std::unique_ptr<blob::ChunkWriter>> Write(const blob::WriteOptions& options) override {
    return std::unique_ptr<blob::ChunkWriter>(std::make_unique<RemoteWriter>(
        *lanes_, options, [this](const ObjectName& object, std::uint64_t page) { return Page(object, page); }));
  }

  Result<std::string> Seal(const ObjectName& name, std::uint64_t generation, bool durable) override {
    if (all_.size() > 1) TRIBUTARY_TRY(ExchangeDigests(name, generation));
    TRIBUTARY_ASSIGN(const auto sealed, AskEach<wire::Sealed>(wire::Seal{name.str(), generation, durable}, name, /*slow=*/true));
    for (const wire::Sealed& other : sealed) {
      if (other.digest == sealed.front().digest) continue;
      return MakeError(Code::kDataLoss, "the shards of the blob-store sealed object '{}' as {} and as {}; remove it and put it again", name.str(),
                       sealed.front().digest, other.digest);
    }
    return sealed.front().digest;
  }

  Result<wire::ManifestRoot> Root(const ObjectName& name) override {
    TRIBUTARY_ASSIGN(const transport::InFrame frame, Fetch<wire::RootBody>(0, wire::GetRoot{name.str()}, name));
    return wire::DecodeManifestRoot(frame.view().payload);
  }
  Result<std::vector<wire::SlotDigest>> Page(const ObjectName& name, std::uint64_t page) override {
    TRIBUTARY_ASSIGN(const transport::InFrame frame, Fetch<wire::PageBody>(page % all_.size(), wire::GetPage{name.str(), page}, name));
    return wire::DecodePage(frame.view().payload);
  }

  Status Remove(const ObjectName& name) override {
    return AskEach<wire::Removed>(wire::Remove{name.str()}, name, /*slow=*/true).status();
  }

  Result<std::vector<ObjectName>> List(const std::string& prefix, const std::string& after,
                                       std::uint32_t limit) override {
    // One that some shard lacks is listed, too: whoever looks for what to remove finds it.
    std::vector<ObjectName> names;
    for (const std::size_t shard : all_) {
      TRIBUTARY_ASSIGN(const auto listed, ListOf(shard, prefix, after, limit));
      std::vector<ObjectName> both;
      std::ranges::set_union(names, listed, std::back_inserter(both), std::less(), &ObjectName::str, &ObjectName::str);
      names = std::move(both);
    }
    if (names.size() > limit) names.erase(names.begin() + limit, names.end());
    return names;
  }

  TransferCounters counters() const override { return lanes_->counters(); }

 private:
  Result<std::vector<blob::ObjectInfo>> StatEach(const ObjectName& name) {
    TRIBUTARY_ASSIGN(const auto statuses, AskEach<wire::ObjectStatus>(wire::Stat{name.str()}, name));
    std::vector<blob::ObjectInfo> infos;
    for (const wire::ObjectStatus& status : statuses) infos.push_back(ToInfo(status, name));
    return infos;
  }

  // Whether a shard has it sealed, or as an update that holds chunks.
  Result<bool> IsKept(const ObjectName& name) {
    bool kept = false;
    for (const std::size_t shard : all_) {
      const auto frame = Fetch<wire::ObjectStatus>(shard, wire::Stat{name.str()}, name);
      if (!frame.ok() && frame.error().code() == Code::kNotFound) continue;
      if (!frame.ok()) return frame.error();
      TRIBUTARY_ASSIGN(const wire::ObjectStatus status, wire::Expect<wire::ObjectStatus>(frame->view()));
      kept = kept || status.sealed || (status.kind == static_cast<std::uint32_t>(wire::ObjectKind::kUpdate) && status.slots_present > 0);
    }
    return kept;
  }

  Result<std::vector<tensor::SlotRange>> MissingOf(std::size_t shard, const ObjectName& name, tensor::SlotRange range, std::uint64_t generation) {
    const std::string& endpoint = lanes_->OfShard(shard).endpoint();
    std::vector<tensor::SlotRange> missing;
    std::uint64_t begin = range.begin;
    do {
      TRIBUTARY_ASSIGN(const transport::InFrame frame,
                       Fetch<wire::Missing>(shard, wire::GetMissing{name.str(), begin, range.end, generation}, name, /*slow=*/true));
      TRIBUTARY_ASSIGN(const wire::Missing reply, wire::Expect<wire::Missing>(frame.view()));
      if (reply.next > range.end || (reply.next <= begin && begin < range.end) || reply.ranges.size() % 2 != 0) {
        return MakeError(Code::kProtocol, "{} answers with slots that were not asked for", endpoint);
      }
      std::uint64_t last = begin;
      for (std::size_t i = 0; i < reply.ranges.size(); i += 2) {
        if (reply.ranges[i] < last || reply.ranges[i + 1] <= reply.ranges[i] || reply.ranges[i + 1] > reply.next) {
          return MakeError(Code::kProtocol, "{} answers that slots {} to {} are missing, of {} to {} that were asked for", endpoint, reply.ranges[i],
                           reply.ranges[i + 1], begin, reply.next);
        }
        last = reply.ranges[i + 1];
        if (!missing.empty() && missing.back().end == reply.ranges[i]) {
          missing.back().end = reply.ranges[i + 1];
        } else {
          missing.push_back({reply.ranges[i], reply.ranges[i + 1]});
        }
      }
      begin = reply.next;
    } while (begin < range.end);
    return missing;
  }

  Result<std::vector<ObjectName>> ListOf(std::size_t shard, const std::string& prefix, const std::string& after, std::uint32_t limit) {
    std::vector<ObjectName> names;
    std::string from = after;
    while (names.size() < limit) {
      const auto page = std::min<std::uint32_t>(kListPage, limit - static_cast<std::uint32_t>(names.size()));
      TRIBUTARY_ASSIGN(const transport::InFrame frame, Fetch<wire::ObjectList>(shard, wire::List{prefix, from, page}, {}, /*slow=*/true));
      TRIBUTARY_ASSIGN(const wire::ObjectList list, wire::Expect<wire::ObjectList>(frame.view()));
      for (const std::string& text : list.objects) {
        TRIBUTARY_ASSIGN(ObjectName name, ObjectName::Parse(text));
        if (text <= from) {
          return MakeError(Code::kProtocol, "{} lists objects out of order", lanes_->OfShard(shard).endpoint());
        }
        from = text;
        names.push_back(std::move(name));
      }
      if (list.objects.size() < page) break;
    }
    return names;
  }

  // Before the shards of an object are sealed: each has to know the digests of the others' slots (docs/blob-store.md, Shards).
  Status ExchangeDigests(const ObjectName& name, std::uint64_t generation) {
    TRIBUTARY_ASSIGN(const auto infos, StatEach(name));
    std::vector<std::size_t> open;
    std::uint64_t present = 0;
    std::uint64_t newest = 0;
    for (const std::size_t shard : all_) {
      present += infos[shard].slots_present;
      newest = std::max(newest, infos[shard].generation);
      if (!infos[shard].sealed) open.push_back(shard);
    }
    if (open.empty()) return Ok();
    const std::uint64_t slots = infos.front().slots;
    if (present < slots) {
      TRIBUTARY_ASSIGN(const auto missing, Missing(name, {0, slots}, 0));
      return MakeError(Code::kUnavailable, "object '{}' cannot be sealed: {} of {} slots are missing, the first is {}", name.str(), slots - present,
                       slots, missing.empty() ? 0 : missing.front().begin);
    }
    // None may be sealed before all are known to have what is asked for.
    if (generation != 0) {
      TRIBUTARY_ASSIGN(const auto older, Missing(name, {0, slots}, generation));
      if (!older.empty()) {
        return MakeError(Code::kConflict, "object '{}' cannot be sealed: slot {} is of an older generation than {}", name.str(), older.front().begin,
                         generation);
      }
      if (newest > generation) {
        return MakeError(Code::kConflict, "object '{}' cannot be sealed: it has slots of generation {}, not {}", name.str(), newest, generation);
      }
    }
    for (std::uint64_t page = 0; page * wire::kPageDigests < slots; ++page) {
      TRIBUTARY_ASSIGN(const auto digests, CollectDigests(name, page, std::min(wire::kPageDigests, slots - page * wire::kPageDigests)));
      const std::string bytes = wire::EncodePage(digests);
      const auto taken = Send(open, wire::PutDigests{name.str(), page, generation}, std::as_bytes(std::span(bytes)), name);
      // Somebody else has told all of them and seals: the seal waits for that one, and gives the same digest.
      if (!taken.ok() && taken.error().code() == Code::kConflict) return Ok();
      if (!taken.ok()) return taken.error();
      for (const transport::InFrame& frame : *taken) TRIBUTARY_TRY(wire::Expect<wire::PutAck>(frame.view()).status());
    }
    return Ok();
  }

  // Each shard's own digests of a page; some shards at a time, since each tells a whole page.
  Result<std::vector<wire::SlotDigest>> CollectDigests(const ObjectName& name, std::uint64_t page, std::uint64_t slots) {
    std::vector<wire::SlotDigest> digests(slots);
    for (std::size_t next = 0; next < all_.size(); next += kPagesAtATime) {
      const std::vector<std::size_t> some(all_.begin() + static_cast<std::ptrdiff_t>(next),
                                          all_.begin() + static_cast<std::ptrdiff_t>(std::min(next + kPagesAtATime, all_.size())));
      TRIBUTARY_ASSIGN(const auto frames, FetchEach<wire::PageBody>(some, wire::GetDigests{name.str(), page}, name, /*slow=*/true));
      for (std::size_t i = 0; i < some.size(); ++i) {
        const auto payload = frames[i].view().payload;
        if (payload.size() != slots * wire::kSlotDigestBytes) {
          return MakeError(Code::kProtocol, "{} tells {} bytes of digests of page {} of object '{}', which are {}", lanes_->OfShard(some[i]).endpoint(),
                           payload.size(), page, name.str(), slots * wire::kSlotDigestBytes);
        }
        TRIBUTARY_ASSIGN(const auto told, wire::DecodePage(payload));
        TakeDigests(told, page * wire::kPageDigests, some[i], all_.size(), digests);
      }
    }
    return digests;
  }

  // A request with a payload, the same to each of the shards.
  template <class Request>
  Result<std::vector<transport::InFrame>> Send(const std::vector<std::size_t>& shards, const Request& request, std::span<const std::byte> bytes,
                                               const ObjectName& name) {
    TRIBUTARY_ASSIGN(memory::BufferPtr buffer, lanes_->Allocate(bytes.size(), lanes_->options().request_timeout, {}));
    std::ranges::copy(bytes, buffer->payload().begin());
    return lanes_->CallEach(
        shards,
        [&](std::uint64_t id) {
          // Still with the socket of another shard, or of a session that was lost.
          if (buffer.use_count() > 1) return transport::OutFrame();
          return transport::MakeFrame(id, request, buffer);
        },
        {.what = What<Request>(name), .slow = true, .credit = bytes.size()});
  }
  template <class Reply, class Request>
  Result<std::vector<transport::InFrame>> FetchEach(const std::vector<std::size_t>& shards, const Request& request, const ObjectName& name,
                                                    bool slow = false) {
    TRIBUTARY_ASSIGN(auto frames, lanes_->CallEach(shards, [&](std::uint64_t id) { return transport::MakeFrame(id, request); },
                                                   {.what = What<Request>(name), .slow = slow}));
    for (const transport::InFrame& frame : frames) TRIBUTARY_TRY(wire::Expect<Reply>(frame.view()).status());
    return frames;
  }
  template <class Reply, class Request>
  Result<transport::InFrame> Fetch(std::size_t shard, const Request& request, const ObjectName& name, bool slow = false) {
    TRIBUTARY_ASSIGN(auto frames, FetchEach<Reply>({shard}, request, name, slow));
    return std::move(frames.front());
  }
  template <class Reply, class Request>
  Result<std::vector<Reply>> AskEach(const Request& request, const ObjectName& name, bool slow = false) {
    TRIBUTARY_ASSIGN(const auto frames, FetchEach<Reply>(all_, request, name, slow));
    std::vector<Reply> replies;
    for (const transport::InFrame& frame : frames) {
      TRIBUTARY_ASSIGN(Reply reply, wire::Expect<Reply>(frame.view()));
      replies.push_back(std::move(reply));
    }
    return replies;
  }
  template <class Request>
  static std::string What(const ObjectName& name) {
    return fmt::format("{} {}", wire::TypeName(Request::kType), name.str());
  }

  std::unique_ptr<Lanes> lanes_;
  std::vector<std::size_t> all_;  // the shards' numbers
};

}  // namespace

int IoThreads(std::uint32_t connections) { return static_cast<int>(std::min(connections, 4u)); }

std::uint64_t MessagesWithin(std::uint64_t budget) {
  const std::uint64_t half = budget / 2;
  return std::clamp<std::uint64_t>(half > memory::kHeadroom ? half - memory::kHeadroom : 0, wire::kMaxPayload, tensor::kMaxMessageBytes);
}

Result<std::unique_ptr<RemoteStore>> ConnectStore(std::shared_ptr<transport::Context> context, memory::Pool& pool,
                                                  const RemoteOptions& options) {
  TRIBUTARY_ASSIGN(auto lanes, Lanes::Make(std::move(context), pool, options));
  return std::unique_ptr<RemoteStore>(std::make_unique<Remote>(std::move(lanes)));
}

}  // namespace tributary::blob_client
