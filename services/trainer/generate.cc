#include "services/trainer/generate.h"

#include <unistd.h>

#include <charconv>
#include <cmath>
#include <memory>

#include "services/trainer/opened_model.h"
#include "tributary/config/options.h"
#include "tributary/text/tokenizer.h"
#include "tributary/text/utf8.h"

namespace tributary::trainer {
namespace {

// Whole characters only: a token may end inside one.
class Printer {
 public:
  // `continues`: text stands before what comes.
  Printer(const text::Tokenizer& tokenizer, bool continues, std::FILE* out) : tokenizer_(tokenizer), continues_(continues), out_(out) {}
  bool Emit(std::int32_t token) {
    pending_ += tokenizer_.DecodeBytes({&token, 1}, continues_);
    continues_ = continues_ || !tokenizer_.IsSpecial(token);
    const std::size_t whole = text::CompleteUtf8Prefix(pending_);
    const bool ok = Write(text::ReplaceInvalidUtf8(std::string_view(pending_).substr(0, whole)));
    pending_.erase(0, whole);
    return ok;
  }
  bool Write(const std::string& words) {
    return std::fwrite(words.data(), 1, words.size(), out_) == words.size() && std::fflush(out_) == 0;
  }
  bool Finish() { return Write(text::ReplaceInvalidUtf8(pending_) + "\n"); }

 private:
  const text::Tokenizer& tokenizer_;
  bool continues_;
  std::FILE* out_;
  std::string pending_;
};

Result<double> ParseTemperature(const std::string& value) {
  double number = 0;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
  if (error != std::errc() || end != value.data() + value.size() || !(number > 0 && number <= 100)) {
    return MakeError(Code::kInvalidArgument, "a number above 0 and at most 100");
  }
  return number;
}

}  // namespace

Status Generate(const GenerateSpec& spec, const LoadModule& load, std::FILE* out) {
  train::ModelSpec wishes;
  wishes.device = train::Device::kAuto;
  TRIBUTARY_ASSIGN(const OpenedModel opened, OpenModel(spec.directory, spec.base, wishes, load));
  const auto& [model, tokenizer] = opened;
  // The prompt is the user's own: what stands around texts is put around it, and <|im_start|> means itself.
  TRIBUTARY_ASSIGN(auto prompt, tokenizer->Encode(spec.prompt, {.add_special_tokens = true, .parse_special_tokens = true}));
  if (prompt.empty()) {
    if (tokenizer->EndOfText() < 0) return MakeError(Code::kInvalidArgument, "--prompt is empty, and this model cannot begin from nothing");
    prompt.push_back(tokenizer->EndOfText());
  }
  train::GenerateOptions options = spec.options;
  options.stop_token = tokenizer->Eos() >= 0 ? tokenizer->Eos() : tokenizer->EndOfText();
  Printer printer(*tokenizer, !spec.prompt.empty(), out);
  bool ok = printer.Write(spec.prompt);
  TRIBUTARY_TRY(model->Generate(prompt, options, [&](std::int32_t token) { return ok = ok && printer.Emit(token); }));
  ok = ok && printer.Finish();
  return ok ? Ok() : MakeError(Code::kIo, "the text could not be written: the reader went away");
}

int GenerateMain(int argc, char** argv) {
  config::Options options("tributary generate", "writes text with a trained model");
  options.Group("Generate");
  options.AddPositional("model-dir", "a directory with config.json and model.safetensors, or with PEFT's adapters");
  options.AddString("base", "", "where the base of an adapter lies (default: where its adapter_config.json says)");
  options.AddString("prompt", "", "the text to go on from");
  options.AddUint("max-tokens", 200, "tokens that are written at most", 1, 1'000'000);
  options.AddBool("greedy", false, "always the likeliest token; the same text each time");
  options.AddUint("seed", 1, "of the choice among tokens");
  options.AddString("temperature", "0.8", "below 1: likelier tokens more often; above 1: less often",
                    [](const std::string& value) { return ParseTemperature(value).status(); });
  options.AddUint("top-k", 40, "choose among this many likeliest tokens; 0: among all", 0, 1u << 20);
  if (const auto code = options.ParseOrExitCode(argc, argv, environ)) return *code;
  GenerateSpec spec;
  spec.directory = options.String("model-dir");
  spec.base = options.String("base");
  spec.prompt = options.String("prompt");
  spec.options.max_tokens = static_cast<std::uint32_t>(options.Uint("max-tokens"));
  spec.options.greedy = options.Flag("greedy");
  spec.options.seed = options.Uint("seed");
  spec.options.temperature = ParseTemperature(options.String("temperature")).value();
  spec.options.top_k = static_cast<std::uint32_t>(options.Uint("top-k"));
  const auto status = Generate(spec, [] { return train::LoadTrainModule(); }, stdout);
  if (status.ok()) return config::kExitDone;
  fmt::print(stderr, "tributary generate: {}\n", status.error().message());
  return config::kExitFailed;
}

}  // namespace tributary::trainer
