#include "tributary/session/metered_runner.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tributary::session {
namespace {

using testing::HasSubstr;
using testing::Not;

class Silent final : public TaskProgress {
 public:
  void Phase(const std::string&, std::uint64_t, const std::string&) override {}
  void Done(std::uint64_t) override {}
  void Metric(const std::string&, double) override {}
  void Bytes(std::uint64_t, std::uint64_t) override {}
};

class Looking final : public TaskRunner {
 public:
  Looking(metrics::Registry& registry, std::string& seen) : registry_(registry), seen_(seen) {}
  Result<TaskResult> Run(const TaskContext&) override {
    seen_ = registry_.Text();
    return MakeError(Code::kIo, "no luck");
  }

 private:
  metrics::Registry& registry_;
  std::string& seen_;
};

TEST(MeteredRunner, TellsThatATaskRunsWhileItDoes) {
  metrics::Registry registry;
  std::string during;
  Looking inner(registry, during);
  MeteredRunner runner(inner, registry, {wire::TaskKind::kTrain, wire::TaskKind::kValidate});
  EXPECT_THAT(registry.Text({kTasksRunning}), HasSubstr("tributary_tasks_running{kind=\"train\"} 0\n"));
  wire::TaskSpec spec;
  spec.kind = static_cast<std::uint32_t>(wire::TaskKind::kTrain);
  Silent progress;
  const std::string text;
  const std::vector<std::string> stores;
  EXPECT_FALSE(runner.Run({spec, text, stores, progress, {}}).ok());
  EXPECT_THAT(during, HasSubstr("tributary_tasks_running{kind=\"train\"} 1\n"));
  EXPECT_THAT(during, HasSubstr("tributary_tasks_running{kind=\"validate\"} 0\n"));
  EXPECT_THAT(registry.Text(), HasSubstr("tributary_tasks_running{kind=\"train\"} 0\n"));
}

TEST(MeteredRunner, AKindThatThisWorkerDoesNotRunIsNotCounted) {
  metrics::Registry registry;
  std::string during;
  Looking inner(registry, during);
  MeteredRunner runner(inner, registry, {wire::TaskKind::kTrain});
  wire::TaskSpec spec;
  spec.kind = 99;
  Silent progress;
  const std::string text;
  const std::vector<std::string> stores;
  EXPECT_FALSE(runner.Run({spec, text, stores, progress, {}}).ok());
  EXPECT_THAT(during, Not(HasSubstr("99")));
}

}  // namespace
}  // namespace tributary::session
