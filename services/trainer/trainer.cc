#include "services/trainer/trainer.h"

#include <filesystem>
#include <optional>
#include <utility>

#include "services/trainer/tasks.h"
#include "tributary/base/log.h"
#include "tributary/base/names.h"
#include "tributary/blob/through_file.h"
#include "tributary/job/job.h"
#include "tributary/memory/phases.h"
#include "tributary/memory/pool.h"
#include "tributary/memory/process_memory.h"
#include "tributary/metrics/metrics.h"
#include "tributary/session/metered_runner.h"
#include "tributary/worker/host.h"

namespace tributary::trainer {
namespace {

constexpr const char* kCudaPeak = "tributary_memory_cuda_peak_bytes";

// What rides on heartbeats where nobody can scrape: the metrics' own names, so that they mean the same wherever they are served.
class RelayingRunner final : public session::TaskRunner {
 public:
  RelayingRunner(session::TaskRunner& inner, const TrainerTasks& tasks, const memory::Pool& pool, bool relay)
      : inner_(inner), tasks_(tasks), pool_(pool), relay_(relay) {
    if (const auto memory = memory::ReadProcessMemory(); memory.ok()) base_ = memory->rss;
  }
  Result<session::TaskResult> Run(const session::TaskContext& context) override { return inner_.Run(context); }
  void OnSeat(const std::string& seat) override {
    log::Info("{}", seat.empty() ? "no seat: waiting as a spare" : "seat: " + seat);
  }
  std::map<std::string, double> Samples() override {
    if (!relay_) return {};
    const auto use = pool_.Use();
    std::map<std::string, double> samples{{"tributary_memory_budget_bytes", static_cast<double>(use.budget)},
                                          {"tributary_memory_pool_peak_bytes", static_cast<double>(use.peak)}};
    const auto add = [&](const std::string& name, std::optional<std::uint64_t> value) {
      if (value && *value > 0) samples[name] = static_cast<double>(*value);
    };
    if (const auto memory = memory::ReadProcessMemory(); memory.ok()) add("process_resident_memory_bytes", memory->rss);
    add(kCudaPeak, tasks_.DevicePeakBytes());
    if (const auto cpu = memory::ReadCpuSeconds(); cpu.ok()) samples["process_cpu_seconds_total"] = *cpu;
    const auto peaks = memory::ReadPeaks();
    add("tributary_memory_rss_peak_bytes", peaks.overall);
    add("tributary_memory_base_bytes", base_);
    for (const auto& [phase, peak] : peaks.phases) add("tributary_memory_phase_peak_bytes." + phase, peak);
    if (const auto cgroup = memory::ReadCgroupMemory()) {
      add("tributary_memory_cgroup_bytes", cgroup->current);
      add("tributary_memory_cgroup_peak_bytes", cgroup->peak);
      add("tributary_memory_cgroup_limit_bytes", cgroup->limit);
    }
    return samples;
  }

 private:
  session::TaskRunner& inner_;
  const TrainerTasks& tasks_;
  const memory::Pool& pool_;
  const bool relay_;
  std::uint64_t base_ = 0;
};

Result<std::shared_ptr<blob::BlobStore>> OpenStoreOf(const session::TaskContext& task, worker::WorkerHost& host, const Identity& identity) {
  TRIBUTARY_ASSIGN(auto store, host.OpenStore(task));
  if (task.job_text.empty()) return store;  // what belongs to no job: an offer, and its removal
  TRIBUTARY_ASSIGN(const auto job, job::ParseJob(task.job_text, "job " + task.spec.job));
  if (job.transfer.mode != "file") return store;
  if (identity.work_dir.empty()) {
    return Error(Code::kInvalidArgument, "transfer.mode file writes files of the model's size: start this trainer with --work-dir");
  }
  blob::ThroughFileOptions options;
  options.directory = identity.work_dir;
  options.moved = [&progress = task.progress, now = static_cast<const char*>(nullptr)](const char* what, std::uint64_t bytes) mutable {
    if (std::exchange(now, what) != what) progress.Phase(what, 0, "bytes");
    progress.Done(bytes);
  };
  return blob::ThroughFile(std::move(store), host.pool(), std::move(options));
}

}  // namespace

struct TrainerService::Impl {
  explicit Impl(const TrainerSpec& spec)
      : host({spec.coordinator, spec.blob_stores, spec.instance, spec.memory_budget, spec.metrics_address, spec.model_cache, spec.connections, spec.keyring, spec.relay, spec.model_cache_name}),
        identity(spec.identity),
        tasks(identity, [this](const session::TaskContext& task) { return OpenStoreOf(task, host, identity); },
              spec.load_module ? spec.load_module : LoadModule([] { return train::LoadTrainModule(); })),
        metered(tasks, host.registry(), {wire::TaskKind::kInit, wire::TaskKind::kTrain, wire::TaskKind::kValidate,
                                          wire::TaskKind::kOffer, wire::TaskKind::kRemove}),
        relaying(metered, tasks, host.pool(), spec.relay || spec.metrics_address == "off") {
    host.registry().AddCollector([this]() -> std::vector<metrics::Reading> {
      const std::uint64_t peak = tasks.DevicePeakBytes();
      if (peak == 0) return {};
      return {{kCudaPeak, "Most bytes of a GPU's memory that libtorch held at once, in use or ready to be", false, {}, static_cast<double>(peak)}};
    });
  }

  worker::WorkerHost host;
  const Identity identity;  // the caller's spec need not outlive Start
  TrainerTasks tasks;
  session::MeteredRunner metered;
  RelayingRunner relaying;
};

TrainerService::TrainerService() = default;
TrainerService::~TrainerService() { Stop(); }

Result<std::unique_ptr<TrainerService>> TrainerService::Start(const TrainerSpec& spec) {
  TRIBUTARY_ASSIGN(const auto instance, InstanceName::Parse(spec.instance));
  TRIBUTARY_ASSIGN(const auto site, SiteName::Parse(spec.identity.site));
  std::unique_ptr<TrainerService> service(new TrainerService());
  service->impl_ = std::make_unique<Impl>(spec);
  wire::Hello hello;
  hello.role = static_cast<std::uint32_t>(wire::Role::kTrainer);
  hello.site = site.str();
  hello.instance = instance.str();
  hello.ordinal = spec.ordinal;
  hello.version = config::Version();
  hello.memory_budget = spec.memory_budget;
  for (const auto& [name, path] : spec.identity.data) hello.data.push_back(name);
  for (const auto& [name, path] : spec.identity.offers) {
    hello.offers.push_back(name);
    std::error_code error;
    if (!std::filesystem::exists(path, error)) log::Warning("offer '{}': there is nothing at {} yet", name, path);
  }
  for (const auto encoding : {tensor::Encoding::kNative, tensor::Encoding::kF16, tensor::Encoding::kBF16, tensor::Encoding::kInt8,
                              tensor::Encoding::kNf4}) {
    hello.encodings.push_back(static_cast<std::uint32_t>(encoding));
  }
  TRIBUTARY_TRY(service->impl_->host.Begin(hello, service->impl_->relaying, kBeside));
  log::Info("trainer {} of site {} works for the coordinator at {}", spec.instance, site.str(), spec.coordinator);
  return service;
}

Result<bool> TrainerService::Wait(Duration limit) { return impl_->host.Wait(limit); }

// Before the tasks go, which the session may run.
void TrainerService::Stop() {
  if (impl_) impl_->host.Stop();
}

std::uint16_t TrainerService::metrics_port() const { return impl_->host.metrics_port(); }

}  // namespace tributary::trainer
