#include "tributary/job/needs.h"

#include <algorithm>

namespace tributary::job {
namespace {

constexpr std::uint64_t kPublishedVocabulary = 50257;
constexpr std::uint64_t kByteVocabulary = 257;  // and the end of a text
constexpr std::uint64_t kMiB = 1u << 20;
constexpr std::uint64_t kResnetBytes = 47 * kMiB;  // 11.7 million parameters with 1,000 classes, and statistics

std::uint64_t Vocabulary(const Model& model) {
  if (model.vocabulary != 0) return model.vocabulary;
  return model.tokenizer.empty() && model.tokenizer_object.empty() ? kByteVocabulary : kPublishedVocabulary;
}

struct Message {
  std::uint64_t bytes = 0;
  std::uint64_t sums = 0;  // of a mean over it: fp32
};

Result<Message> LargestMessage(const Job& job) {
  const tensor::Cut cut = job.transfer.cut();
  if (job.synthetic()) {
    TRIBUTARY_ASSIGN(const auto layout, SyntheticLayout(job.model.synthetic, job.transfer.chunk_bytes, cut));
    const std::uint64_t bytes = tensor::LargestSlotBytes(layout);
    return Message{bytes, bytes / tensor::ElementBytes(job.model.synthetic.dtype) * sizeof(float)};
  }
  if (job.model.family != "gpt2" || job.adapted()) {
    return MakeError(Code::kInvalidArgument, "how long its longest message is, is known of family gpt2 without adapter alone");
  }
  const std::uint64_t hidden = job.model.hidden;
  const std::uint64_t largest = hidden * std::max({Vocabulary(job.model), std::uint64_t{job.model.positions}, 4 * hidden}) * sizeof(float);
  const std::uint64_t bytes = cut == tensor::Cut::kTensors ? largest : ModelBytes(job);
  if (bytes > tensor::kMaxMessageBytes) {
    return MakeError(Code::kInvalidArgument, "a message of it would have {}, and has at most {}", FormatBytes(bytes),
                     FormatBytes(tensor::kMaxMessageBytes));
  }
  return Message{bytes, bytes};
}

}  // namespace

std::uint64_t ModelBytes(const Job& job) {
  if (job.synthetic()) return job.model.synthetic.bytes;
  if (job.model.family == "resnet18") return kResnetBytes;
  if (job.model.family != "gpt2") return 0;
  // GPT-2: embeddings, then for each layer 12·h² weights and 13·h of biases and norms; fp32.
  const std::uint64_t hidden = job.model.hidden;
  const std::uint64_t parameters = (Vocabulary(job.model) + job.model.positions) * hidden +
                                   job.model.layers * (12 * hidden * hidden + 13 * hidden) + 2 * hidden;
  return parameters * sizeof(float);
}

bool HasBaseOfSeed(const Job& job) {
  const Model& model = job.model;
  return job.adapted() && !job.synthetic() && !model.family.empty() && model.source.empty() && model.object.empty() && model.script.empty();
}

Result<Needs> NeedsOf(const Job& job) {
  // A chunk under way needs its room on both sides of a pool, an aggregation one chunk of every participant.
  if (job.transfer.cut() == tensor::Cut::kChunks) return Needs{tensor::kMaxChunkBytes, 4 * job.transfer.chunk_bytes};
  TRIBUTARY_ASSIGN(const Message message, LargestMessage(job));
  // Both halves of the budget hold the largest message; the aggregator's writing half its sums. The rest is for headers.
  const std::uint64_t half = std::max(message.bytes, message.sums);
  return Needs{std::max(message.bytes, tensor::kMaxChunkBytes + kMiB), (2 * half + kMiB - 1) / kMiB * kMiB + kMiB};
}

Status CheckBudget(const Job& job, std::uint64_t budget, const char* flag) {
  TRIBUTARY_ASSIGN(const Needs needs, NeedsOf(job));
  if (budget >= needs.memory_budget) return Ok();
  if (job.transfer.cut() == tensor::Cut::kChunks) {
    return MakeError(Code::kInvalidArgument, "{} {} is too small for chunks of {}: at least {}", flag, FormatBytes(budget),
                     FormatBytes(job.transfer.chunk_bytes), FormatBytes(needs.memory_budget));
  }
  return MakeError(Code::kInvalidArgument,
                   "{} {} is too small for transfer.mode {}, whose largest message has {}: each half of the budget must hold one; set {} to "
                   "at least {}MiB, or use transfer.mode stream",
                   flag, FormatBytes(budget), job.transfer.mode, FormatBytes(needs.max_message), flag, needs.memory_budget / kMiB);
}

}  // namespace tributary::job
