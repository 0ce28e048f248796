#include "services/coordinator/task_grants.h"

namespace tributary::service {
namespace {

constexpr std::int64_t kDay = 24 * 60 * 60;
constexpr std::int64_t kDays = 31;

}  // namespace

wire::Grant GrantOf(const wire::TaskSpec& task, const transport::Identity& owner, const std::vector<std::string>& imports, std::int64_t now) {
  wire::Grant grant;
  grant.role = transport::RoleName(owner.role);
  grant.name = owner.name;
  grant.job = task.job;
  grant.kind = task.kind;
  grant.until = (now / kDay + kDays) * kDay;
  const auto add = [](std::vector<std::string>& to, const std::string& object) {
    if (!object.empty()) to.push_back(object);
  };
  switch (static_cast<wire::TaskKind>(task.kind)) {
    case wire::TaskKind::kInit:
      grant.reads = imports;
      add(grant.writes, task.output);
      add(grant.writes, task.broadcast);
      break;
    case wire::TaskKind::kTrain:
    case wire::TaskKind::kValidate:
      grant.reads = imports;
      add(grant.reads, task.base);
      add(grant.writes, task.output);
      break;
    case wire::TaskKind::kOffer:  // its base is the offer's name, which is no object
      add(grant.writes, task.output);
      break;
    case wire::TaskKind::kRemove:
      grant.writes = task.objects;
      break;
    case wire::TaskKind::kAggregate:
    case wire::TaskKind::kSeal: break;  // no trainer's
  }
  return grant;
}

}  // namespace tributary::service
