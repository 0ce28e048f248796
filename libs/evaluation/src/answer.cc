#include "tributary/evaluation/answer.h"

#include <algorithm>
#include <cmath>
#include <vector>

namespace tributary::evaluation {
namespace {

// The prompt's tokens, and the whole with each answer behind it.
struct Encoded {
  std::vector<std::int32_t> prompt;
  std::array<std::vector<std::int32_t>, kChoices> whole;

  // What a model has to read: all but the last token.
  std::size_t Read() const {
    std::size_t most = 0;
    for (const auto& ids : whole) most = std::max(most, ids.size() - 1);
    return most;
  }
  std::size_t AnswerTokens() const { return Read() + 1 - prompt.size(); }
  void DropFront(std::size_t count) {
    const auto tokens = static_cast<std::ptrdiff_t>(count);
    prompt.erase(prompt.begin(), prompt.begin() + tokens);
    for (auto& ids : whole) ids.erase(ids.begin(), ids.begin() + tokens);
  }
};

// As lm-evaluation-harness has it: prompt and answer are encoded as one text, and the answer's tokens
// are those behind as many as the prompt alone has.
Result<Encoded> Encode(const text::Tokenizer& tokenizer, const std::string& prompt, PromptStyle style) {
  const text::EncodeOptions as_text{.add_special_tokens = true, .parse_special_tokens = true};
  Encoded encoded;
  TRIBUTARY_ASSIGN(encoded.prompt, tokenizer.Encode(prompt, as_text));
  for (std::size_t i = 0; i < kChoices; ++i) {
    TRIBUTARY_ASSIGN(encoded.whole[i], tokenizer.Encode(prompt + AnswerText(style, i), as_text));
    if (encoded.prompt.empty() || encoded.whole[i].size() <= encoded.prompt.size()) {
      return MakeError(Code::kInvalidArgument,
                       "the tokenizer has no tokens of its own for the answer '{}' behind a prompt",
                       AnswerText(style, i));
    }
  }
  return encoded;
}

Status Likelihoods(train::Model& model, const Encoded& encoded, std::uint32_t threads, Answer& answer) {
  const std::size_t length = encoded.whole[0].size();
  const bool alike = std::all_of(encoded.whole.begin(), encoded.whole.end(),
                                 [&](const auto& ids) { return ids.size() == length; });
  // Answers of one length are rows of one batch, which share what they have in common.
  for (std::size_t begin = 0; begin < kChoices;) {
    const std::size_t end = alike ? kChoices : begin + 1;
    train::Batch batch{.rows = static_cast<std::uint32_t>(end - begin),
                       .columns = static_cast<std::uint32_t>(encoded.whole[begin].size() - 1),
                       .tokens = {},
                       .targets = {}};
    for (std::size_t i = begin; i < end; ++i) {
      const auto& ids = encoded.whole[i];
      batch.tokens.insert(batch.tokens.end(), ids.begin(), ids.end() - 1);
      batch.targets.insert(batch.targets.end(), encoded.prompt.size() - 1, train::kIgnore);
      batch.targets.insert(batch.targets.end(), ids.begin() + static_cast<std::ptrdiff_t>(encoded.prompt.size()), ids.end());
    }
    TRIBUTARY_ASSIGN(const auto scores, model.Score(batch, threads));
    for (std::size_t i = begin; i < end; ++i) answer.log_probabilities[i] = scores[i - begin].log_probability;
    begin = end;
  }
  for (const double value : answer.log_probabilities) {
    if (!std::isfinite(value)) {
      return MakeError(Code::kInvalidArgument,
                       "the model gives the answers the likelihood {}; are its weights whole?", value);
    }
  }
  answer.likeliest = static_cast<std::size_t>(
      std::max_element(answer.log_probabilities.begin(), answer.log_probabilities.end()) -
      answer.log_probabilities.begin());
  return Ok();
}

Error Stopped() { return MakeError(Code::kCancelled, "stopped"); }

}  // namespace

std::optional<std::size_t> LetterOf(std::string_view text) {
  for (const char c : text) {
    const char lower = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    const bool digit = c >= '0' && c <= '9';
    if (!digit && (lower < 'a' || lower > 'z')) continue;
    if (lower >= 'a' && lower <= 'd') return static_cast<std::size_t>(lower - 'a');
    return std::nullopt;
  }
  return std::nullopt;
}

Result<Answer> Ask(train::Model& model, const text::Tokenizer& tokenizer, const Subject& subject,
                   const Question& question, const AnswerOptions& options,
                   const std::function<bool()>& stop) {
  const std::size_t positions = model.MaxPositions();
  Answer answer;
  answer.shots = static_cast<std::uint32_t>(std::min<std::size_t>(options.shots, subject.examples.size()));
  Encoded encoded;
  for (;; --answer.shots) {
    if (stop()) return Stopped();
    const std::string prompt = MakePrompt(options.style, subject, answer.shots, question);
    TRIBUTARY_ASSIGN(encoded, Encode(tokenizer, prompt, options.style));
    if (encoded.Read() <= positions || answer.shots == 0) break;
  }
  answer.tokens = encoded.prompt.size();
  if (encoded.Read() > positions) {
    const std::size_t over = encoded.Read() - positions;
    if (over >= encoded.prompt.size()) {
      return MakeError(Code::kInvalidArgument, "a model of {} positions cannot be asked: an answer has {} tokens",
                       positions, encoded.AnswerTokens());
    }
    answer.cut = true;
    encoded.DropFront(over);
  }
  if (options.likelihood) {
    TRIBUTARY_TRY(Likelihoods(model, encoded, options.threads, answer));
    if (stop()) return Stopped();
  }
  if (!options.letter) return answer;
  train::GenerateOptions greedy{.max_tokens = static_cast<std::uint32_t>(encoded.AnswerTokens()), .greedy = true};
  greedy.stop_token = tokenizer.Eos() >= 0 ? tokenizer.Eos() : tokenizer.EndOfText();
  std::vector<std::int32_t> written;
  bool stopped = false;
  TRIBUTARY_TRY(model.Generate(encoded.prompt, greedy, [&](std::int32_t token) {
    written.push_back(token);
    return !(stopped = stop());
  }));
  if (stopped) return Stopped();
  answer.text = tokenizer.DecodeBytes(written, /*continues=*/true);
  answer.letter = LetterOf(answer.text);
  return answer;
}

}  // namespace tributary::evaluation
