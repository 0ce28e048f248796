#include "tributary/blob_client/remote_store.h"

#include <algorithm>

#include "reader.h"
#include "session.h"
#include "tributary/wire/object.h"
#include "writer.h"

namespace tributary::blob_client {
namespace {

constexpr std::uint32_t kListPage = 200;  // as many as a frame holds

class Remote final : public RemoteStore {
 public:
  explicit Remote(std::unique_ptr<Session> session) : session_(std::move(session)) {}

  Result<blob::CreateOutcome> Create(const ObjectName& name, const wire::ObjectSpec& spec, bool replace) override {
    const std::string text = wire::EncodeObjectSpec(spec);
    if (text.size() > wire::kMaxPayload) {
      return MakeError(Code::kInvalidArgument, "the spec of object '{}' has {} bytes: at most {}", name.str(), text.size(),
                       wire::kMaxPayload);
    }
    TRIBUTARY_ASSIGN(memory::BufferPtr buffer,
                     session_->Allocate(text.size(), session_->options().request_timeout, {}));
    std::copy_n(reinterpret_cast<const std::byte*>(text.data()), text.size(), buffer->payload().begin());
    TRIBUTARY_ASSIGN(const transport::InFrame frame,
                     session_->Call(
                         [&](std::uint64_t id) {
                           // Still with the socket of a session that was lost.
                           if (buffer.use_count() > 1) return transport::OutFrame();
                           return transport::MakeFrame(id, wire::Create{name.str(), replace}, buffer);
                         },
                         text.size(), "create " + name.str(), /*slow=*/true));
    TRIBUTARY_ASSIGN(const wire::Created created, wire::Expect<wire::Created>(frame.view()));
    return blob::CreateOutcome{created.existed, created.sealed};
  }

