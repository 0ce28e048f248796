#include "services/cli/base_writer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "libs/base/testing/temp_directory.h"

namespace tributary::cli {
namespace {

using testing::AllOf;
using testing::HasSubstr;

// No trainer lies beside the program of these tests: what it writes is an end-to-end test's.
class BaseWriter : public testing::Test {
 protected:
  Status Write(const WorkDir& dir) {
    MemoryLog memory;
    EXPECT_TRUE(memory.Open(dir.path()).ok());
    Status written = WriteRunBase(dir, memory, [] { return Ok(); });
    counted_ = memory.instances().contains("model-base");
    return written;
  }
  const TempDirectory temp_;
  bool counted_ = false;
};

TEST_F(BaseWriter, AProcessThatFailsIsToldWithTheWayOn) {
  const auto dir = WorkDir::Open(temp_.File("work"), "name: a\n", false);
  ASSERT_TRUE(dir.ok());
  const Status status = Write(*dir);
  ASSERT_FALSE(status.ok());
  EXPECT_THAT(status.error().message(), AllOf(HasSubstr("exit code 127"), HasSubstr("the same command goes on")));
  EXPECT_TRUE(counted_) << "its memory";
}

TEST_F(BaseWriter, ARunThatGoesOnHasItFromBeforeAndOneThatBeginsHasNot) {
  std::filesystem::create_directories(temp_.File("work/model-base"));
  {
    const auto dir = WorkDir::Open(temp_.File("work"), "name: a\n", false);
    ASSERT_TRUE(dir.ok());
    EXPECT_FALSE(Write(*dir).ok());
  }
  const auto dir = WorkDir::Open(temp_.File("work"), "name: a\n", false);
  ASSERT_TRUE(dir.ok());
  EXPECT_TRUE(Write(*dir).ok());
}

}  // namespace
}  // namespace tributary::cli
