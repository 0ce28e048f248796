#include "services/coordinator/retrievals.h"

#include <algorithm>
#include <utility>

#include "tributary/base/log.h"
#include "tributary/base/names.h"
#include "tributary/digest/digest.h"

namespace tributary::service {
namespace {

constexpr std::string_view kUnder = "offers/";
constexpr std::string_view kRemove = "/remove";
constexpr std::size_t kMaxOffers = 64;
constexpr std::size_t kMaxMessage = 1024;
constexpr std::size_t kNamesTold = 20;
// Removals that no trainer is there for; beyond that the store's rule for abandoned objects has to do.
constexpr std::size_t kMaxRemovals = 256;
// Of a trainer at a time: what a frame has room for. The next is told when one is done.
constexpr std::size_t kRemovalsTold = 16;

bool IsTrainer(const wire::Hello& hello) { return hello.role == static_cast<std::uint32_t>(wire::Role::kTrainer); }

std::string Listed(const std::set<std::string>& names) {
  std::string text;
  std::size_t told = 0;
  for (const std::string& name : names) {
    if (told++ == kNamesTold) return text + fmt::format(" and {} more", names.size() - kNamesTold);
    text += (text.empty() ? "" : ", ") + name;
  }
  return text;
}

// What a peer says ends on another one's terminal.
std::string Printable(const std::string& told) {
  std::string text = told.substr(0, kMaxMessage);
  for (char& c : text) {
    const auto u = static_cast<unsigned char>(c);
    if (u < 0x20 || u == 0x7f) c = ' ';
  }
  return text;
}

}  // namespace

Retrievals::Retrievals(RetrievalLimits limits, std::string life, std::vector<std::string> blob_stores)
    : limits_(limits), life_(std::move(life)), blob_stores_(std::move(blob_stores)) {}

Status Retrievals::Check(const wire::Hello& hello) {
  if (hello.offers.size() > kMaxOffers) {
    return MakeError(Code::kInvalidArgument, "a Hello with {} offers: at most {}; put several files into one directory and offer that",
                     hello.offers.size(), kMaxOffers);
  }
  for (const std::string& name : hello.offers) TRIBUTARY_TRY(CheckSegment(name, "name of an offer"));
  return Ok();
}

void Retrievals::Connect(const std::string& worker, const wire::Hello& hello, Duration now) {
  if (!IsTrainer(hello)) return;
  Trainer trainer{hello.site, hello.instance, {hello.offers.begin(), hello.offers.end()}, true, now};
  // What a trainer that was started anew offers no longer, it cannot send.
  for (auto& [request, row] : rows_) {
    if (row.holder != worker) continue;
    if (!trainer.offers.contains(row.name)) Withdraw(row);
    // A process that does not have it as done would put it once more, under the client's hands.
    row.named = row.state != State::kDone;
  }
  trainers_[worker] = std::move(trainer);
  Tick(now);
}

void Retrievals::Disconnect(const std::string& worker, Duration now) {
  const auto trainer = trainers_.find(worker);
  if (trainer == trainers_.end()) return;
  trainer->second.connected = false;
  trainer->second.heard = now;
}

void Retrievals::Forget(const std::string& worker, Duration now) {
  if (trainers_.erase(worker) == 0) return;
  for (auto& [request, row] : rows_) {
    if (row.holder == worker) Withdraw(row);
  }
  Tick(now);
}

bool Retrievals::Alive(const std::string& worker, Duration now) const {
  const auto trainer = trainers_.find(worker);
  return trainer != trainers_.end() && now - trainer->second.heard < limits_.away_after;
}

wire::OfferList Retrievals::Offers(const std::string& site, Duration now) const {
  std::map<std::pair<std::string, std::string>, std::uint32_t> found;
  for (const auto& [worker, trainer] : trainers_) {
    if (!Alive(worker, now) || (!site.empty() && trainer.site != site)) continue;
    for (const std::string& name : trainer.offers) ++found[{trainer.site, name}];
  }
  wire::OfferList list;
  std::size_t bytes = 0;
  for (const auto& [offer, trainers] : found) {
    bytes += offer.first.size() + offer.second.size() + 40;
    if (bytes > wire::kMaxControlFrame - 1024) break;
    list.offers.push_back({offer.first, offer.second, trainers});
  }
  return list;
}

Status Retrievals::CheckThere(const wire::Retrieve& request, Duration now) const {
  std::set<std::string> sites;
  std::set<std::string> names;
  bool there = false;
  for (const auto& [worker, trainer] : trainers_) {
    if (!Alive(worker, now)) continue;
    if (!trainer.offers.empty()) sites.insert(trainer.site);
    if (trainer.site != request.site) continue;
    there = true;
    names.insert(trainer.offers.begin(), trainer.offers.end());
  }
  if (names.contains(request.name)) return Ok();
  if (!there) {
    return MakeError(Code::kUnavailable, "no trainer of site '{}' is connected; {}", request.site,
                     sites.empty() ? "no site that is offers anything" : "sites that offer something: " + Listed(sites));
  }
  if (names.empty()) {
    return MakeError(Code::kNotFound, "site '{}' offers nothing; its administrator lists what it gives out with --offer NAME=PATH of its trainer",
                     request.site);
  }
  return MakeError(Code::kNotFound, "site '{}' offers no '{}'; it offers: {}", request.site, request.name, Listed(names));
}

bool Retrievals::Place(Row& row, Duration now) {
  const std::string* best = nullptr;
  std::ptrdiff_t least = 0;
  for (const auto& [worker, trainer] : trainers_) {
    if (trainer.site != row.site || !trainer.connected || !Alive(worker, now) || !trainer.offers.contains(row.name)) continue;
    const auto load = std::count_if(rows_.begin(), rows_.end(), [&](const auto& other) {
      return other.second.holder == worker && other.second.state != State::kDone && other.second.state != State::kFailed;
    });
    if (best != nullptr && load >= least) continue;
    best = &worker;
    least = load;
  }
  if (best == nullptr) return false;
  row.holder = *best;
  // The site stands in the name: what a trainer may write is told by that.
  row.object = fmt::format("{}{}/{}-{}", kUnder, row.site, life_, ++count_);
  row.state = State::kWaiting;
  row.named = true;
  row.told = {};
  changed_.insert(row.holder);
  log::Info("retrieval: trainer {} is asked for '{}', as {}", row.holder, row.name, row.object);
  return true;
}

Result<wire::Retrieval> Retrievals::Ask(const wire::Retrieve& request, Duration now) {
  TRIBUTARY_TRY(CheckSegment(request.request, "name of a request"));
  const auto known = rows_.find(request.request);
  if (request.over) {
    wire::Retrieval answer;
    answer.request = request.request;
    answer.state = "over";
    if (known != rows_.end()) {
      Remove(known->second);
      rows_.erase(known);
      PlaceRemovals(now);
    }
    return answer;
  }
  if (known != rows_.end()) {
    Row& row = known->second;
    if (row.site != request.site || row.name != request.name) {
      return MakeError(Code::kConflict, "request {} is for '{}' of site '{}'; take another name for another one", request.request, row.name,
                       row.site);
    }
    row.asked = now;
    return Answer(request.request, row, now);
  }
  TRIBUTARY_TRY(SiteName::Parse(request.site).status());
  TRIBUTARY_TRY(CheckSegment(request.name, "name of an offer"));
  TRIBUTARY_TRY(CheckThere(request, now));
  if (rows_.size() >= limits_.retrievals) {
    return MakeError(Code::kResourceExhausted, "{} objects are being retrieved already; try again when one is done", rows_.size());
  }
  Row row;
  row.site = request.site;
  row.name = request.name;
  row.asked = now;
  Place(row, now);
  return Answer(request.request, rows_.emplace(request.request, std::move(row)).first->second, now);
}

wire::Retrieval Retrievals::Answer(const std::string& request, const Row& row, Duration now) const {
  wire::Retrieval answer;
  answer.request = request;
  answer.blob_stores = blob_stores_;
  answer.done = row.told.done;
  answer.total = row.told.total;
  const auto holder = trainers_.find(row.holder);
  if (holder != trainers_.end()) answer.trainer = holder->second.instance;
  switch (row.state) {
    case State::kDone:
      answer.state = "done";
      answer.object = row.object;
      answer.digest = row.told.digest;
      return answer;
    case State::kFailed:
      answer.state = "failed";
      answer.code = row.told.code;
      answer.message = row.told.message;
      return answer;
    case State::kWaiting:
    case State::kSending: break;
  }
  answer.state = "waiting";
  if (holder == trainers_.end()) {
    answer.message = fmt::format("no trainer of site '{}' that offers '{}' is connected", row.site, row.name);
  } else if (!holder->second.connected || !Alive(row.holder, now)) {
    answer.message = fmt::format("trainer {} has been away for {}", row.holder, FormatDuration(now - holder->second.heard));
  } else if (row.state == State::kSending) {
    answer.state = "sending";
  } else if (row.told.phase == "queued") {
    answer.message = fmt::format("trainer {} sends other objects first", row.holder);
  } else {
    answer.message = fmt::format("trainer {} is asked", row.holder);
  }
  return answer;
}

void Retrievals::TakeReports(const std::string& worker, std::vector<wire::TaskReport>& tasks, Duration now) {
  const auto trainer = trainers_.find(worker);
  if (trainer != trainers_.end()) {
    trainer->second.connected = true;
    trainer->second.heard = now;
  }
  const auto ours = std::stable_partition(tasks.begin(), tasks.end(),
                                          [](const wire::TaskReport& report) { return !report.task.starts_with(kUnder); });
  // Of a former life of this coordinator, too: nobody else knows these names.
  for (auto report = ours; report != tasks.end(); ++report) TakeReport(worker, *report);
  tasks.erase(ours, tasks.end());
}

void Retrievals::TakeReport(const std::string& worker, const wire::TaskReport& report) {
  const auto state = static_cast<wire::TaskState>(report.state);
  const bool over = state == wire::TaskState::kDone || state == wire::TaskState::kFailed;
  if (report.task.ends_with(kRemove)) {
    const auto removal = std::find_if(removals_.begin(), removals_.end(), [&](const Removal& r) {
      return r.holder == worker && report.task.size() == r.object.size() + kRemove.size() && report.task.starts_with(r.object);
    });
    if (removal == removals_.end() || !over) return;
    if (state == wire::TaskState::kFailed) {
      log::Warning("{} stays until the blob-store's --abandoned-after: trainer {}: {}", removal->object, worker, Printable(report.message));
    }
    removals_.erase(removal);
    changed_.insert(worker);
    return;
  }
  const auto found = std::find_if(rows_.begin(), rows_.end(), [&](const auto& entry) {
    return entry.second.holder == worker && entry.second.object == report.task;
  });
  if (found == rows_.end()) return RemoveUnknown(worker, report.task);
  Row& row = found->second;
  if (row.state == State::kDone || row.state == State::kFailed) return;
  row.told = report;
  row.told.message = Printable(report.message);
  if (!over) {
    row.state = report.phase == "offer" ? State::kSending : State::kWaiting;
    return;
  }
  row.state = state == wire::TaskState::kDone ? State::kDone : State::kFailed;
  if (row.state == State::kDone && !digest::ParseSha256(report.digest).ok()) {
    row.state = State::kFailed;
    row.told.code = static_cast<std::int32_t>(Code::kProtocol);
    row.told.message = fmt::format("trainer {} sent it and told no digest; install the same release there", worker);
  }
  changed_.insert(worker);
  log::Info("retrieval: {} of trainer {} {}", row.object, worker,
            row.state == State::kDone ? std::string("is there") : "failed: " + row.told.message);
}

void Retrievals::RemoveUnknown(const std::string& worker, const std::string& object) {
  const bool known = std::any_of(rows_.begin(), rows_.end(), [&](const auto& entry) { return entry.second.object == object; }) ||
                     std::any_of(removals_.begin(), removals_.end(), [&](const Removal& removal) { return removal.object == object; });
  if (known || !trainers_.contains(worker) || removals_.size() >= kMaxRemovals || !ObjectName::Parse(object).ok()) return;
  removals_.push_back({object, worker});
  changed_.insert(worker);
}

void Retrievals::AddTasks(const std::string& worker, wire::Assignment& assignment) const {
  if (!trainers_.contains(worker)) return;
  for (const auto& [request, row] : rows_) {
    if (row.holder != worker || row.state == State::kFailed || !row.named) continue;
    wire::TaskSpec task;
    task.task = row.object;
    task.kind = static_cast<std::uint32_t>(wire::TaskKind::kOffer);
    task.base = row.name;
    task.output = row.object;
    assignment.tasks.push_back(std::move(task));
  }
  std::size_t told = 0;
  for (const Removal& removal : removals_) {
    if (removal.holder != worker || told++ >= kRemovalsTold) continue;
    wire::TaskSpec task;
    task.task = removal.object + std::string(kRemove);
    task.kind = static_cast<std::uint32_t>(wire::TaskKind::kRemove);
    task.objects = {removal.object};
    assignment.tasks.push_back(std::move(task));
  }
}

void Retrievals::Tick(Duration now) {
  for (auto it = rows_.begin(); it != rows_.end();) {
    Row& row = it->second;
    if (now - row.asked >= limits_.client_silence) {
      log::Info("retrieval: the client that asked for '{}' of site '{}' is gone", row.name, row.site);
      Remove(row);
      it = rows_.erase(it);
      continue;
    }
    const bool over = row.state == State::kDone || row.state == State::kFailed;
    if (!over && !Alive(row.holder, now)) {
      // Another one may send it; if there is none, the former holder may come back.
      const Row before = row;
      if (Place(row, now)) Remove(before);
    }
    ++it;
  }
  PlaceRemovals(now);
}

void Retrievals::Withdraw(Row& row) {
  if (row.state == State::kDone || row.state == State::kFailed) return;
  Remove(row);
  row.holder.clear();
  row.object.clear();
  row.told = {};
  row.state = State::kWaiting;
}

void Retrievals::Remove(const Row& row) {
  if (row.object.empty()) return;
  if (!row.holder.empty()) changed_.insert(row.holder);
  if (removals_.size() >= kMaxRemovals) {
    log::Warning("{} stays until the blob-store's --abandoned-after: no trainer is there to remove it", removals_.front().object);
    removals_.pop_front();
  }
  removals_.push_back({row.object, row.holder});
}

void Retrievals::PlaceRemovals(Duration now) {
  for (Removal& removal : removals_) {
    if (Alive(removal.holder, now)) continue;
    // A trainer that offers something knows this kind of task, and one of its site may do it.
    for (const auto& [worker, trainer] : trainers_) {
      if (trainer.offers.empty() || !removal.object.starts_with(fmt::format("{}{}/", kUnder, trainer.site)) || !trainer.connected || !Alive(worker, now)) continue;
      removal.holder = worker;
      changed_.insert(worker);
      break;
    }
  }
}

std::set<std::string> Retrievals::TakeChanged() { return std::exchange(changed_, {}); }

}  // namespace tributary::service
