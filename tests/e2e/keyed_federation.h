// A federation with keys, of real processes: coordinator, blob-store, aggregator; two sites that are known, and an operator.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <fstream>
#include <memory>
#include <regex>
#include <string>
#include <thread>
#include <vector>

#include "tests/e2e/support.h"

namespace tributary::e2e {

class KeyedFederation : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_EQ(Tributary({"keygen", dir_.File("keys"), "--site", "a", "--site", "b", "--cache", "near"}).exit_code, 0);
    store_ = std::make_unique<Program>(
        With({Binary("tributary-blob-store"), "--listen", "tcp://127.0.0.1:0", "--data-dir", dir_.File("blobs"), "--memory-budget", budget_}, "blob-store", "peers"), dir_);
    store_at_ = Endpoint(*store_);
    coordinator_ = std::make_unique<Program>(With({Binary("tributary-coordinator"), "--listen", "tcp://127.0.0.1:0", "--state-dir", dir_.File("state"), "--blob-store",
                                                   store_at_, "--heartbeat", "100ms", "--seat-timeout", "2s", "--memory-budget", budget_},
                                                  "coordinator", "peers"),
                                             dir_);
    coordinator_at_ = Endpoint(*coordinator_);
    workers_.push_back(Worker("tributary-aggregator", "aggregator", {"--instance", "g0", "--memory-budget", budget_}));
  }

  std::vector<std::string> With(std::vector<std::string> words, const std::string& who, const std::string& peers) {
    words.insert(words.end(), {"--key", dir_.File("keys/" + who + "/key"), "--peers", dir_.File("keys/" + peers)});
    if (words[0] != Binary("tributary")) words.insert(words.end(), {"--metrics-address", "off"});
    return words;
  }
  std::unique_ptr<Program> Worker(const std::string& binary, const std::string& who, std::vector<std::string> more) {
    std::vector<std::string> words = {Binary(binary), "--coordinator", coordinator_at_};
    words.insert(words.end(), more.begin(), more.end());
    return std::make_unique<Program>(With(words, who, "servers"), dir_);
  }
  std::unique_ptr<Program> Trainer(const std::string& site, const std::string& key_of, std::vector<std::string> more = {}) {
    more.insert(more.end(), {"--site", site, "--instance", "of-" + site + "-" + key_of, "--work-dir", dir_.File("work-" + site)});
    return Worker("tributary-trainer", "sites/" + key_of, more);
  }
  Outcome Tributary(std::vector<std::string> words) {
    words.insert(words.begin(), Binary("tributary"));
    return RunProgram(words, dir_);
  }
  Outcome As(const std::string& who, std::vector<std::string> words) {
    words.insert(words.begin(), Binary("tributary"));
    return RunProgram(With(words, who, "servers"), dir_);
  }
  // As an operator.
  Outcome Operate(std::vector<std::string> words) { return As("operator", std::move(words)); }

  // Where it listens, as its log says.
  static std::string Endpoint(Program& program) {
    std::smatch found;
    std::string log;
    const bool told = Until([&] {
      log = program.ErrorSoFar();
      return std::regex_search(log, found, std::regex("serving.* at (tcp://127\\.0\\.0\\.1:[0-9]+)"));
    });
    EXPECT_TRUE(told) << log;
    return told ? found[1].str() : "";
  }
  template <class Condition>
  static bool Until(Condition condition) {
    for (int i = 0; i < 12'000; ++i) {
      if (condition()) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    return false;
  }
  bool Says(Program& program, const std::string& text) {
    return Until([&] { return program.ErrorSoFar().find(text) != std::string::npos; });
  }
  std::string StateOf(const std::string& job) {
    const Outcome status = Operate({"status", job, "--coordinator", coordinator_at_});
    std::smatch found;
    return std::regex_search(status.out, found, std::regex("state: +([a-z]+)")) ? found[1].str() : status.err;
  }
  void Submit(const std::string& name, const std::string& text) {
    std::ofstream(dir_.File(name + ".yaml")) << text;
    const Outcome submitted = Operate({"submit", dir_.File(name + ".yaml"), "--coordinator", coordinator_at_, "--blob-store", store_at_});
    ASSERT_EQ(submitted.exit_code, 0) << submitted.err;
  }
  void ExpectCompleted(const std::string& job) {
    std::string state;
    EXPECT_TRUE(Until([&] { return (state = StateOf(job)) != "queued" && state != "running"; }));
    EXPECT_EQ(state, "completed") << coordinator_->ErrorSoFar();
  }
  static std::string Synthetic(const std::string& name, int rounds) {
    return fmt::format("name: {}\nrounds: {}\ntasks: [train]\nparticipants: {{min: 2, quorum: 1, round_deadline: 10s}}\n"
                       "model: {{family: synthetic, bytes: 3MiB, tensors: 3, dtype: f32, fill: random, seed: 5}}\n"
                       "data: {{name: none, format: synthetic, partition: {{count: 2}}}}\ntransfer: {{encoding: bf16, broadcast: bf16, chunk_bytes: 256KiB}}\n",
                       name, rounds);
  }

  const TempDirectory dir_;
  std::string budget_ = "64MiB";  // of each process
  std::unique_ptr<Program> store_;
  std::unique_ptr<Program> coordinator_;
  std::string store_at_;
  std::string coordinator_at_;
  std::vector<std::unique_ptr<Program>> workers_;
};

}  // namespace tributary::e2e
