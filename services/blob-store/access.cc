#include "services/blob-store/access.h"

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "tributary/wire/codec.h"
#include "tributary/wire/data.h"

namespace tributary::service {
namespace {

using transport::PeerRole;

enum class Right { kRead, kWrite, kRemove, kList };

std::vector<std::string_view> Segments(std::string_view name) {
  std::vector<std::string_view> segments;
  for (std::size_t at = 0; at <= name.size();) {
    const std::size_t end = std::min(name.find('/', at), name.size());
    segments.push_back(name.substr(at, end - at));
    at = end + 1;
  }
  return segments;
}

// The names are federation/plan.h's: jobs/J/models/R, jobs/J/broadcasts/R, jobs/J/rounds/R/updates/SITE/ORDINAL; offers/SITE/N is the coordinator's; models/ is for imported ones.
bool TrainerMay(const std::string& site, Right right, std::string_view object) {
  const auto parts = Segments(object);
  const bool own_update = parts.size() == 7 && parts[0] == "jobs" && parts[2] == "rounds" && parts[4] == "updates" && parts[5] == site;
  const bool own_offer = parts.size() == 3 && parts[0] == "offers" && parts[1] == site;
  if (own_update || own_offer) return true;
  const bool model = parts.size() == 4 && parts[0] == "jobs" && (parts[2] == "models" || parts[2] == "broadcasts");
  if (right == Right::kRead) return model || (parts.size() > 1 && parts[0] == "models");
  return right == Right::kWrite && model && parts[3] == "0";
}

bool AggregatorMay(Right right, std::string_view object) {
  if (object.starts_with("jobs/")) return right != Right::kList;
  if (object.starts_with("offers/")) return right == Right::kRemove;
  return right == Right::kRead && object.starts_with("models/");
}

bool May(const transport::Identity& peer, Right right, std::string_view object) {
  switch (peer.role) {
    case PeerRole::kOperator: return true;
    case PeerRole::kAggregator: return AggregatorMay(right, object);
    case PeerRole::kTrainer: return TrainerMay(peer.name, right, object);
    case PeerRole::kBlobStore: return right == Right::kRead;
    case PeerRole::kCoordinator: return false;
  }
  return false;
}

Status Check(const transport::Identity& peer, Right right, std::string_view object) {
  if (May(peer, right, object)) return Ok();
  constexpr std::string_view kVerbs[] = {"read", "write", "remove", "list"};
  return MakeError(Code::kPermission, "{} may not {} '{}'", peer.str(), kVerbs[static_cast<std::size_t>(right)], object.substr(0, 255));
}

template <class M>
Status CheckObject(const transport::Identity& peer, Right right, const wire::FrameView& frame) {
  const auto message = wire::DecodeBody<M>(frame.body);
  return message.ok() ? Check(peer, right, message->object) : Ok();
}

}  // namespace

Status CheckAccess(const transport::Identity& peer, const wire::FrameView& frame) {
  using wire::Type;
  if (peer.role == PeerRole::kOperator) return Ok();
  switch (frame.type) {
    case Type::kCreate: return CheckObject<wire::Create>(peer, Right::kWrite, frame);
    case Type::kPutChunk: return CheckObject<wire::PutChunk>(peer, Right::kWrite, frame);
    case Type::kPutDigests: return CheckObject<wire::PutDigests>(peer, Right::kWrite, frame);
    case Type::kSeal: return CheckObject<wire::Seal>(peer, Right::kWrite, frame);
    case Type::kLinkChunk: {
      const auto link = wire::DecodeBody<wire::LinkChunk>(frame.body);
      if (!link.ok()) return Ok();
      TRIBUTARY_TRY(Check(peer, Right::kRead, link->from));
      return Check(peer, Right::kWrite, link->object);
    }
    case Type::kGetChunk: return CheckObject<wire::GetChunk>(peer, Right::kRead, frame);
    case Type::kGetSpec: return CheckObject<wire::GetSpec>(peer, Right::kRead, frame);
    case Type::kGetRoot: return CheckObject<wire::GetRoot>(peer, Right::kRead, frame);
    case Type::kGetPage: return CheckObject<wire::GetPage>(peer, Right::kRead, frame);
    case Type::kGetDigests: return CheckObject<wire::GetDigests>(peer, Right::kRead, frame);
    case Type::kGetMissing: return CheckObject<wire::GetMissing>(peer, Right::kRead, frame);
    case Type::kStat: return CheckObject<wire::Stat>(peer, Right::kRead, frame);
    case Type::kRemove: return CheckObject<wire::Remove>(peer, Right::kRemove, frame);
    case Type::kList: {
      const auto list = wire::DecodeBody<wire::List>(frame.body);
      return list.ok() ? Check(peer, Right::kList, list->prefix) : Ok();
    }
    // Of the session alone: credit, cancelled reads; and what no store takes.
    default: return Ok();
  }
}

}  // namespace tributary::service
