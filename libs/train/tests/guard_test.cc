// What becomes of libtorch's exceptions.
#include "guard.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tributary::train {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

Status Thrown(const std::string& what) {
  return Guarded("training", [&]() -> Status { TORCH_CHECK(false, what); });
}

TEST(Guard, AGpuWithoutMemoryLeftNamesTheBatchSize) {
  const Status status = Thrown(
      "CUDA out of memory. Tried to allocate 20.00 GiB. GPU 0 has a total capacity of 79.11 GiB of which 3.50 GiB is free. If reserved but unallocated memory "
      "is large try setting PYTORCH_CUDA_ALLOC_CONF=expandable_segments:True to avoid fragmentation.  See documentation for Memory Management");
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().code(), Code::kResourceExhausted);
  EXPECT_THAT(status.error().message(),
              AllOf(HasSubstr("training: the GPU's memory does not suffice; in training lower train.batch_size"), HasSubstr("Tried to allocate 20.00 GiB"),
                    HasSubstr("79.11 GiB"), Not(HasSubstr("\n")), Not(HasSubstr("expandable_segments"))));
}

TEST(Guard, AnyOtherReportOfAGpuIsToldAsItIs) {
  const Status status = Thrown("CUDA error: no kernel image is available for execution on the device");
  EXPECT_EQ(status.error().code(), Code::kInternal);
  EXPECT_THAT(status.error().message(), HasSubstr("training: libtorch: CUDA error: no kernel image"));
}

TEST(Guard, AProcessorWithoutMemoryLeft) {
  const Status status = Thrown("[enforce fail at alloc_cpu.cpp:75] err == 0. DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes");
  EXPECT_EQ(status.error().code(), Code::kResourceExhausted);
  EXPECT_THAT(status.error().message(), Not(HasSubstr("batch_size")));
}

TEST(Guard, ARefusalKeepsItsWords) {
  const Status status = Guarded("training", []() -> Status { throw Refusal(MakeError(Code::kInvalidArgument, "no")); });
  EXPECT_EQ(status.error().message(), "training: no");
}

}  // namespace
}  // namespace tributary::train
