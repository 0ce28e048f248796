#include "tributary/evaluation/questions.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "libs/base/testing/temp_directory.h"

namespace tributary::evaluation {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class Questions : public testing::Test {
 protected:
  Result<std::vector<Subject>> Read(const QuestionOptions& options = {.shots = 1, .limit = 0, .only = {}}) {
    return ReadQuestions(dir_.path().string(), options);
  }
  std::string ErrorOf(const QuestionOptions& options = {.shots = 1, .limit = 0, .only = {}}) {
    const auto read = Read(options);
    if (!read.ok()) return read.error().message();
    ADD_FAILURE() << "no error";
    return "";
  }
  std::vector<std::string> NamesOf(const QuestionOptions& options) {
    const auto read = Read(options);
    EXPECT_TRUE(read.ok()) << read.error().message();
    std::vector<std::string> names;
    if (read.ok()) {
      for (const Subject& subject : *read) names.push_back(subject.name);
    }
    return names;
  }
  void WriteCsv(const std::string& subject, const std::string& test, const std::string& dev = "q,1,2,3,4,A\n") {
    dir_.Write("test/" + subject + "_test.csv", test);
    if (!dev.empty()) dir_.Write("dev/" + subject + "_dev.csv", dev);
  }

  const TempDirectory dir_;
};

TEST_F(Questions, OfCsvFilesByName) {
  WriteCsv("virology", "\"What, \"\"exactly\"\"\nis it?\",one,\"two, three\",,4,B\r\nNext?,a,b,c,d,D\n");
  WriteCsv("anatomy", "Which?,0,NA,2,3,A", "one,1,2,3,4,C\ntwo,1,2,3,4,D\n");
  const auto read = Read();
  ASSERT_TRUE(read.ok()) << read.error().message();
  ASSERT_EQ(read->size(), 2u);
  EXPECT_EQ((*read)[0].name, "anatomy");
  EXPECT_EQ((*read)[0].category, Category::kStem);
  EXPECT_EQ((*read)[0].questions[0].choices[1], "NA");
  ASSERT_EQ((*read)[0].examples.size(), 1u);
  EXPECT_EQ((*read)[0].examples[0].text, "one");
  EXPECT_EQ((*read)[0].examples[0].answer, 2u);
  const Subject& virology = (*read)[1];
  EXPECT_TRUE(virology.known);
  ASSERT_EQ(virology.questions.size(), 2u);
  EXPECT_EQ(virology.questions[0].text, "What, \"exactly\"\nis it?");
  EXPECT_THAT(virology.questions[0].choices, ElementsAre("one", "two, three", "", "4"));
  EXPECT_EQ(virology.questions[0].answer, 1u);
  EXPECT_EQ(virology.questions[1].answer, 3u);
}

TEST_F(Questions, OfJsonLinesAndArrays) {
  dir_.Write("test.jsonl",
             "{\"question\": \"Q1\", \"subject\": \"sociology\", \"choices\": [\"a\", \"b\", \"c\", \"d\"], \"answer\": 3}\n"
             "{\"question\": \"Q2\", \"subject\": \"my_own\", \"choices\": [\"a\", \"b\", \"c\", \"d\"], \"answer\": \"B\"}\n");
  dir_.Write("test/marketing_test.json", "[{\"question\": \"Q3\", \"choices\": [\"a\", \"b\", \"c\", \"d\"], \"answer\": 0}]");
  const auto read = Read({.shots = 0, .limit = 0, .only = {}});
  ASSERT_TRUE(read.ok()) << read.error().message();
  ASSERT_EQ(read->size(), 3u);
  EXPECT_EQ((*read)[0].name, "marketing");
  EXPECT_EQ((*read)[1].name, "my_own");
  EXPECT_FALSE((*read)[1].known);
  EXPECT_EQ((*read)[1].category, Category::kOther);
  EXPECT_EQ((*read)[1].questions[0].answer, 1u);
  EXPECT_EQ((*read)[2].questions[0].answer, 3u);
}

TEST_F(Questions, OfSomeSubjectsAndTheFirstOfEach) {
  WriteCsv("anatomy", "a,1,2,3,4,A\nb,1,2,3,4,A\n");
  WriteCsv("econometrics", "a,1,2,3,4,A\n");
  WriteCsv("philosophy", "a,1,2,3,4,A\n");
  EXPECT_THAT(NamesOf({.shots = 1, .limit = 0, .only = {"philosophy", "stem"}}), ElementsAre("anatomy", "philosophy"));
  EXPECT_THAT(ErrorOf({.shots = 1, .limit = 0, .only = {"filosophy"}}), HasSubstr("has no questions of 'filosophy'; did you mean 'philosophy'?"));
  EXPECT_THAT(ErrorOf({.shots = 1, .limit = 0, .only = {"other"}}), HasSubstr("has no questions of 'other'"));
  const auto limited = Read({.shots = 1, .limit = 1, .only = {}});
  ASSERT_TRUE(limited.ok());
  EXPECT_EQ((*limited)[0].questions.size(), 1u);
}

TEST_F(Questions, FilesOfASubjectThatIsNotAskedForAreNotRead) {
  WriteCsv("anatomy", "a,1,2,3,4,A\n");
  WriteCsv("virology", "broken\n");
  EXPECT_THAT(NamesOf({.shots = 1, .limit = 0, .only = {"anatomy"}}), ElementsAre("anatomy"));
}

TEST_F(Questions, RowsOfAnotherFormAreNamed) {
  WriteCsv("anatomy", "a,1,2,3,A\n");
  EXPECT_THAT(ErrorOf(), HasSubstr("anatomy_test.csv:1: expected 6 fields (question, A, B, C, D, answer), there are 5"));
  WriteCsv("anatomy", "a,1,2,3,4,A\nb,1,2,3,4,5,6,A\n");
  EXPECT_THAT(ErrorOf(), HasSubstr("anatomy_test.csv:2: 8 fields, and the first row has 6"));
  WriteCsv("anatomy", "a,1,2,3,4,A\n\"b,1,2,3,4,B\n");
  EXPECT_THAT(ErrorOf(), HasSubstr("anatomy_test.csv:2: a quoted field is not closed"));
  WriteCsv("anatomy", "  ,1,2,3,4,A\n");
  EXPECT_THAT(ErrorOf(), HasSubstr("anatomy_test.csv:1: the question is empty"));
}

TEST_F(Questions, AnswersThatAreNoLetter) {
  WriteCsv("anatomy", "a,1,2,3,4,A\nb,1,2,3,4,E\n");
  EXPECT_THAT(ErrorOf(), HasSubstr("anatomy_test.csv:2: the answer has to be A, B, C or D, and is 'E'"));
  WriteCsv("anatomy", "question,A,B,C,D,answer\n");
  EXPECT_THAT(ErrorOf(), HasSubstr("is 'answer'; files have no header row"));
  WriteCsv("anatomy", "a,1,2,3,4,\xff\x1b[31m\n");
  EXPECT_THAT(ErrorOf(), HasSubstr("is '??[31m'"));
  std::filesystem::remove_all(dir_.path() / "test");
  for (const char* answer : {"4", "-1", "1.5", "\"a\"", "null", "18446744073709551616"}) {
    dir_.Write("test.jsonl", fmt::format("{{\"question\": \"q\", \"subject\": \"anatomy\", \"choices\": [\"\",\"\",\"\",\"\"], \"answer\": {}}}\n", answer));
    EXPECT_THAT(ErrorOf(), HasSubstr("test.jsonl:1: 'answer' has to be 0, 1, 2 or 3, or A, B, C or D")) << answer;
  }
}

TEST_F(Questions, JsonOfAnotherForm) {
  const std::pair<const char*, const char*> cases[] = {
      {"{\"question\": 5}\n", "test.jsonl:1"},
      {"{\"question\": \"q\", \"choices\": [\"a\", \"b\", \"c\"], \"answer\": 0}\n", "'choices' has to be a list of 4 texts"},
      {"{\"question\": \"q\", \"choices\": [1, 2, 3, 4], \"answer\": 0}\n", "'choices' has to be a list of 4 texts"},
      {"{\"question\": \"q\", \"choices\": [\"\",\"\",\"\",\"\"], \"answer\": 0}\n", "subject"},
      {"{\"question\": \"q\", \"choices\": [\"\",\"\",\"\",\"\"], \"answer\": 0, \"subject\": \"../x\"}\n", "'../x' is no name of a subject"},
      {"{broken\n", "test.jsonl:1"},
      {"plain text\n", "expected a JSON array of objects, or an object on each line"},
  };
  for (const auto& [text, wanted] : cases) {
    dir_.Write("test.jsonl", text);
    EXPECT_THAT(ErrorOf({.shots = 0, .limit = 0, .only = {}}), HasSubstr(wanted)) << text;
  }
}

TEST_F(Questions, ExamplesThatAreMissing) {
  WriteCsv("anatomy", "a,1,2,3,4,A\n", "");
  EXPECT_THAT(ErrorOf(), HasSubstr("no examples for --shots 1 (0 asks without): "));
  EXPECT_THAT(ErrorOf(), HasSubstr(" has neither dev nor dev.jsonl"));
  EXPECT_TRUE(Read({.shots = 0, .limit = 0, .only = {}}).ok());
  dir_.Write("dev/virology_dev.csv", "a,1,2,3,4,A\n");
  EXPECT_THAT(ErrorOf(), HasSubstr("/dev has 0 examples of anatomy, and --shots asks for 1"));
  dir_.Write("dev/anatomy_dev.csv", "a,1,2,3,4,A\n");
  EXPECT_TRUE(Read().ok());
  EXPECT_THAT(ErrorOf({.shots = 5, .limit = 0, .only = {}}), HasSubstr("/dev has 1 examples of anatomy, and --shots asks for 5"));
}

TEST_F(Questions, FoldersWithoutQuestions) {
  EXPECT_THAT(ErrorOf(), HasSubstr("has neither test nor test.jsonl; expected DIR/test/SUBJECT_test.csv"));
  std::filesystem::create_directory(dir_.path() / "test");
  EXPECT_THAT(ErrorOf({.shots = 0, .limit = 0, .only = {}}), HasSubstr("has no questions in test; expected"));
  dir_.Write("test/anatomy_test.csv", "\n");
  EXPECT_THAT(ErrorOf({.shots = 0, .limit = 0, .only = {}}), HasSubstr("has no questions in test"));
  EXPECT_THAT(ReadQuestions(dir_.File("absent"), {}).error().message(), HasSubstr("absent is no directory"));
  dir_.Write("test/anatomy.csv", "a,1,2,3,4,A\n");
  EXPECT_THAT(ErrorOf(), HasSubstr("anatomy.csv has no subject in its name; expected SUBJECT_test.csv"));
}

}  // namespace
}  // namespace tributary::evaluation
