#include "tributary/evaluation/answer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <map>

namespace tributary::evaluation {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// Scores a row by the byte of its last target, and writes what it is told to.
class FixedModel final : public train::Model {
 public:
  std::uint32_t positions = 4096;
  std::map<std::int32_t, double> scores{{'A', -4}, {'B', -1}, {'C', -2}, {'D', -3}};
  std::string writes = " D";
  std::vector<train::Batch> scored;
  std::vector<std::int32_t> prompt;
  train::GenerateOptions generated;

  const std::vector<tensor::TensorSpec>& Parameters() const override { return none_; }
  std::span<std::byte> ParameterBytes(std::uint32_t) override { return {}; }
  const std::vector<tensor::TensorSpec>& Weights() const override { return none_; }
  Result<std::span<std::byte>> WeightRoom(std::uint32_t, tensor::DType) override { return std::span<std::byte>(); }
  Status WeightStored(std::uint32_t) override { return Ok(); }
  std::string ConfigJson() const override { return ""; }
  std::string AdapterConfigJson() const override { return ""; }
  std::string DeviceName() const override { return "cpu"; }
  std::uint32_t MaxPositions() const override { return positions; }
  std::uint32_t VocabularySize() const override { return 257; }
  Status InitFromSeed(std::uint64_t) override { return Ok(); }
  Status InitAdapter(std::uint64_t) override { return Ok(); }
  Result<train::TrainResult> Train(train::BatchSource&, const train::TrainOptions&, const train::ProgressFn&, std::stop_token) override {
    return train::TrainResult();
  }
  Result<train::EvalResult> Evaluate(train::BatchSource&, std::uint32_t, const train::ProgressFn&, std::stop_token) override {
    return train::EvalResult();
  }
  Result<std::vector<float>> Logits(const train::Batch&) override { return std::vector<float>(); }
  Result<std::vector<RowScore>> Score(const train::Batch& batch, std::uint32_t) override {
    scored.push_back(batch);
    std::vector<RowScore> rows(batch.rows);
    for (std::uint32_t row = 0; row < batch.rows; ++row) rows[row].log_probability = scores.at(batch.targets[(row + 1) * batch.columns - 1]);
    return rows;
  }
  Status Generate(const std::vector<std::int32_t>& ids, const train::GenerateOptions& options,
                  const std::function<bool(std::int32_t)>& emit) override {
    prompt = ids;
    generated = options;
    for (std::uint32_t i = 0; i < options.max_tokens && i < writes.size(); ++i) {
      if (!emit(static_cast<unsigned char>(writes[i]))) break;
    }
    return Ok();
  }

 private:
  std::vector<tensor::TensorSpec> none_;
};

class AnswerTest : public testing::Test {
 protected:
  AnswerTest() {
    for (int i = 0; i < 3; ++i) subject_.examples.push_back({"An example?", {"1", "2", "3", "4"}, 0});
  }
  Result<Answer> AskIt(const std::function<bool()>& stop = [] { return false; }) {
    return Ask(model_, *tokenizer_, subject_, question_, options_, stop);
  }
  // What the model read in front of the answer, as text.
  std::string Read() const { return tokenizer_->Decode(model_.prompt); }

