#include "tributary/base/result.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <memory>

namespace tributary {
namespace {

Result<int> Half(int n) {
  if (n % 2 != 0) return MakeError(Code::kInvalidArgument, "{} is odd", n);
  return n / 2;
}
Status Even(int n) {
  TRIBUTARY_TRY(Half(n));
  return Ok();
}
Result<int> Quarter(int n) {
  TRIBUTARY_ASSIGN(const int half, Half(n));
  TRIBUTARY_ASSIGN(const int quarter, Half(half));
  return quarter;
}

TEST(Result, ValueOrError) {
  EXPECT_EQ(Half(4).value(), 2);
  EXPECT_TRUE(Half(4).status().ok());
  EXPECT_EQ(Half(3).error().code(), Code::kInvalidArgument);
  EXPECT_EQ(Half(3).error().message(), "3 is odd");
  EXPECT_FALSE(Half(3).status().ok());
}

TEST(Result, TryAndAssignLeaveWithTheFirstError) {
  EXPECT_TRUE(Even(2).ok());
  EXPECT_EQ(Even(3).error().message(), "3 is odd");
  EXPECT_EQ(*Quarter(8), 2);
  EXPECT_EQ(Quarter(6).error().message(), "3 is odd");
}

TEST(Result, HoldsWhatCanOnlyMove) {
  const auto make = []() -> Result<std::unique_ptr<int>> { return std::make_unique<int>(7); };
  const std::unique_ptr<int> value = make().value();
  EXPECT_EQ(*value, 7);
}

TEST(Error, WrapKeepsTheCodeAndPutsItsSentenceInFront) {
  const Error error = MakeError(Code::kIo, "disk full").Wrap("writing slot 3");
  EXPECT_EQ(error.code(), Code::kIo);
  EXPECT_EQ(error.message(), "writing slot 3: disk full");
}

TEST(Error, OfErrnoHasTheCodeThatCallersBranchOn) {
  EXPECT_EQ(ErrnoError(ENOSPC, "x").code(), Code::kResourceExhausted);
  EXPECT_EQ(ErrnoError(EDQUOT, "x").code(), Code::kResourceExhausted);
  EXPECT_EQ(ErrnoError(ENOENT, "x").code(), Code::kNotFound);
  EXPECT_EQ(ErrnoError(EACCES, "x").code(), Code::kPermission);
  EXPECT_EQ(ErrnoError(EPERM, "x").code(), Code::kPermission);
  EXPECT_EQ(ErrnoError(EIO, "x").code(), Code::kIo);
  EXPECT_EQ(ErrnoError(ENOENT, "open /x").message(), "open /x: No such file or directory");
}

TEST(Code, NumbersFromTheWireAreMappedIntoTheSet) {
  for (int i = 1; i <= 13; ++i) {
    EXPECT_EQ(static_cast<int>(CodeFromInt(i)), i);
    EXPECT_NE(CodeName(CodeFromInt(i)), "unknown");
  }
  for (const int i : {0, -1, 14, 1 << 30}) EXPECT_EQ(CodeFromInt(i), Code::kUnknown);
  EXPECT_EQ(CodeName(static_cast<Code>(99)), "unknown");
}

// These numbers are on the wire.
TEST(Code, NumbersStayWhatTheyAre) {
  EXPECT_EQ(static_cast<int>(Code::kInvalidArgument), 1);
  EXPECT_EQ(static_cast<int>(Code::kNotFound), 2);
  EXPECT_EQ(static_cast<int>(Code::kDeadline), 6);
  EXPECT_EQ(static_cast<int>(Code::kDataLoss), 8);
  EXPECT_EQ(static_cast<int>(Code::kInternal), 13);
}

}  // namespace
}  // namespace tributary
