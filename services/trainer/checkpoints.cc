#include "services/trainer/checkpoints.h"

#include <algorithm>
#include <filesystem>
#include <utility>
#include <vector>

#include "services/trainer/weights.h"
#include "tributary/modeldir/directory.h"

namespace tributary::trainer {
namespace {

namespace fs = std::filesystem;

Status RemoveAll(const std::string& path) {
  std::error_code ec;
  fs::remove_all(path, ec);
  return ec ? Status(ErrnoError(ec.value(), "removing " + path)) : Ok();
}

// The number of each entry of rounds.json, ascending from 1 as they were written.
Result<std::vector<std::uint32_t>> NumbersOf(const Json& rounds, const std::string& place) {
  std::vector<std::uint32_t> numbers;
  if (!rounds.is_array()) return MakeError(Code::kInvalidArgument, "{} has no list of rounds", place);
  for (const Json& round : rounds) {
    TRIBUTARY_ASSIGN(const std::int64_t number, GetInt(round, "round", place));
    if (number != static_cast<std::int64_t>(numbers.size()) + 1) return MakeError(Code::kInvalidArgument, "{}: round {} does not follow round {}", place, number, numbers.size());
    numbers.push_back(static_cast<std::uint32_t>(number));
  }
  return numbers;
}

}  // namespace

Result<std::uint64_t> Checkpoints::KeptState::Load(const std::vector<std::span<float>>& moments) {
  if (const auto first = std::exchange(from, nullptr)) return first->Load(moments);
  return memory_.Load(moments);
}

Status Checkpoints::KeptState::Save(std::uint64_t steps, const std::vector<std::span<float>>& moments) {
  if (into != nullptr) TRIBUTARY_TRY(into->Save(steps, moments));
  return memory_.Save(steps, moments);
}

Result<Checkpoints> Checkpoints::Begin(const job::Job& job, const std::string& work_dir) {
  TRIBUTARY_TRY(RemoveAll(work_dir + "/rounds.json"));
  TRIBUTARY_TRY(RemoveAll(work_dir + "/optimizer"));
  return Checkpoints(job, work_dir);
}

Result<Checkpoints> Checkpoints::Resume(const job::Job& job, const std::string& work_dir, std::uint32_t round) {
  Checkpoints checkpoints(job, work_dir);
  const std::string place = work_dir + "/rounds.json";
  auto read = ReadJsonFile(place);
  if (!read.ok()) return MakeError(Code::kNotFound, "no finished training lies in {} to go on from ({})", work_dir, read.error().message());
  TRIBUTARY_ASSIGN(const std::string name, GetString(*read, "job", place));
  if (name != job.name) return MakeError(Code::kConflict, "{} is of the job {}, not of {}; choose another --work-dir", place, name, job.name);
  TRIBUTARY_ASSIGN(const auto numbers, NumbersOf(read->value("rounds", Json()), place));
  TRIBUTARY_ASSIGN(const std::int64_t last, GetInt(*read, "model", place));
  checkpoints.last_ = last > 0 && last <= static_cast<std::int64_t>(numbers.size()) ? static_cast<std::uint32_t>(last) : 0;

  const Json models = read->value("models", Json::array());
  std::vector<std::uint32_t> here;
  for (const std::uint32_t number : numbers) {
    std::error_code ec;
    if (number == checkpoints.last_ || (std::find(models.begin(), models.end(), Json(number)) != models.end() && fs::exists(checkpoints.ModelDirectory(number), ec))) {
      here.push_back(number);
    }
  }
  const auto found = round == 0 ? (here.empty() ? here.end() : here.end() - 1) : std::find(here.begin(), here.end(), round);
  if (found == here.end()) {
    std::string rounds;
    for (const std::uint32_t number : here) rounds += fmt::format("{}{}", rounds.empty() ? "" : ", ", number);
    return MakeError(Code::kNotFound, "{} has {} (checkpoint.every and checkpoint.keep say which are kept)", work_dir,
                     here.empty() ? "no model of a round to go on from" : fmt::format("no model of round {}, but those of {}", round, rounds));
  }
  checkpoints.done_ = *found;
  if (checkpoints.done_ >= job.rounds) {
    return MakeError(Code::kConflict, "{} rounds are done and the job has {}; it goes on to more with --set rounds=N", checkpoints.done_, job.rounds);
  }
  // What came after it is not to be taken for the same training's.
  for (const std::uint32_t number : numbers) {
    if (number <= checkpoints.done_) continue;
    TRIBUTARY_TRY(RemoveAll(fmt::format("{}/model-{}", work_dir, number)));
    TRIBUTARY_TRY(RemoveAll(fmt::format("{}/optimizer/{}", work_dir, number)));
  }
  for (const std::uint32_t number : here) {
    if (number <= checkpoints.done_ && number != checkpoints.last_) checkpoints.kept_.push_back(number);
  }
  if (checkpoints.last_ > checkpoints.done_) checkpoints.last_ = 0;
  const Json& rounds = (*read)["rounds"];
  for (std::uint32_t i = 0; i < checkpoints.done_; ++i) checkpoints.rounds_.push_back(OrderedJson::parse(rounds[i].dump()));
  // model-best/ is of the best of all rounds, which may be one that is done anew; then the next validated one is.
  if (read->contains("best") && (*read)["best"].is_object()) {
    const auto best = GetInt((*read)["best"], "round", place);
    const auto loss = GetNumber((*read)["best"], "val_loss", place);
    if (best.ok() && loss.ok() && *best <= static_cast<std::int64_t>(checkpoints.done_)) checkpoints.best_ = OrderedJson::parse((*read)["best"].dump());
  }
  TRIBUTARY_TRY(checkpoints.Write());
  return checkpoints;
}

std::string Checkpoints::ModelDirectory(std::uint32_t round) const {
  return round == last_ ? work_dir_ + "/model" : fmt::format("{}/model-{}", work_dir_, round);
}

Status Checkpoints::Load(train::Model& model) const {
  const std::string directory = ModelDirectory(done_);
  if (job_->adapted()) {
    TRIBUTARY_ASSIGN(const auto adapters, modeldir::OpenAdapterDirectory(directory));
    return LoadAdapters(adapters, job_->adapter, model);
  }
  TRIBUTARY_ASSIGN(const auto stored, modeldir::OpenModelDirectory(directory));
  return LoadParameters(stored.weights, directory, model);
}

Result<std::unique_ptr<DiskOptimizerState>> Checkpoints::OpenOptimizer(std::uint32_t checkpoint, std::uint32_t round, const train::Model& model) const {
  // A folder for each checkpoint, since a state keeps two rounds of its own; the text of the job is not part of it: the number of rounds may change.
  std::error_code ec;
  const std::string folder = fmt::format("{}/optimizer/{}", work_dir_, checkpoint);
  fs::create_directories(folder, ec);
  if (ec) return ErrnoError(ec.value(), "making " + folder);
  return DiskOptimizerState::Open({folder, job_->name, "", model.Parameters(), 0, round});
}

Result<train::OptimizerStore*> Checkpoints::OptimizerOf(std::uint32_t round, const train::Model& model) {
  if (job_->train.optimizer_state != "kept") return static_cast<train::OptimizerStore*>(nullptr);
  optimizer_->from.reset();
  optimizer_->into.reset();
  if (round == done_ + 1 && done_ > 0) {
    TRIBUTARY_ASSIGN(optimizer_->from, OpenOptimizer(done_, round, model));
  }
  if (IsCheckpoint(round)) {
    TRIBUTARY_ASSIGN(optimizer_->into, OpenOptimizer(round, round, model));
  }
  return static_cast<train::OptimizerStore*>(optimizer_.get());
}

Status Checkpoints::Finished(std::uint32_t round, OrderedJson entry, const OrderedJson& best, const SaveModel& save) {
  const bool last = round == job_->rounds;
  if (last && last_ != 0) {
    // `model` is about to be another round's.
    last_ = 0;
    TRIBUTARY_TRY(Write());
  }
  if (last || IsCheckpoint(round)) TRIBUTARY_TRY(save(last ? work_dir_ + "/model" : ModelDirectory(round)));
  if (last) {
    last_ = round;
  } else if (IsCheckpoint(round)) {
    kept_.push_back(round);
  }
  rounds_.push_back(std::move(entry));
  best_ = best;
  const std::uint64_t span = std::uint64_t{job_->checkpoint.every} * job_->checkpoint.keep;
  const bool replaces = IsCheckpoint(round) && round > span;
  if (replaces) std::erase_if(kept_, [&](std::uint32_t kept) { return kept <= round - span; });
  TRIBUTARY_TRY(Write());
  if (!replaces) return Ok();
  TRIBUTARY_TRY(RemoveAll(fmt::format("{}/model-{}", work_dir_, round - span)));
  return RemoveAll(fmt::format("{}/optimizer/{}", work_dir_, round - span));
}

Status Checkpoints::Write() const {
  OrderedJson json;
  json["job"] = job_->name;
  json["model"] = last_;
  json["models"] = kept_;
  json["best"] = best_;
  json["rounds"] = rounds_;
  return WriteJsonFile(work_dir_ + "/rounds.json", json);
}

}  // namespace tributary::trainer
