// A federation with time, journal, blob-store and workers in memory, all moved by hand.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>
#include <string>

#include "tributary/base/random.h"
#include "tributary/federation/federation.h"

namespace tributary::federation {

inline std::string Hex64(std::uint64_t number) {
  std::string text;
  for (std::uint64_t i = 0; i < 4; ++i) text += fmt::format("{:016x}", MixSeed(number, i));
  return text;
}

inline std::uint64_t HashText(const std::string& text) {
  std::uint64_t hash = 7;
  for (const char c : text) hash = MixSeed(hash, static_cast<unsigned char>(c));
  return hash;
}

// What fake workers write; checks that nothing is read before it is there or after it went.
struct Store {
  std::map<std::string, std::map<std::uint64_t, std::pair<std::uint64_t, std::string>>> open;  // slot -> generation, text
  std::map<std::string, std::string> sealed;                                                 // object -> digest
};

class World {
 public:
  static constexpr std::uint64_t kSlots = 7;

  explicit World(job::Job spec) : spec_(std::move(spec)) { Start(); }

  static job::Job TwoSeats(std::uint32_t rounds = 2) {
    job::Job spec;
    spec.rounds = rounds;
    spec.participants.min = 2;
    spec.participants.quorum = 2;
    spec.participants.round_deadline = Duration(60'000);
    spec.model.family = "synthetic";
    spec.data.count = 2;
    spec.validate = true;
    return spec;
  }

  JobParser Parser() {
    return [this](const std::string& text, const std::string&) -> Result<job::Job> {
      if (text == "bad") return MakeError(Code::kInvalidArgument, "the job is bad");
      const auto named = specs.find(text);
      return named == specs.end() ? spec_ : named->second;
    };
  }

  void Start() { federation = std::make_unique<Federation>(limits, Parser(), journal, now); Flush(); }

  // SIGKILL and restart; workers find out by their next report.
  void Crash() {
    federation.reset();
    connected.clear();
    Start();
  }

  void Flush() {
    for (const Decision& decision : federation->TakeDecisions()) {
      journal.Apply(decision);
      Keep(decision);
      if (const auto* round = std::get_if<RoundRow>(&decision); round != nullptr && round->state == RoundState::kDone) {
        done[{round->job, round->round}] = *round;
      }
    }
    ASSERT_TRUE(federation->state() == journal);
    for (const Note& note : federation->TakeNotes()) notes.push_back(note.text);
    changed = federation->TakeChanged();
  }

  // What a journal has beyond the state: of finished jobs, too.
  void Keep(const Decision& decision) {
    if (const auto* job = std::get_if<JobRow>(&decision)) kept_jobs[job->job] = *job;
    if (const auto* round = std::get_if<RoundRow>(&decision)) kept_rounds[{round->job, round->round}] = *round;
    if (const auto* gone = std::get_if<AbandonRound>(&decision)) {
      std::erase_if(kept_rounds, [&](const auto& entry) { return entry.first.first == gone->job && entry.first.second >= gone->round; });
    }
    if (const auto* task = std::get_if<TaskRow>(&decision); task != nullptr && task->kind == wire::TaskKind::kTrain) kept_updates[KeyOf(*task)] = *task;
  }
  Result<wire::Resumed> Resume(const std::string& name = "job", std::uint32_t rounds = 0, std::uint32_t from_round = 0) {
    if (rounds != 0) spec_.rounds = rounds;
    std::vector<RoundRow> newest;
    for (auto it = kept_rounds.rbegin(); it != kept_rounds.rend() && newest.size() < 2; ++it) {
      if (it->first.first == name) newest.push_back(it->second);
    }
    std::vector<TaskRow> updates;
    for (const auto& [key, task] : kept_updates) {
      if (task.job == name && !newest.empty() && task.round == newest.front().round) updates.push_back(task);
    }
    std::optional<RoundRow> from;
    if (from_round != 0) from = kept_rounds.at({name, from_round});
    auto resumed = federation->Resume(kept_jobs[name], newest, updates, from, now);
    Flush();
    return resumed;
  }

  static wire::Hello Trainer(const std::string& instance, std::int64_t wish = -1, const std::string& site = "site") {
    wire::Hello hello;
    hello.role = static_cast<std::uint32_t>(wire::Role::kTrainer);
    hello.site = site;
    hello.instance = instance;
    hello.ordinal = wish;
    return hello;
  }
  static wire::Hello Aggregator(const std::string& instance) {
    wire::Hello hello;
    hello.role = static_cast<std::uint32_t>(wire::Role::kAggregator);
    hello.instance = instance;
    return hello;
  }

  std::string Connect(const wire::Hello& hello) {
    auto key = federation->Connect(hello, now);
    EXPECT_TRUE(key.ok());
    Flush();
    hellos[*key] = hello;
    connected.insert(*key);
    return *key;
  }

  Result<wire::Submitted> Submit(const std::string& name = "job", bool resume = false, const std::string& text = "text") {
    auto submitted = federation->Submit({name, text, resume}, now);
    Flush();
    return submitted;
  }

  void Wait(Duration time) {
    now.steady += time;
    now.wall_ms += time.count();
    federation->Tick(now);
    Flush();
  }

  // Time passes in small steps while these workers keep reporting what they have.
  void WaitWith(Duration time, const std::vector<std::string>& alive) {
    for (Duration step{0}; step < time; step += Duration(1000)) {
      for (const std::string& key : alive) Heartbeat(key);
      Wait(Duration(1000));
    }
  }

  void Send(const std::string& key, wire::Report report) {
    if (connected.count(key) == 0) Connect(hellos.at(key));
    EXPECT_TRUE(federation->Report(key, report, now));
    Flush();
  }
  void Heartbeat(const std::string& key) { Send(key, {}); }

  std::vector<wire::TaskSpec> Tasks(const std::string& key) { return federation->AssignmentOf(key).tasks; }

  static wire::TaskReport Failed(const std::string& task, Code code, const std::string& message) {
    wire::TaskReport report;
    report.task = task;
    report.state = static_cast<std::uint32_t>(wire::TaskState::kFailed);
    report.code = static_cast<std::int32_t>(code);
    report.message = message;
    return report;
  }
  void Fail(const std::string& key, const std::string& task, Code code, const std::string& message) {
    wire::Report report;
    report.tasks.push_back(Failed(task, code, message));
    Send(key, report);
  }
  static wire::TaskReport Running(const std::string& task, std::uint64_t done) {
    wire::TaskReport report;
    report.task = task;
    report.state = static_cast<std::uint32_t>(wire::TaskState::kRunning);
    report.phase = "train";
    report.done = done;
    report.total = 100;
    report.unit = "steps";
    return report;
  }

  // What trainers download of it.
  void SealBroadcast(const wire::TaskSpec& task, wire::TaskReport& report) {
    if (task.broadcast.empty()) return;
    store.sealed[task.broadcast] = Hex64(HashText("encoded " + store.sealed[task.output]));
    report.broadcast_digest = store.sealed[task.broadcast];
  }

  // Does the task on the store, and gives what the worker will say.
  wire::TaskReport Do(const wire::TaskSpec& task) {
    wire::TaskReport report;
    report.task = task.task;
    report.state = static_cast<std::uint32_t>(wire::TaskState::kDone);
    report.bytes_up = 10;
    report.bytes_down = 20;
    switch (static_cast<wire::TaskKind>(task.kind)) {
      case wire::TaskKind::kInit:
        store.sealed[task.output] = Hex64(1);
        report.digest = Hex64(1);
        report.slots = kSlots;
        SealBroadcast(task, report);
        report.metrics = {{"broadcast_lost", 1}, {"broadcast_norm", 4}};
        break;
      case wire::TaskKind::kTrain:
        EXPECT_EQ(store.sealed[task.base], task.base_digest);
        EXPECT_FALSE(task.base_digest.empty());
        store.sealed[task.output] = Hex64(MixSeed(HashText(task.base_digest), task.ordinal));
        report.digest = store.sealed[task.output];
        report.metrics = {{"samples", 10.0 * (task.ordinal + 1)}, {"train_loss", task.ordinal + 1.0}, {"tokens", 100},
                          {"seconds", 2}};
        if (spec_.transfer.encoding != tensor::Encoding::kNative) report.metrics["encoding_error"] = 0.25 * (task.ordinal + 1);
        break;
      case wire::TaskKind::kValidate:
        EXPECT_EQ(store.sealed[task.base], task.base_digest);
        report.metrics = {{"val_loss", 3.0 + task.ordinal}, {"val_targets", 10.0 * (task.ordinal + 1)}};
        break;
      case wire::TaskKind::kAggregate: {
        std::string text;
        for (const wire::Input& input : task.inputs) {
          EXPECT_EQ(store.sealed.count(input.object), 1u) << input.object << " is gone";
          // An attempt's suffix changes the name, and neither the order nor the sum.
          const std::string name = input.object.substr(0, input.object.find(".g", input.object.rfind('/')));
          text += fmt::format("{}:{}:{};", name, store.sealed[input.object], input.weight);
        }
        for (std::uint64_t slot = task.first_slot; slot < task.end_slot; ++slot) {
          store.open[task.output][slot] = {task.generation, text};
        }
        if (!task.broadcast.empty()) report.metrics = {{"broadcast_lost", 1.0 + task.first_slot}, {"broadcast_norm", 100.0}};
        break;
      }
      case wire::TaskKind::kSeal: {
        std::string text;
        for (const wire::Input& input : task.inputs) EXPECT_EQ(store.sealed[input.object], input.digest);
        EXPECT_EQ(store.open[task.output].size(), kSlots);
        for (const auto& [slot, content] : store.open[task.output]) {
          EXPECT_EQ(content.first, task.generation);
          text += content.second;
        }
        store.sealed[task.output] = Hex64(HashText(text));
        report.digest = store.sealed[task.output];
        report.slots = kSlots;
        SealBroadcast(task, report);
        break;
      }
      case wire::TaskKind::kRemove:
        for (const std::string& object : task.objects) {
          store.sealed.erase(object);
          store.open.erase(object);
        }
        break;
      case wire::TaskKind::kOffer: ADD_FAILURE() << "a round asks for no offers"; break;
    }
    return report;
  }

  // Nothing of a task's inputs is still on its way.
  bool Ready(const wire::TaskSpec& task) const {
    return std::ranges::all_of(task.inputs, [&](const wire::Input& input) { return store.sealed.count(input.object) == 1; });
  }
  // The worker does everything it is asked to and can do now, once.
  void Work(const std::string& key) {
    wire::Report report;
    for (const wire::TaskSpec& task : Tasks(key)) report.tasks.push_back(Ready(task) ? Do(task) : Running(task.task, 1));
    Send(key, report);
  }
  // All of them work until the job ends, or `steps` are over.
  void RunAll(const std::vector<std::string>& keys, int steps = 60) {
    for (int i = 0; i < steps && Status().state == "running"; ++i) {
      for (const std::string& key : keys) Work(key);
      Wait(Duration(1000));
    }
  }

  wire::JobStatus Status(const std::string& name = "job") {
    auto status = federation->StatusOf(name, now);
    EXPECT_TRUE(status.ok());
    return status.ok() ? *status : wire::JobStatus{};
  }
  // "train" ...: works until the job is in this phase of this round.
  bool RunTo(const std::string& phase, std::uint32_t round, const std::vector<std::string>& keys) {
    for (int i = 0; i < 100; ++i) {
      for (const std::string& key : keys) {
        const auto status = Status();
        if (status.phase == phase && status.round == round) return true;
        Work(key);
      }
      Wait(Duration(100));
    }
    return false;
  }
  bool Noted(const std::string& part) const {
    for (const std::string& note : notes) {
      if (note.find(part) != std::string::npos) return true;
    }
    return false;
  }

  Limits limits;
  Time now{Duration(1'000'000), 1'700'000'000'000};
  State journal;
  Store store;
  std::unique_ptr<Federation> federation;
  std::map<std::string, wire::Hello> hellos;
  std::set<std::string> connected;
  std::map<RoundKey, RoundRow> done;
  std::map<std::string, JobRow> kept_jobs;
  std::map<RoundKey, RoundRow> kept_rounds;
  std::map<TaskKey, TaskRow> kept_updates;
  std::vector<std::string> notes;
  std::vector<std::string> changed;
  std::map<std::string, job::Job> specs;  // text -> job, of other jobs than spec_
  job::Job spec_;
};

}  // namespace tributary::federation
