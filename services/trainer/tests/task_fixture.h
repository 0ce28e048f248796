// A trainer's tasks on a store in memory, with the fake module.
#pragma once

#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <fstream>

#include "libs/base/testing/temp_directory.h"
#include "fake_module.h"
#include "services/trainer/tasks.h"
#include "tributary/blob/local_store.h"

namespace tributary::trainer {

class RecordedProgress final : public session::TaskProgress {
 public:
  void Phase(const std::string& name, std::uint64_t all, const std::string&) override {
    phases.push_back(name);
    total = all;
  }
  void Done(std::uint64_t now) override {
    done = now;
    if (stop_at != 0 && done >= stop_at) stop.request_stop();
  }
  void Metric(const std::string& name, double value) override { metrics[name] = value; }
  void Bytes(std::uint64_t bytes_up, std::uint64_t bytes_down) override {
    up = bytes_up;
    down = bytes_down;
  }
  std::vector<std::string> phases;
  std::map<std::string, double> metrics;
  std::uint64_t total = 0, done = 0, up = 0, down = 0, stop_at = 0;
  std::stop_source stop;
};

class TaskFixture : public testing::Test {
 protected:
  TaskFixture()
      : pool_(64_MiB),
        store_(blob::MakeMemoryStore(pool_)),
        tasks_(identity_, [this](const session::TaskContext&) { return Result<std::shared_ptr<blob::BlobStore>>(store_); },
               [this] {
                 ++module_.calls.loads;
                 return Result<train::Module*>(&module_);
               }) {}

  static wire::TaskSpec Task(wire::TaskKind kind) {
    wire::TaskSpec spec;
    spec.task = "t";
    spec.kind = static_cast<std::uint32_t>(kind);
    spec.job = "j";
    spec.seat = "local/0";
    return spec;
  }
  Result<session::TaskResult> Run(const wire::TaskSpec& spec, const std::string& job_text) {
    const auto stop_at = progress_.stop_at;
    progress_ = RecordedProgress();
    progress_.stop_at = stop_at;
    const std::vector<std::string> endpoints;
    return tasks_.Run({spec, job_text, endpoints, progress_, progress_.stop.get_token()});
  }

  void Put(const std::string& name, const wire::ObjectSpec& spec, const std::vector<float>& values) {
    const auto object = ObjectName::Trusted(name);
    ASSERT_TRUE(store_->Create(object, spec, false).ok());
    const auto layout = tensor::Layout::Make(spec.tensors, spec.chunk_bytes);
    auto writer = store_->Write({});
    std::uint64_t at = 0;
    for (std::uint64_t slot = 0; slot < layout->slot_count(); ++slot) {
      const auto bytes = layout->SlotBytes(slot);
      auto chunk = (*writer)->Allocate(bytes);
      ASSERT_TRUE(chunk.ok());
      std::memcpy((*chunk)->payload().data(), values.data() + at, bytes);
      at += bytes / 4;
      ASSERT_TRUE((*writer)->Put(object, slot, std::move(*chunk)).ok());
    }
    ASSERT_TRUE((*writer)->Flush().ok());
  }
  std::string Seal(const std::string& name) { return *store_->Seal(ObjectName::Trusted(name), 0, false); }

  std::vector<float> Get(const std::string& name) {
    const auto object = ObjectName::Trusted(name);
    auto reader = store_->Read(blob::SlotsOf(object, {0, store_->Stat(object)->slots}), {});
    std::vector<float> values;
    for (;;) {
      auto chunk = (*reader)->Next();
      EXPECT_TRUE(chunk.ok());
      if (!chunk.ok() || !*chunk) return values;
      const std::size_t at = values.size();
      values.resize(at + (*chunk)->bytes.size() / 4);
      std::memcpy(values.data() + at, (*chunk)->bytes.data(), (*chunk)->bytes.size());
    }
  }

  memory::Pool pool_;
  std::shared_ptr<blob::SlotStore> store_;
  const TempDirectory temp_;
  const std::filesystem::path directory_ = temp_.path();
  Identity identity_;
  FakeModule module_;
  TrainerTasks tasks_;
  RecordedProgress progress_;
};

}  // namespace tributary::trainer