  Result<blob::ObjectInfo> Stat(const ObjectName& name) override {
    TRIBUTARY_ASSIGN(const wire::ObjectStatus status, Ask<wire::ObjectStatus>(wire::Stat{name.str()}, name));
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

  Result<wire::ObjectSpec> Spec(const ObjectName& name) override {
    TRIBUTARY_ASSIGN(const transport::InFrame frame, Fetch<wire::SpecBody>(wire::GetSpec{name.str()}, name));
    return wire::DecodeObjectSpec(frame.view().payload);
  }

  Result<std::vector<tensor::SlotRange>> Missing(const ObjectName& name, tensor::SlotRange range,
                                                 std::uint64_t generation) override {
    std::vector<tensor::SlotRange> missing;
    std::uint64_t begin = range.begin;
    do {
      TRIBUTARY_ASSIGN(const wire::Missing reply,
                       Ask<wire::Missing>(wire::GetMissing{name.str(), begin, range.end, generation}, name, /*slow=*/true));
      if (reply.next > range.end || (reply.next <= begin && begin < range.end) || reply.ranges.size() % 2 != 0) {
        return MakeError(Code::kProtocol, "{} answers with slots that were not asked for", session_->options().endpoint);
      }
      std::uint64_t last = begin;
      for (std::size_t i = 0; i < reply.ranges.size(); i += 2) {
        if (reply.ranges[i] < last || reply.ranges[i + 1] <= reply.ranges[i] || reply.ranges[i + 1] > reply.next) {
          return MakeError(Code::kProtocol, "{} answers that slots {} to {} are missing, of {} to {} that were asked for",
                           session_->options().endpoint, reply.ranges[i], reply.ranges[i + 1], begin, reply.next);
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

  Result<std::unique_ptr<blob::ChunkReader>> Read(blob::ChunkSequence sequence, const blob::ReadOptions& options) override {
    return std::unique_ptr<blob::ChunkReader>(std::make_unique<RemoteReader>(*session_, std::move(sequence), options));
  }
  Result<std::unique_ptr<blob::ChunkWriter>> Write(const blob::WriteOptions& options) override {
    return std::unique_ptr<blob::ChunkWriter>(std::make_unique<RemoteWriter>(
        *session_, options, [this](const ObjectName& object, std::uint64_t page) { return Page(object, page); }));
  }

  Result<std::string> Seal(const ObjectName& name, std::uint64_t generation, bool durable) override {
    TRIBUTARY_ASSIGN(const wire::Sealed sealed,
                     Ask<wire::Sealed>(wire::Seal{name.str(), generation, durable}, name, /*slow=*/true));
    return sealed.digest;
  }

  Result<wire::ManifestRoot> Root(const ObjectName& name) override {
    TRIBUTARY_ASSIGN(const transport::InFrame frame, Fetch<wire::RootBody>(wire::GetRoot{name.str()}, name));
    return wire::DecodeManifestRoot(frame.view().payload);
  }
  Result<std::vector<wire::SlotDigest>> Page(const ObjectName& name, std::uint64_t page) override {
    TRIBUTARY_ASSIGN(const transport::InFrame frame, Fetch<wire::PageBody>(wire::GetPage{name.str(), page}, name));
    return wire::DecodePage(frame.view().payload);
  }

  Status Remove(const ObjectName& name) override {
    return Ask<wire::Removed>(wire::Remove{name.str()}, name, /*slow=*/true).status();
  }

  Result<std::vector<ObjectName>> List(const std::string& prefix, const std::string& after,
                                       std::uint32_t limit) override {
    std::vector<ObjectName> names;
    std::string from = after;
    while (names.size() < limit) {
      const auto page = std::min<std::uint32_t>(kListPage, limit - static_cast<std::uint32_t>(names.size()));
      TRIBUTARY_ASSIGN(const wire::ObjectList list, Ask<wire::ObjectList>(wire::List{prefix, from, page}, {}, /*slow=*/true));
      for (const std::string& text : list.objects) {
        TRIBUTARY_ASSIGN(ObjectName name, ObjectName::Parse(text));
        if (text <= from) {
          return MakeError(Code::kProtocol, "{} lists objects out of order", session_->options().endpoint);
        }
        from = text;
        names.push_back(std::move(name));
      }
      if (list.objects.size() < page) break;
    }
    return names;
  }

  TransferCounters counters() const override { return session_->counters(); }

 private:
  template <class Reply, class Request>
  Result<transport::InFrame> Fetch(const Request& request, const ObjectName& name, bool slow = false) {
    TRIBUTARY_ASSIGN(transport::InFrame frame,
                     session_->Call([&](std::uint64_t id) { return transport::MakeFrame(id, request); }, 0,
                                    fmt::format("{} {}", wire::TypeName(Request::kType), name.str()), slow));
    TRIBUTARY_TRY(wire::Expect<Reply>(frame.view()).status());
    return frame;
  }
  template <class Reply, class Request>
  Result<Reply> Ask(const Request& request, const ObjectName& name, bool slow = false) {
    TRIBUTARY_ASSIGN(const transport::InFrame frame, Fetch<Reply>(request, name, slow));
    return wire::Expect<Reply>(frame.view());
  }

  std::unique_ptr<Session> session_;
};

}  // namespace

std::uint64_t MessagesWithin(std::uint64_t budget) {
  const std::uint64_t half = budget / 2;
  return std::clamp<std::uint64_t>(half > memory::kHeadroom ? half - memory::kHeadroom : 0, wire::kMaxPayload, tensor::kMaxMessageBytes);
}

Result<std::unique_ptr<RemoteStore>> ConnectStore(std::shared_ptr<transport::Context> context, memory::Pool& pool,
                                                  const RemoteOptions& options) {
  TRIBUTARY_ASSIGN(auto session, Session::Make(std::move(context), pool, options));
  return std::unique_ptr<RemoteStore>(std::make_unique<Remote>(std::move(session)));
}

}  // namespace tributary::blob_client