  FixedModel model_;
  std::unique_ptr<text::Tokenizer> tokenizer_ = text::MakeByteTokenizer();
  Subject subject_{"anatomy", Category::kStem, true, {}, {}};
  Question question_{"Which?", {"a", "b", "c", "d"}, 1};
  AnswerOptions options_{.style = PromptStyle::kHarness, .shots = 3, .likelihood = true, .letter = true, .threads = 1};
};

TEST_F(AnswerTest, TheLikeliestAndTheLetterWritten) {
  const auto answer = AskIt();
  ASSERT_TRUE(answer.ok()) << answer.error().message();
  EXPECT_THAT(answer->log_probabilities, ElementsAre(-4, -1, -2, -3));
  EXPECT_EQ(answer->likeliest, 1u);
  EXPECT_EQ(answer->text, " D");
  EXPECT_EQ(answer->letter, 3u);
  EXPECT_EQ(answer->shots, 3u);
  EXPECT_FALSE(answer->cut);
  const std::string prompt = MakePrompt(PromptStyle::kHarness, subject_, 3, question_);
  EXPECT_EQ(Read(), prompt);
  EXPECT_EQ(answer->tokens, prompt.size());
  EXPECT_TRUE(model_.generated.greedy);
  EXPECT_EQ(model_.generated.max_tokens, 2u) << "as many as ' A' has";
  // One batch of four rows: the whole text but its last byte, of which only the answer counts.
  ASSERT_EQ(model_.scored.size(), 1u);
  const train::Batch& batch = model_.scored[0];
  EXPECT_EQ(batch.rows, 4u);
  EXPECT_EQ(batch.columns, prompt.size() + 1);
  EXPECT_EQ(tokenizer_->Decode(std::span(batch.tokens).first(batch.columns)), prompt + " ");
  EXPECT_EQ(batch.targets[batch.columns - 3], train::kIgnore);
  EXPECT_EQ(batch.targets[batch.columns - 2], ' ');
  EXPECT_EQ(batch.targets[batch.columns - 1], 'A');
}

TEST_F(AnswerTest, TheFirstOfEquallyLikely) {
  model_.scores = {{'A', -2}, {'B', -1}, {'C', -1}, {'D', -1}};
  EXPECT_EQ(AskIt()->likeliest, 1u);
}

TEST_F(AnswerTest, OneMethodAloneCostsOnePass) {
  options_.letter = false;
  ASSERT_TRUE(AskIt().ok());
  EXPECT_TRUE(model_.prompt.empty());
  options_.letter = true;
  options_.likelihood = false;
  model_.scored.clear();
  ASSERT_TRUE(AskIt().ok());
  EXPECT_TRUE(model_.scored.empty());
}

TEST_F(AnswerTest, ExamplesThatDoNotFitAreDroppedOneAtATime) {
  const std::size_t two = MakePrompt(PromptStyle::kHarness, subject_, 2, question_).size();
  model_.positions = static_cast<std::uint32_t>(two + 1);
  EXPECT_EQ(AskIt()->shots, 2u);
  EXPECT_EQ(Read(), MakePrompt(PromptStyle::kHarness, subject_, 2, question_));
  model_.positions = static_cast<std::uint32_t>(two);
  EXPECT_EQ(AskIt()->shots, 1u);
}

TEST_F(AnswerTest, AQuestionThatDoesNotFitAloneLosesItsBeginning) {
  model_.positions = 30;
  const auto answer = AskIt();
  ASSERT_TRUE(answer.ok()) << answer.error().message();
  EXPECT_TRUE(answer->cut);
  EXPECT_EQ(answer->shots, 0u);
  const std::string alone = MakePrompt(PromptStyle::kHarness, subject_, 0, question_);
  EXPECT_EQ(Read(), alone.substr(alone.size() - 29));
  EXPECT_EQ(model_.scored.back().columns, 30u);
  EXPECT_EQ(answer->tokens, alone.size());
}

TEST_F(AnswerTest, FlowerTunesPromptAndOneToken) {
  options_.style = PromptStyle::kFlowerTune;
  options_.shots = 0;
  model_.writes = "b) because";
  const auto answer = AskIt();
  ASSERT_TRUE(answer.ok()) << answer.error().message();
  EXPECT_EQ(answer->text, "b");
  EXPECT_EQ(answer->letter, 1u);
  EXPECT_EQ(Read(), MakePrompt(PromptStyle::kFlowerTune, subject_, 0, question_));
}

TEST_F(AnswerTest, LikelihoodsThatAreNoNumbers) {
  model_.scores['C'] = std::numeric_limits<double>::quiet_NaN();
  EXPECT_THAT(AskIt().error().message(), HasSubstr("the model gives the answers the likelihood nan"));
}

TEST_F(AnswerTest, AModelWithoutRoomForAnAnswer) {
  model_.positions = 1;
  EXPECT_THAT(AskIt().error().message(), HasSubstr("a model of 1 positions cannot be asked: an answer has 2 tokens"));
}

TEST_F(AnswerTest, StopsBetweenPasses) {
  EXPECT_EQ(AskIt([] { return true; }).error().code(), Code::kCancelled);
  EXPECT_TRUE(model_.scored.empty());
  int asked = 0;
  EXPECT_EQ(AskIt([&] { return ++asked > 1; }).error().code(), Code::kCancelled);
  EXPECT_EQ(model_.scored.size(), 1u);
  EXPECT_TRUE(model_.prompt.empty());
}

TEST(LetterOf, TheFirstLetterOrDigit) {
  EXPECT_EQ(LetterOf(" A"), 0u);
  EXPECT_EQ(LetterOf("\n(b"), 1u);
  EXPECT_EQ(LetterOf("**C**"), 2u);
  EXPECT_EQ(LetterOf("\xe2\x80\x9c" "D"), 3u);
  EXPECT_EQ(LetterOf("E"), std::nullopt);
  EXPECT_EQ(LetterOf("1 A"), std::nullopt);
  EXPECT_EQ(LetterOf("The answer is A"), std::nullopt);
  EXPECT_EQ(LetterOf(""), std::nullopt);
  EXPECT_EQ(LetterOf(" ?!\xff"), std::nullopt);
}

}  // namespace
}  // namespace tributary::evaluation
