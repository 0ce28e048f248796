#include "tributary/wire/frame.h"

#include <cstring>

#include "fields.h"

namespace tributary::wire {
namespace {

constexpr std::size_t kPayloadAlignment = 64;

std::size_t AlignUp(std::size_t n) { return (n + kPayloadAlignment - 1) / kPayloadAlignment * kPayloadAlignment; }

Error Malformed(std::string_view why) { return MakeError(Code::kProtocol, "malformed frame: {}", why); }

}  // namespace

std::string_view TypeName(Type type) {
  switch (type) {
    case Type::kError: return "error";
    case Type::kPing: return "ping";
    case Type::kPong: return "pong";
    case Type::kHello: return "hello";
    case Type::kWelcome: return "welcome";
    case Type::kReport: return "report";
    case Type::kAssignment: return "assignment";
    case Type::kGetJobText: return "get-job-text";
    case Type::kJobText: return "job-text";
    case Type::kSubmit: return "submit";
    case Type::kSubmitted: return "submitted";
    case Type::kGetStatus: return "get-status";
    case Type::kStatus: return "status";
    case Type::kListJobs: return "list-jobs";
    case Type::kJobList: return "job-list";
    case Type::kStopJob: return "stop-job";
    case Type::kStopped: return "stopped";
    case Type::kGetLog: return "get-log";
    case Type::kLog: return "log";
    case Type::kListOffers: return "list-offers";
    case Type::kOfferList: return "offer-list";
    case Type::kRetrieve: return "retrieve";
    case Type::kRetrieval: return "retrieval";
    case Type::kResumeJob: return "resume-job";
    case Type::kResumed: return "resumed";
    case Type::kStoreHello: return "store-hello";
    case Type::kStoreWelcome: return "store-welcome";
    case Type::kCreate: return "create";
    case Type::kCreated: return "created";
    case Type::kStat: return "stat";
    case Type::kObjectStatus: return "object-status";
    case Type::kGetSpec: return "get-spec";
    case Type::kSpec: return "spec";
    case Type::kGetMissing: return "get-missing";
    case Type::kMissing: return "missing";
    case Type::kCreditRequest: return "credit-request";
    case Type::kCreditGrant: return "credit-grant";
    case Type::kPutChunk: return "put-chunk";
    case Type::kPutAck: return "put-ack";
    case Type::kGetChunk: return "get-chunk";
    case Type::kChunk: return "chunk";
    case Type::kCancelReads: return "cancel-reads";
    case Type::kLinkChunk: return "link-chunk";
    case Type::kSeal: return "seal";
    case Type::kSealed: return "sealed";
    case Type::kGetRoot: return "get-root";
    case Type::kRoot: return "root";
    case Type::kGetPage: return "get-page";
    case Type::kPage: return "page";
    case Type::kGetDigests: return "get-digests";
    case Type::kPutDigests: return "put-digests";
    case Type::kRemove: return "remove";
    case Type::kRemoved: return "removed";
    case Type::kList: return "list";
    case Type::kObjectList: return "object-list";
  }
  return "unknown";
}

Result<FrameView> ParseFrame(std::span<const std::byte> bytes) {
  if (bytes.size() < 4) return Malformed("shorter than its length prefix");
  std::uint32_t length = 0;
  for (int i = 0; i < 4; ++i) length |= static_cast<std::uint32_t>(bytes[static_cast<std::size_t>(i)]) << (8 * i);
  if (length > kMaxControlFrame || length > bytes.size() - 4) return Malformed("the header is longer than the frame");
  const auto header = bytes.subspan(4, length);

  FrameView frame;
  const std::size_t end = 4 + static_cast<std::size_t>(length);
  if (bytes.size() > end) {
    const std::size_t payload = AlignUp(end);
    if (payload >= bytes.size()) return Malformed("padding without a payload");
    frame.payload = bytes.subspan(payload);
  }
  // [protocol, type, id, body]: the three numbers are read here, the body stays bytes until its type is known.
  try {
    std::size_t offset = 0;
    const char* data = reinterpret_cast<const char*>(header.data());
    if (header.empty() || static_cast<unsigned char>(data[0]) != 0x94) return Malformed("the header is no array of four");
    offset = 1;
    std::uint64_t numbers[3];
    for (std::uint64_t& number : numbers) {
      const auto handle = msgpack::unpack(data, header.size(), offset, nullptr, nullptr, Limits(header.size()));
      if (handle.get().type != msgpack::type::POSITIVE_INTEGER) return Malformed("a header field is no number");
      number = handle.get().via.u64;
    }
    if (numbers[0] > 0xFFFFFFFFu || numbers[1] > 0xFFFFFFFFu) return Malformed("a header field is too large");
    frame.protocol = static_cast<std::uint32_t>(numbers[0]);
    frame.type = static_cast<Type>(numbers[1]);
    frame.id = numbers[2];
    frame.body = header.subspan(offset);
    if (frame.body.empty()) return Malformed("no body");
  } catch (const std::exception&) {
    return Malformed("the header is not MessagePack");
  }
  return frame;
}

std::string MakeHeader(Type type, std::uint64_t id, std::string_view body, bool payload_follows,
                       std::uint32_t protocol) {
  msgpack::sbuffer buffer;
  Packer packer(buffer);
  packer.pack_array(4);
  packer.pack(protocol);
  packer.pack(static_cast<std::uint32_t>(type));
  packer.pack(id);
  buffer.write(body.data(), body.size());
  std::string frame(4, '\0');
  for (int i = 0; i < 4; ++i) frame[static_cast<std::size_t>(i)] = static_cast<char>((buffer.size() >> (8 * i)) & 0xFF);
  frame.append(buffer.data(), buffer.size());
  if (payload_follows) frame.resize(AlignUp(frame.size()), '\0');
  return frame;
}

}  // namespace tributary::wire
