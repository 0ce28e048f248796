#include "services/trainer/opened_model.h"

#include <filesystem>
#include <optional>

#include "services/trainer/weights.h"

namespace tributary::trainer {
namespace {

Result<std::unique_ptr<text::Tokenizer>> TokenizerOf(const std::string& directory, std::uint32_t vocabulary) {
  bool own = false;
  for (const char* file : {"tokenizer.json", "vocab.json", "encoder.json"}) {
    own = own || std::filesystem::exists(directory + "/" + file);
  }
  TRIBUTARY_ASSIGN(auto tokenizer, text::OpenTokenizer(own ? directory : std::string()));
  // A tokenizer of its own may have more: an added '[PAD]' without a row of the embedding is common. Such an id is refused where it comes up.
  if (!own && tokenizer->VocabularySize() != vocabulary) {
    return MakeError(Code::kInvalidArgument, "{}: the model has {} tokens, and without tokenizer files there are bytes, which are {}", directory, vocabulary,
                     tokenizer->VocabularySize());
  }
  return tokenizer;
}

}  // namespace

Result<OpenedModel> OpenModel(const std::string& directory, const std::string& base, const train::ModelSpec& wishes, const LoadModule& load) {
  std::optional<modeldir::AdapterDirectory> adapter;
  std::string place = directory;
  if (modeldir::IsAdapterDirectory(directory)) {
    TRIBUTARY_ASSIGN(adapter, modeldir::OpenAdapterDirectory(directory));
    TRIBUTARY_ASSIGN(place, BaseOf(*adapter, base));
  } else if (wishes.quantization != train::Quantization::kNone) {
    return MakeError(Code::kInvalidArgument, "{} has no adapters, and a base in 4 bits is for adapters; leave --quantization away", directory);
  }
  auto model_directory = modeldir::OpenModelDirectory(place);
  if (!model_directory.ok()) {
    return adapter ? model_directory.error().Wrap("the base of " + directory + "; --base DIR says where it lies") : model_directory.error();
  }
  TRIBUTARY_ASSIGN(train::Module* const module, load());
  OpenedModel opened;
  TRIBUTARY_ASSIGN(opened.model, adapter ? LoadAdapterDirectory(*adapter, *model_directory, *module, wishes)
                                         : LoadModelDirectory(*model_directory, *module, wishes));
  if (opened.model->MaxPositions() == 0) return MakeError(Code::kInvalidArgument, "{}: the model classifies images; this is for language models", place);
  TRIBUTARY_ASSIGN(opened.tokenizer, TokenizerOf(place, opened.model->VocabularySize()));
  return opened;
}

}  // namespace tributary::trainer
