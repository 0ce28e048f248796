#include "tributary/base/log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tributary::log {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

TEST(Log, LevelsAndFormatsByName) {
  EXPECT_EQ(ParseLevel("warning").value(), Level::kWarning);
  EXPECT_EQ(ParseLevel("off").value(), Level::kOff);
  EXPECT_EQ(ParseFormat("json").value(), Format::kJson);
  EXPECT_THAT(ParseLevel("warn").error().message(), AllOf(HasSubstr("'warn'"), HasSubstr("warning")));
  EXPECT_THAT(ParseFormat("xml").error().message(), AllOf(HasSubstr("'xml'"), HasSubstr("text or json")));
}

TEST(Log, WritesFromTheLevelOnToStderr) {
  testing::internal::CaptureStderr();
  InitLog("tester", Level::kWarning, Format::kText);
  EXPECT_FALSE(Enabled(Level::kInfo));
  Info("quiet {}", 1);
  Warning("seat {} is gone", "a/1");
  LogError("and {}", "loud");
  const std::string text = testing::internal::GetCapturedStderr();
  EXPECT_THAT(text, HasSubstr("warning"));
  EXPECT_THAT(text, HasSubstr("tester: seat a/1 is gone\n"));
  EXPECT_THAT(text, HasSubstr("and loud\n"));
  EXPECT_THAT(text, testing::Not(HasSubstr("quiet")));
}

TEST(Log, JsonLinesEscapeWhatAPeerMayHaveSent) {
  testing::internal::CaptureStderr();
  InitLog("tester", Level::kInfo, Format::kJson);
  Info("a \"name\" with \\ and \n and \x01");
  const std::string text = testing::internal::GetCapturedStderr();
  EXPECT_THAT(text, StartsWith("{\"time\":\""));
  EXPECT_THAT(text, HasSubstr(R"("process":"tester","message":"a \"name\" with \\ and \u000a and \u0001"})"));
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 1);
}

// One line a message in text too: a peer's newline must not forge a line.
TEST(Log, TextLinesKeepControlCharactersOut) {
  testing::internal::CaptureStderr();
  InitLog("tester", Level::kInfo, Format::kText);
  Info("peer said {}", "x\n2026-01-01 00:00:00.000 error forged\x1b[31m");
  const std::string text = testing::internal::GetCapturedStderr();
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 1);
  EXPECT_EQ(text.find('\x1b'), std::string::npos);
}

TEST(Log, PercentSignsInMessagesAreText) {
  testing::internal::CaptureStderr();
  InitLog("tester", Level::kInfo, Format::kText);
  Info("{} %v %n", "100%");
  EXPECT_THAT(testing::internal::GetCapturedStderr(), HasSubstr("100% %v %n\n"));
}

}  // namespace
}  // namespace tributary::log
