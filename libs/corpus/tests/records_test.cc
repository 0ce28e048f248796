// alpaca, jsonl, csv: what a record becomes, and every way in which a file can be wrong.
#include "support.h"

namespace tributary::corpus {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr const char* kPromptWithInput =
    "Below is an instruction that describes a task, paired with an input that provides further "
    "context. "
    "Write a response that appropriately completes the request.\n\n### Instruction:\nAdd.\n\n"
    "### Input:\n1 and 2\n\n### Response:";
constexpr const char* kPromptWithout =
    "Below is an instruction that describes a task. Write a response that appropriately completes "
    "the "
    "request.\n\n### Instruction:\nAdd.\n\n### Response:";

CorpusOptions Whole(const std::string& format, const std::string& path) {
  CorpusOptions o = OptionsOf(format, path);
  o.validation_fraction = 0;
  o.max_length = 512;
  return o;
}

std::string ErrorOf(const std::string& format, const std::string& name, const std::string& text) {
  const TempDirectory directory;
  return OpenError(Whole(format, directory.Write(name, text)));
}

TEST(Alpaca, ThePromptIsStanfordsAndTheCompletionAloneIsLearned) {
  const TempDirectory directory;
  CorpusOptions o = Whole("alpaca", directory.Write("a.json", R"([
    {"instruction": "Add.", "input": "1 and 2", "output": "3 \"}]\\"}
  ])"));
  auto corpus = OpenOk(o);
  ASSERT_NE(corpus, nullptr);
  auto batches = Epoch(*corpus);
  ASSERT_EQ(batches.size(), 1u);
  EXPECT_EQ(RowText(batches[0]), kPromptWithInput + std::string("3 \"}]\\"));
  EXPECT_EQ(LearnedText(batches[0]), "3 \"}]\\");
  EXPECT_EQ(batches[0].targets.back(), 256);  // it learns to end

  o.loss_on = LossOn::kAll;
  corpus = OpenOk(o);
  ASSERT_NE(corpus, nullptr);
  EXPECT_EQ(LearnedText(Epoch(*corpus)[0]), (kPromptWithInput + std::string("3 \"}]\\")).substr(1));
}

TEST(Alpaca, WithoutInputAndAsLinesOrArray) {
  const TempDirectory directory;
  for (const std::string& text :
       {std::string("[{\"instruction\": \"Add.\", \"input\": \"\", \"output\": \"3\"}]"),
        std::string("\xEF\xBB\xBF[\n{\"instruction\": \"Add.\", \"output\": \"3\"}\n]\n"),
        std::string("{\"instruction\": \"Add.\", \"input\": null, \"output\": \"3\"}\r\n\r\n")}) {
    const auto corpus = OpenOk(Whole("alpaca", directory.Write("a.json", text)));
    ASSERT_NE(corpus, nullptr);
    EXPECT_EQ(corpus->TrainingSamples(), 1u);
    EXPECT_EQ(RowText(Epoch(*corpus)[0]), kPromptWithout + std::string("3"));
  }
}

TEST(Alpaca, PackedWindowsKeepTheLossOnCompletions) {
  const TempDirectory directory;
  std::string text;
  for (int i = 0; i < 20; ++i) {
    text += "{\"instruction\": \"i\", \"output\": \"<" + std::to_string(10 + i) + ">\"}\n";
  }
  CorpusOptions o = Whole("alpaca", directory.Write("a.jsonl", text));
  o.packing = true;
  o.max_length = 64;
  const auto corpus = OpenOk(o);
  ASSERT_NE(corpus, nullptr);
  EXPECT_EQ(corpus->TrainingSamples(), (corpus->TrainingTokens() - 1) / 64);
  std::string learned;
  for (const auto& batch : Epoch(*corpus)) {
    EXPECT_EQ(batch.columns, 64u);
    for (const std::int32_t id : batch.tokens) {
      EXPECT_GE(id, 0);
      EXPECT_LE(id, 256);
    }
    learned += LearnedText(batch);
  }
  EXPECT_EQ(learned.find_first_not_of("<>0123456789"), std::string::npos) << learned;
  EXPECT_GT(learned.size(), 60u);
}

TEST(Alpaca, Malformed) {
  const std::string good = "{\"instruction\": \"a\", \"output\": \"b\"}";
  EXPECT_THAT(ErrorOf("alpaca", "a.json", "[" + good + ",\n{\"instruction\": 3}]"),
              AllOf(HasSubstr("a.json:2: "), HasSubstr("no text 'instruction'")));
  EXPECT_THAT(ErrorOf("alpaca", "a.json", "[{\"instruction\": \"a\"}]"),
              HasSubstr("no text 'output'"));
  EXPECT_THAT(
      ErrorOf("alpaca", "a.json", "[{\"instruction\": \"a\", \"input\": [], \"output\": \"b\"}]"),
      HasSubstr("no text 'input'"));
  EXPECT_THAT(ErrorOf("alpaca", "a.json", "[" + good + ",\n\n{oops}]"),
              AllOf(HasSubstr("a.json:3: not valid JSON")));
  EXPECT_THAT(ErrorOf("alpaca", "a.json", "[" + good),
              HasSubstr("a.json:1: the JSON array is not closed"));
  EXPECT_THAT(ErrorOf("alpaca", "a.json", "[" + good + "\n" + good + "]"),
              HasSubstr("a.json:2: expected ',' or ']'"));
  EXPECT_THAT(ErrorOf("alpaca", "a.json", "[1, 2]"), HasSubstr("a.json:1: expected an object"));
  EXPECT_THAT(ErrorOf("alpaca", "a.json", "[" + good + ",]"), HasSubstr("expected an object"));
  EXPECT_THAT(ErrorOf("alpaca", "a.json", "[" + good + "] x"),
              HasSubstr("nothing behind the JSON array"));
  EXPECT_THAT(ErrorOf("alpaca", "a.json", "instruction"),
              HasSubstr("expected a JSON array of objects"));
  EXPECT_THAT(ErrorOf("alpaca", "a.json", " \n\t"), HasSubstr("expected a JSON array of objects"));
  EXPECT_THAT(ErrorOf("alpaca", "a.json", "[]"), HasSubstr("gets no record to train on"));
  EXPECT_THAT(ErrorOf("alpaca", "a.json", ""), HasSubstr("is empty"));
  EXPECT_THAT(ErrorOf("alpaca", "a.json", "[{\"instruction\": " + std::string(100, '[')),
              HasSubstr("not closed"));
  EXPECT_THAT(
      ErrorOf("alpaca", "a.json", "{\"a\": " + std::string(100, '[') + std::string(100, ']') + "}"),
      HasSubstr("nested deeper"));
}

TEST(Jsonl, ATextKeyOrPromptsAndCompletions) {
  const TempDirectory directory;
  CorpusOptions o = Whole(
      "jsonl", directory.Write("a.jsonl", "{\"text\": \"one\", \"n\": 1}\n\n{\"text\": \"two\"}"));
  o.packing = false;
  auto corpus = OpenOk(o);
  ASSERT_NE(corpus, nullptr);
  EXPECT_EQ(corpus->TrainingSamples(), 2u);
  o = Whole("jsonl", directory.Write("a.jsonl", "{\"body\": \"one two three\"}\n"));
  o.text_key = "body";
  o.max_length = 4;
  corpus = OpenOk(o);  // packed
  ASSERT_NE(corpus, nullptr);
  EXPECT_EQ(corpus->TrainingTokens(), 14u);
  EXPECT_EQ(corpus->TrainingSamples(), 3u);
  corpus = OpenOk(Whole(
      "jsonl", directory.Write("a.jsonl", "{\"prompt\": \"ask:\", \"completion\": \" tell\"}\n")));
  ASSERT_NE(corpus, nullptr);
  EXPECT_EQ(RowText(Epoch(*corpus)[0]), "ask: tell");
  EXPECT_EQ(LearnedText(Epoch(*corpus)[0]), " tell");
}

TEST(Records, AGivenTextKeyIsNeverPassedOverForPromptsAndCompletions) {
  const TempDirectory directory;
  CorpusOptions o = Whole("jsonl", directory.Write("a.jsonl", "{\"prompt\": \"ask:\", \"completion\": \" tell\", \"body\": \"other\"}\n"));
  o.packing = false;
  o.text_key = "body";
  auto corpus = OpenOk(o);
  ASSERT_NE(corpus, nullptr);
  EXPECT_EQ(RowText(Epoch(*corpus)[0]), "other");
  for (const char* format : {"jsonl", "csv"}) {
    o = Whole(format, format == std::string("csv") ? directory.Write("a.csv", "prompt,completion\nask:, tell\n") : o.path);
    o.text_key = "no-such";
    const auto opened = OpenCorpus(o, *text::MakeByteTokenizer());
    ASSERT_FALSE(opened.ok()) << format;
    EXPECT_THAT(opened.error().message(), HasSubstr("'no-such'")) << format;
  }
}

TEST(Jsonl, Malformed) {
  EXPECT_THAT(ErrorOf("jsonl", "a.jsonl", "{\"text\": \"a\"}\n{\"text\": \"b\"\n"),
              AllOf(HasSubstr("a.jsonl:2: not valid JSON")));
  EXPECT_THAT(ErrorOf("jsonl", "a.jsonl", "{\"text\": \"a\"}\n[1]\n"),
              HasSubstr("a.jsonl:2: expected an object"));
  EXPECT_THAT(ErrorOf("jsonl", "a.jsonl", "{\"text\": \"a\"}\n{\"body\": \"b\"}\n"),
              HasSubstr("a.jsonl:2: the record has no text 'text'; say data.text_key"));
  EXPECT_THAT(ErrorOf("jsonl", "a.jsonl",
                      "{\"prompt\": \"a\", \"completion\": \"b\"}\n{\"prompt\": \"a\"}\n"),
              HasSubstr("a.jsonl:2: the record has no text 'completion', as the first has"));
}

TEST(Jsonl, InvalidUtf8IsReplaced) {
  const TempDirectory directory;
  CorpusOptions o = Whole("jsonl", directory.Write("a.jsonl", "{\"text\": \"a\xFF\x62\"}\n"));
  const auto text = ReadPartitionText(o);
  ASSERT_TRUE(text.ok()) << text.error().message();
  EXPECT_EQ(text->training,
            "a\xEF\xBF\xBD"
            "b");
}

TEST(Jsonl, ARecordThatIsTooLongIsRefusedUnread) {
  const std::string huge = "{\"text\": \"" + std::string(17u << 20, 'a');
  EXPECT_THAT(ErrorOf("jsonl", "a.jsonl", "{\"text\": \"a\"}\n" + huge + "\"}"),
              HasSubstr("a.jsonl:2: a record has more than 16777216 bytes"));
  EXPECT_THAT(ErrorOf("alpaca", "a.json", "[\n" + huge),
              HasSubstr("a.json:2: a record has more than"));
  EXPECT_THAT(ErrorOf("csv", "a.csv", "text\n\"" + std::string(17u << 20, 'a')),
              HasSubstr("a.csv:2: a record has more than"));
}

TEST(Csv, QuotesCommasAndNewlinesInFields) {
  const TempDirectory directory;
  CorpusOptions o = Whole("csv", directory.Write("a.csv",
                                                 "id,text,x\r\n"
                                                 "1,plain,\r\n"
                                                 "2,\"a, \"\"b\"\"\nc\",y\n"
                                                 "\n"
                                                 "3,,\n"
                                                 "4,\"\",z"));
  o.packing = false;
  const auto corpus = OpenOk(o);
  ASSERT_NE(corpus, nullptr);
  std::vector<std::string> rows;
  for (const auto& batch : Epoch(*corpus)) rows.push_back(RowText(batch));
  EXPECT_THAT(rows,
              ::testing::UnorderedElementsAre("plain", "a, \"b\"\nc"));  // empty ones teach nothing
}

TEST(Csv, PromptAndCompletionColumns) {
  const TempDirectory directory;
  const auto corpus =
      OpenOk(Whole("csv", directory.Write("a.csv", "completion,prompt\nyes,ask?\n")));
  ASSERT_NE(corpus, nullptr);
  EXPECT_EQ(RowText(Epoch(*corpus)[0]), "ask?yes");
  EXPECT_EQ(LearnedText(Epoch(*corpus)[0]), "yes");
}

TEST(Csv, Malformed) {
  EXPECT_THAT(ErrorOf("csv", "a.csv", "id,body\n1,x\n"),
              HasSubstr("a.csv:1: no column 'text'; say data.text_key; the columns are id, body"));
  EXPECT_THAT(ErrorOf("csv", "a.csv", "id,text\n1,x\n2,y,z\n"),
              HasSubstr("a.csv:3: 3 fields, and the first row has 2"));
  EXPECT_THAT(ErrorOf("csv", "a.csv", "id,text\n1,\"x\ny\n"),
              HasSubstr("a.csv:2: a quoted field is not closed"));
  EXPECT_THAT(ErrorOf("csv", "a.csv", "id,text\n1,x\"y\n"),
              HasSubstr("a.csv:2: a quote inside a field"));
  EXPECT_THAT(ErrorOf("csv", "a.csv", "id,text\n1,\"x\"y\n"),
              HasSubstr("a.csv:2: text behind the closing quote"));
  EXPECT_THAT(ErrorOf("csv", "a.csv", "id,text\n1,x\ry\n"),
              HasSubstr("a.csv:2: a carriage return"));
  EXPECT_THAT(ErrorOf("csv", "a.csv", "id,text\n"), HasSubstr("gets no record to train on"));
  EXPECT_THAT(ErrorOf("csv", "a.csv", std::string("te\0xt\n", 6)), HasSubstr("it has NUL bytes"));
}

TEST(Records, LossOnCompletionsNeedsThem) {
  const TempDirectory directory;
  CorpusOptions o = Whole("csv", directory.Write("a.csv", "text\nx\n"));
  o.loss_on = LossOn::kCompletion;
  EXPECT_THAT(OpenError(o), HasSubstr("loss_on completion needs prompts and completions"));
}

TEST(Records, APromptThatFillsTheRowIsLeftOut) {
  const TempDirectory directory;
  CorpusOptions o =
      Whole("jsonl", directory.Write("a.jsonl",
                                     "{\"prompt\": \"0123456789abcdef0\", \"completion\": \"x\"}\n"
                                     "{\"prompt\": \"short\", \"completion\": \"yes\"}\n"));
  o.max_length = 16;
  auto corpus = OpenOk(o);
  ASSERT_NE(corpus, nullptr);
  EXPECT_EQ(corpus->TrainingSamples(), 1u);
  o.max_length = 4;
  EXPECT_THAT(OpenError(o), HasSubstr("no document with a token to learn within max_length 4"));
}

TEST(Records, RowsArePaddedToTheLongestOfTheBatchAndCutAtMaxLength) {
  const TempDirectory directory;
  CorpusOptions o =
      Whole("jsonl", directory.Write("a.jsonl",
                                     "{\"text\": \"ab\"}\n{\"text\": "
                                     "\"abcdefghijklmnopqrstuvwxyz\"}\n{\"text\": \"abcd\"}\n"));
  o.packing = false;
  o.max_length = 10;
  const auto corpus = OpenOk(o);
  ASSERT_NE(corpus, nullptr);
  const auto batches = All(*corpus->Training({.seed = 1, .batch_size = 3, .batches = 1}));
  ASSERT_EQ(batches.size(), 1u);
  ASSERT_EQ(batches[0].rows, 3u);
  ASSERT_EQ(batches[0].columns, 10u);
  std::vector<std::string> learned;
  for (std::size_t row = 0; row < 3; ++row) {
    train::Batch one;
    const auto at = static_cast<std::ptrdiff_t>(row * 10);
    one.tokens.assign(batches[0].tokens.begin() + at, batches[0].tokens.begin() + at + 10);
    one.targets.assign(batches[0].targets.begin() + at, batches[0].targets.begin() + at + 10);
    learned.push_back(LearnedText(one));
    const auto ignored = std::count(one.targets.begin(), one.targets.end(), train::kIgnore);
    EXPECT_EQ(ignored, learned.back() == "b"     ? 8
                       : learned.back() == "bcd" ? 6
                                                 : 0);  // the end is learned
  }
  EXPECT_THAT(learned, ::testing::UnorderedElementsAre("b", "bcd", "bcdefghijk"));
}

TEST(Records, TheUnionOfThePartitionsIsTheWhole) {
  const TempDirectory directory;
  for (int file = 0; file < 5; ++file) {
    std::string text;
    for (int i = 0; i < 37 + 11 * file; ++i) {
      text += "{\"text\": \"<" + std::to_string(file) + "." + std::to_string(i) + ">\"}\n";
    }
    directory.Write("f" + std::to_string(file) + ".jsonl", text);
  }
  for (const auto scheme : {PartitionScheme::kIid, PartitionScheme::kByFile}) {
    for (const std::uint64_t samples : {0u, 100u}) {
      CorpusOptions o = OptionsOf("jsonl", directory.path());
      o.scheme = scheme;
      o.partitions = 3;
      o.samples = samples;
      std::multiset<std::string> seen;
      std::size_t held_out = 0;
      for (o.partition = 0; o.partition < 3; ++o.partition) {
        const auto text = ReadPartitionText(o);
        ASSERT_TRUE(text.ok()) << text.error().message();
        for (const std::string& part : {text->training, text->validation}) {
          for (std::size_t at = 0; at < part.size();) {
            const std::size_t end = part.find('>', at) + 1;
            seen.insert(part.substr(at, end - at));
            at = end;
          }
        }
        EXPECT_FALSE(text->validation.empty());
        held_out += text->validation.size();
      }
      const std::size_t all = 5 * 37 + 11 * 10;
      EXPECT_EQ(std::set<std::string>(seen.begin(), seen.end()).size(), seen.size());
      if (samples == 0) {
        EXPECT_EQ(seen.size(), all);
      } else {
        EXPECT_GE(seen.size(), samples);
        EXPECT_LE(seen.size(), samples + 5);  // rounded up in each file
      }
      EXPECT_GT(held_out, 0u);
    }
  }
}

TEST(Records, RealInstructions) {
  const std::string path = RealData("instruction-data.json");
  if (path.empty())
    GTEST_SKIP() << "TRIBUTARY_TEST_DATA names no folder with instruction-data.json";
  CorpusOptions o = OptionsOf("alpaca", path);
  o.max_length = 2048;
  std::uint64_t documents = 0;
  o.partitions = 20;
  for (o.partition = 0; o.partition < 20; ++o.partition) {
    const auto corpus = OpenOk(o);
    ASSERT_NE(corpus, nullptr);
    documents += corpus->TrainingSamples() + corpus->ValidationSamples();
    for (const auto& batch : Epoch(*corpus)) {
      EXPECT_EQ(RowText(batch).find("Below is an instruction that describes a task"), 0u);
      EXPECT_FALSE(LearnedText(batch).empty());
    }
  }
  EXPECT_EQ(documents, 1100u);
}

}  // namespace
}  // namespace tributary::corpus
