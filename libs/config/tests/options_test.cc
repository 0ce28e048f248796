#include "tributary/config/options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "libs/base/testing/temp_directory.h"

namespace tributary::config {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

class OptionsTest : public testing::Test {
 protected:
  OptionsTest() : options_("tributary-test", "is a test") {
    options_.AddString("name", "river", "a name");
    options_.AddChoice("colour", "blue", {"blue", "green", "red"}, "a colour");
    options_.Group("Sizes");
    options_.AddBytes("memory-budget", 64_MiB, "a pool", 8_MiB, 1_GiB);
    options_.AddDuration("read-timeout", Duration(30'000), "a wait", Duration(1000), std::chrono::hours(1));
    options_.AddUint("retries", 3, "how often", 1, 9);
    options_.AddBool("progress", true, "shows progress");
    options_.AddBool("force", false, "forces");
    options_.AddStrings("data", "NAME=PATH", [](const std::string& value) -> Status {
      if (value.find('=') != std::string::npos) return Ok();
      return MakeError(Code::kInvalidArgument, "NAME=PATH");
    });
  }

  Result<ParseOutcome> Parse(std::vector<const char*> flags, std::vector<const char*> environment = {}) {
    flags.insert(flags.begin(), "tributary-test");
    environment.push_back(nullptr);
    return options_.Parse(static_cast<int>(flags.size()), flags.data(), environment.data());
  }
  std::string ErrorOf(std::vector<const char*> flags, std::vector<const char*> environment = {}) {
    const auto outcome = Parse(std::move(flags), std::move(environment));
    EXPECT_FALSE(outcome.ok());
    return outcome.ok() ? "" : outcome.error().message();
  }
  std::string WriteIni(const std::string& text) { return folder_.Write("test.ini", text); }

  Options options_;
  const TempDirectory folder_;
};

TEST_F(OptionsTest, DefaultsStandWhereNothingIsGiven) {
  ASSERT_TRUE(Parse({}).ok());
  EXPECT_EQ(options_.String("name"), "river");
  EXPECT_EQ(options_.Bytes("memory-budget"), 64_MiB);
  EXPECT_EQ(options_.Time("read-timeout"), Duration(30'000));
  EXPECT_EQ(options_.Uint("retries"), 3u);
  EXPECT_TRUE(options_.Flag("progress"));
  EXPECT_FALSE(options_.Flag("force"));
  EXPECT_THAT(options_.Strings("data"), ElementsAre());
  EXPECT_FALSE(options_.Given("name"));
}

TEST_F(OptionsTest, CommandLineOfEveryKind) {
  ASSERT_TRUE(Parse({"--name=x", "--colour", "red", "--memory-budget", "32MiB", "--read-timeout=5m", "--retries", "9",
                     "--progress=false", "--force", "--data", "a=1", "--data=b=2"})
                  .ok());
  EXPECT_EQ(options_.String("name"), "x");
  EXPECT_EQ(options_.String("colour"), "red");
  EXPECT_EQ(options_.Bytes("memory-budget"), 32_MiB);
  EXPECT_EQ(options_.Time("read-timeout"), std::chrono::minutes(5));
  EXPECT_EQ(options_.Uint("retries"), 9u);
  EXPECT_FALSE(options_.Flag("progress"));
  EXPECT_TRUE(options_.Flag("force"));
  EXPECT_THAT(options_.Strings("data"), ElementsAre("a=1", "b=2"));
  EXPECT_TRUE(options_.Given("name"));
}

TEST_F(OptionsTest, FileIsWeakerThanEnvironmentIsWeakerThanCommandLine) {
  const std::string path =
      WriteIni("# a comment\nname = file\ncolour=green\nretries = 4\ndata = f=1\ndata = f=2\nforce = true\n");
  ASSERT_TRUE(Parse({"--config", path.c_str(), "--name", "line"},
                    {"TRIBUTARY_NAME=environment", "TRIBUTARY_RETRIES=5", "TRIBUTARY_DATA=e=1,e=2",
                     "TRIBUTARY_OF_ANOTHER_SERVICE=1", "HOME=/root"})
                  .ok());
  EXPECT_EQ(options_.String("name"), "line");
  EXPECT_EQ(options_.Uint("retries"), 5u);
  EXPECT_EQ(options_.String("colour"), "green");
  EXPECT_TRUE(options_.Flag("force"));
  EXPECT_THAT(options_.Strings("data"), ElementsAre("e=1", "e=2"));
}

TEST_F(OptionsTest, EnvironmentMayNameTheFileAndAnEmptyVariableIsNotSet) {
  const std::string path = "TRIBUTARY_CONFIG=" + WriteIni("retries = 4\n");
  ASSERT_TRUE(Parse({}, {path.c_str(), "TRIBUTARY_MEMORY_BUDGET="}).ok());
  EXPECT_EQ(options_.Uint("retries"), 4u);
  EXPECT_EQ(options_.Bytes("memory-budget"), 64_MiB);
}

TEST_F(OptionsTest, UnknownFlagIsRefusedWithTheNearest) {
  EXPECT_THAT(ErrorOf({"--memory-bugdet", "1MiB"}),
              AllOf(HasSubstr("--memory-bugdet"), HasSubstr("did you mean '--memory-budget'?")));
  EXPECT_THAT(ErrorOf({"--zzzzzz"}), AllOf(HasSubstr("--zzzzzz"), HasSubstr("--help")));
  // An abbreviation is not guessed.
  EXPECT_THAT(ErrorOf({"--memory", "9MiB"}), HasSubstr("--memory: not a flag"));
}

TEST_F(OptionsTest, UnknownIniKeyIsRefusedWithLineAndNearest) {
  const std::string path = WriteIni("name = x\n\nretrys = 4\n");
  EXPECT_THAT(ErrorOf({"--config", path.c_str()}),
              AllOf(HasSubstr(path + ":3"), HasSubstr("'retrys'"), HasSubstr("did you mean 'retries'?")));
}

TEST_F(OptionsTest, BadIniLineAndMissingFileAreRefused) {
  const std::string path = WriteIni("name\n");
  EXPECT_THAT(ErrorOf({"--config", path.c_str()}), AllOf(HasSubstr(path), HasSubstr("expected 'key = value'")));
  EXPECT_THAT(ErrorOf({"--config", "/nonexistent/x.ini"}),
              AllOf(HasSubstr("--config"), HasSubstr("/nonexistent/x.ini"), HasSubstr("No such file")));
  EXPECT_FALSE(Parse({"--config", "/"}).ok());
}

TEST_F(OptionsTest, BuiltinFlagsAreNoIniKeys) {
  const std::string path = WriteIni("config = other.ini\n");
  EXPECT_THAT(ErrorOf({"--config", path.c_str()}), HasSubstr("'config': not a key"));
}

TEST_F(OptionsTest, EveryBadValueNamesFlagAndExpectation) {
  struct Case {
    std::vector<const char*> flags;
    std::vector<std::string> parts;
  };
  const std::vector<Case> cases = {
      {{"--memory-budget", "much"}, {"--memory-budget", "'much'", "a size of 8MiB to 1GiB, as in 64MiB"}},
      {{"--memory-budget", "1MiB"}, {"--memory-budget", "'1MiB'", "8MiB to 1GiB"}},
      {{"--memory-budget", "2GiB"}, {"--memory-budget", "'2GiB'", "8MiB to 1GiB"}},
      {{"--memory-budget", "-64MiB"}, {"--memory-budget", "'-64MiB'", "a size"}},
      {{"--read-timeout", "30"}, {"--read-timeout", "'30'", "a time of 1s to 1h, as in 30s"}},
      {{"--read-timeout", "2h"}, {"--read-timeout", "1s to 1h"}},
      {{"--retries", "0"}, {"--retries", "'0'", "a whole number of 1 to 9"}},
      {{"--retries", "3.5"}, {"--retries", "'3.5'", "a whole number"}},
      {{"--retries", "99999999999999999999999"}, {"--retries", "a whole number"}},
      {{"--force=maybe"}, {"--force", "'maybe'", "true or false"}},
      {{"--colour", "mauve"}, {"--colour", "'mauve'", "blue, green or red"}},
      {{"--data", "imdb"}, {"--data", "'imdb'", "NAME=PATH"}},
      {{"--retries"}, {"--retries", "a whole number of 1 to 9"}},
      {{"--name", "a", "--name", "b"}, {"--name", "2 times", "once"}},
      {{"stray"}, {"'stray'", "no further argument"}},
  };
  for (const Case& c : cases) {
    const std::string error = ErrorOf(c.flags);
    for (const std::string& part : c.parts) EXPECT_THAT(error, HasSubstr(part));
  }
}

TEST_F(OptionsTest, BadValueOfEnvironmentOrFileNamesThatPlaceAndTheFlag) {
  EXPECT_THAT(ErrorOf({}, {"TRIBUTARY_RETRIES=many"}),
              AllOf(HasSubstr("TRIBUTARY_RETRIES"), HasSubstr("--retries"), HasSubstr("'many'")));
  const std::string path = WriteIni("\nretries = many\n");
  EXPECT_THAT(ErrorOf({"--config", path.c_str()}),
              AllOf(HasSubstr(path + ":2"), HasSubstr("--retries"), HasSubstr("a whole number")));
}

TEST_F(OptionsTest, BoolDoesNotSwallowTheNextWord) {
  options_.AddPositional("job", "a job file");
  ASSERT_TRUE(Parse({"--force", "job.yaml"}).ok());
  EXPECT_EQ(options_.String("job"), "job.yaml");
  EXPECT_TRUE(options_.Flag("force"));
}

TEST_F(OptionsTest, PositionalsInOrderAndTheirErrors) {
  options_.AddPositional("job", "a job file");
  options_.AddPositional("place", "a folder", true);
  EXPECT_THAT(ErrorOf({}), AllOf(HasSubstr("job"), HasSubstr("a job file")));
  ASSERT_TRUE(Parse({"a.yaml", "--retries", "2", "there"}).ok());
  EXPECT_EQ(options_.String("place"), "there");
  EXPECT_THAT(ErrorOf({"a", "b", "c"}), HasSubstr("'c'"));
}

TEST_F(OptionsTest, RequiredFlagNamesItselfAndItsEnvironment) {
  options_.Require("name");
  EXPECT_THAT(ErrorOf({}), AllOf(HasSubstr("--name"), HasSubstr("TRIBUTARY_NAME")));
  EXPECT_TRUE(Parse({}, {"TRIBUTARY_NAME=x"}).ok());
}

TEST_F(OptionsTest, HelpTellsGroupsDefaultsUnitsAndEnvironment) {
  ASSERT_EQ(Parse({"--help", "--retries", "0"}).value(), ParseOutcome::kHelp);
  const std::string help = options_.HelpText();
  EXPECT_THAT(help, HasSubstr("tributary-test: is a test"));
  EXPECT_THAT(help, HasSubstr("\nSizes:\n"));
  EXPECT_THAT(help, HasSubstr("--memory-budget SIZE"));
  EXPECT_THAT(help, HasSubstr("default 64MiB; a size of 8MiB to 1GiB"));
  EXPECT_THAT(help, HasSubstr("environment TRIBUTARY_READ_TIMEOUT"));
  EXPECT_THAT(help, HasSubstr("--colour blue|green|red"));
  EXPECT_LT(help.find("\nSizes:"), help.find("\nGeneral:"));
  EXPECT_THAT(help, Not(HasSubstr("TRIBUTARY_HELP")));
}

TEST_F(OptionsTest, ShortHelpAndVersion) {
  EXPECT_EQ(Parse({"-h"}).value(), ParseOutcome::kHelp);
  Options other("tributary-test", "is a test");
  const char* argv[] = {"tributary-test", "--version"};
  testing::internal::CaptureStdout();
  EXPECT_EQ(other.ParseOrExitCode(2, argv, nullptr), kExitDone);
  EXPECT_EQ(testing::internal::GetCapturedStdout(), "tributary-test " + std::string(Version()) + "\n");
}

TEST_F(OptionsTest, UsageErrorGivesExitCodeTwoAndOneLine) {
  const char* argv[] = {"tributary-test", "--retries", "0"};
  testing::internal::CaptureStderr();
  EXPECT_EQ(options_.ParseOrExitCode(3, argv, nullptr), kExitUsage);
  const std::string line = testing::internal::GetCapturedStderr();
  EXPECT_EQ(std::count(line.begin(), line.end(), '\n'), 1);
  EXPECT_THAT(line, HasSubstr("tributary-test: --retries: got '0'"));
}

TEST_F(OptionsTest, AskingForAnUndeclaredKnobIsABug) {
  EXPECT_DEATH((void)options_.String("nothing"), "bug: knob 'nothing' is not declared");
  EXPECT_DEATH((void)options_.Uint("name"), "bug: knob 'name' is of another kind");
  EXPECT_DEATH(options_.AddUint("name", 1, ""), "bug: knob 'name' is declared twice");
}

}  // namespace
}  // namespace tributary::config
