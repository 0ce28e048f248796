// One frame: a MessagePack header, padding, and perhaps a payload, in a single part.
//
//   0      u32 little-endian  H, length of the header
//   4      H bytes            MessagePack array [protocol, type, id, body]; body is a map
//   4+H    zeros              up to the next multiple of 64, only if a payload follows
//   P      the rest           payload (a chunk, a spec, a page of digests)
//
// docs/protocol.md is the specification. Parsing looks at lengths before anything else, bounds MessagePack's nesting and
// counts, and allocates nothing for the payload. Pure; a FrameView points into the caller's bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "tributary/base/result.h"

namespace tributary::wire {

constexpr std::uint32_t kProtocol = 1;
constexpr std::size_t kMaxControlFrame = 64u << 10;
// A header that goes in front of a payload must fit the sender's headroom (memory::kHeadroom).
constexpr std::size_t kMaxHeaderWithPayload = 512;
// Unless a store is told to take larger messages, for jobs that send tensors or models whole.
constexpr std::size_t kMaxPayload = 4u << 20;
constexpr std::size_t kMaxDataFrame = kMaxPayload + kMaxHeaderWithPayload;

// Never renumber. Control plane below 100, data plane from 100; kError and kPing serve both.
enum class Type : std::uint32_t {
  kError = 1,
  kPing = 2,
  kPong = 3,
  kHello = 10,
  kWelcome = 11,
  kReport = 12,
  kAssignment = 13,
  kGetJobText = 14,
  kJobText = 15,
  kSubmit = 20,
  kSubmitted = 21,
  kGetStatus = 22,
  kStatus = 23,
  kListJobs = 24,
  kJobList = 25,
  kStopJob = 26,
  kStopped = 27,
  kGetLog = 28,
  kLog = 29,
  kListOffers = 30,
  kOfferList = 31,
  kRetrieve = 32,
  kRetrieval = 33,
  kResumeJob = 34,
  kResumed = 35,

  kStoreHello = 100,
  kStoreWelcome = 101,
  kCreate = 110,   // payload: ObjectSpec
  kCreated = 111,
  kStat = 112,
  kObjectStatus = 113,
  kGetSpec = 114,
  kSpec = 115,     // payload: ObjectSpec
  kGetMissing = 116,
  kMissing = 117,
  kCreditRequest = 120,
  kCreditGrant = 121,
  kPutChunk = 122,  // payload: chunk
  kPutAck = 123,
  kGetChunk = 124,
  kChunk = 125,     // payload: chunk
  kCancelReads = 126,
  kLinkChunk = 127,
  kSeal = 130,
  kSealed = 131,
  kGetRoot = 132,
  kRoot = 133,     // payload: manifest root
  kGetPage = 134,
  kPage = 135,     // payload: digests
  kGetDigests = 136,
  kPutDigests = 137,  // payload: digests
  kRemove = 140,
  kRemoved = 141,
  kList = 142,
  kObjectList = 143,
};
std::string_view TypeName(Type type);

struct FrameView {
  std::uint32_t protocol = 0;
  Type type = Type::kError;
  std::uint64_t id = 0;                // the requester's; a reply carries its request's
  std::span<const std::byte> body;     // MessagePack map
  std::span<const std::byte> payload;  // empty if none
};

// kProtocol when the bytes are no frame. A frame of another protocol number parses (so that it can be answered):
// the caller compares `protocol`.
Result<FrameView> ParseFrame(std::span<const std::byte> bytes);

// The header with its length prefix; padded to a multiple of 64 when `payload_follows`.
// `body` is what EncodeBody gave.
std::string MakeHeader(Type type, std::uint64_t id, std::string_view body, bool payload_follows,
                       std::uint32_t protocol = kProtocol);

}  // namespace tributary::wire
