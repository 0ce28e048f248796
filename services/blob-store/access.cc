#include "services/blob-store/access.h"

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "tributary/transport/grants.h"
#include "tributary/wire/codec.h"
#include "tributary/wire/control.h"
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

// What a trainer may write at all, whatever its grant says. The names are federation/plan.h's: jobs/J/models/R, jobs/J/broadcasts/R,
// jobs/J/rounds/R/updates/SITE/ORDINAL; offers/SITE/N is the coordinator's.
bool IsOwnOffer(const std::string& site, std::string_view object) { return object.starts_with("offers/") && SiteOf(object) == site; }
bool IsTrainersWork(const std::string& site, std::string_view object) {
  const auto parts = Segments(object);
  const bool first_model = parts.size() == 4 && parts[0] == "jobs" && (parts[2] == "models" || parts[2] == "broadcasts") && parts[3] == "0";
  return first_model || (!site.empty() && SiteOf(object) == site);
}

bool TrainerMay(const std::string& site, const wire::Grant& grant, Right right, std::string_view object) {
  const bool its_own = std::ranges::find(grant.writes, object) != grant.writes.end() && IsTrainersWork(site, object);
  const auto kind = static_cast<wire::TaskKind>(grant.kind);
  switch (right) {
    case Right::kRead: return its_own || std::ranges::find(grant.reads, object) != grant.reads.end();
    case Right::kWrite: return its_own && kind != wire::TaskKind::kRemove;
    case Right::kRemove: return its_own && IsOwnOffer(site, object) && (kind == wire::TaskKind::kOffer || kind == wire::TaskKind::kRemove);
    case Right::kList: return false;
  }
  return false;
}

bool AggregatorMay(Right right, std::string_view object) {
  if (object.starts_with("jobs/")) return right != Right::kList;
  if (object.starts_with("offers/")) return right == Right::kRemove;
  return right == Right::kRead && object.starts_with("models/");
}

// What a cache may have: models of jobs, and imported ones.
bool IsModel(std::string_view object) {
  const auto parts = Segments(object);
  return (parts.size() == 4 && parts[0] == "jobs" && (parts[2] == "models" || parts[2] == "broadcasts")) || (parts.size() > 1 && parts[0] == "models");
}

// Who asks, and what its task was granted.
struct Asker {
  const transport::Identity& peer;
  const wire::Grant* grant;  // null: none that is this peer's
};

bool May(const Asker& asker, Right right, std::string_view object) {
  const transport::Identity& peer = asker.peer;
  switch (peer.role) {
    case PeerRole::kOperator: return true;
    case PeerRole::kAggregator: return AggregatorMay(right, object);
    case PeerRole::kTrainer: return asker.grant != nullptr && TrainerMay(peer.name, *asker.grant, right, object);
    case PeerRole::kCache: return right == Right::kRead && IsModel(object);
    case PeerRole::kCoordinator:
    case PeerRole::kBlobStore: return false;
  }
  return false;
}

Status Check(const Asker& asker, Right right, std::string_view object) {
  if (May(asker, right, object)) return Ok();
  constexpr std::string_view kVerbs[] = {"read", "write", "remove", "list"};
  std::string_view why;
  if (asker.peer.role == PeerRole::kTrainer) why = asker.grant == nullptr ? ": it shows no grant of a task" : ": its task's grant does not name it";
  return MakeError(Code::kPermission, "{} may not {} '{}'{}", asker.peer.str(), kVerbs[static_cast<std::size_t>(right)], object.substr(0, 255), why);
}

template <class M>
Status CheckObject(const Asker& asker, Right right, const wire::FrameView& frame) {
  const auto message = wire::DecodeBody<M>(frame.body);
  return message.ok() ? Check(asker, right, message->object) : Ok();
}

}  // namespace

std::string SiteOf(std::string_view object) {
  const auto parts = Segments(object);
  if (parts.size() == 7 && parts[0] == "jobs" && parts[2] == "rounds" && parts[4] == "updates") return std::string(parts[5]);
  if (parts.size() == 3 && parts[0] == "offers") return std::string(parts[1]);
  return "";
}

Status CheckAccess(const transport::Identity& peer, const std::optional<wire::Grant>& grant, const wire::FrameView& frame) {
  using wire::Type;
  if (peer.role == PeerRole::kOperator) return Ok();
  const Asker asker{peer, grant && transport::IsFor(*grant, peer) ? &*grant : nullptr};
  switch (frame.type) {
    case Type::kCreate: return CheckObject<wire::Create>(asker, Right::kWrite, frame);
    case Type::kPutChunk: return CheckObject<wire::PutChunk>(asker, Right::kWrite, frame);
    case Type::kPutDigests: return CheckObject<wire::PutDigests>(asker, Right::kWrite, frame);
    case Type::kSeal: return CheckObject<wire::Seal>(asker, Right::kWrite, frame);
    case Type::kLinkChunk: {
      const auto link = wire::DecodeBody<wire::LinkChunk>(frame.body);
      if (!link.ok()) return Ok();
      TRIBUTARY_TRY(Check(asker, Right::kRead, link->from));
      return Check(asker, Right::kWrite, link->object);
    }
    case Type::kGetChunk: return CheckObject<wire::GetChunk>(asker, Right::kRead, frame);
    case Type::kGetSpec: return CheckObject<wire::GetSpec>(asker, Right::kRead, frame);
    case Type::kGetRoot: return CheckObject<wire::GetRoot>(asker, Right::kRead, frame);
    case Type::kGetPage: return CheckObject<wire::GetPage>(asker, Right::kRead, frame);
    case Type::kGetDigests: return CheckObject<wire::GetDigests>(asker, Right::kRead, frame);
    case Type::kGetMissing: return CheckObject<wire::GetMissing>(asker, Right::kRead, frame);
    case Type::kStat: return CheckObject<wire::Stat>(asker, Right::kRead, frame);
    case Type::kRemove: return CheckObject<wire::Remove>(asker, Right::kRemove, frame);
    case Type::kList: {
      const auto list = wire::DecodeBody<wire::List>(frame.body);
      return list.ok() ? Check(asker, Right::kList, list->prefix) : Ok();
    }
    // Credit is memory of the store: not for those who have nothing to write.
    case Type::kCreditRequest: {
      if (peer.role == PeerRole::kAggregator || (peer.role == PeerRole::kTrainer && asker.grant != nullptr && !asker.grant->writes.empty())) return Ok();
      return MakeError(Code::kPermission, "{} may not ask for credit: {}", peer.str(), peer.role == PeerRole::kTrainer ? "no task of it writes" : "it has nothing to write");
    }
    // Of the session alone: cancelled reads; and what no store takes.
    default: return Ok();
  }
}

}  // namespace tributary::service
