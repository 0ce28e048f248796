#include "images.h"

#include <array>

#include "partition.h"
#include "sources.h"
#include "tributary/base/random.h"

namespace tributary::corpus {
namespace {

constexpr std::uint64_t kMaxImages = 1ull << 28;  // 800 GB of CIFAR-10's records; a list of 1 GiB
constexpr std::uint32_t kPadding = 4;
// Of the training images, in [0, 1], by channel.
constexpr std::array<float, kChannels> kMean = {0.4914f, 0.4822f, 0.4465f};
constexpr std::array<float, kChannels> kDeviation = {0.2470f, 0.2435f, 0.2616f};

class Images final : public Samples {
 public:
  Images(std::shared_ptr<const ImageStore> store, std::vector<std::uint32_t> numbers, bool augment)
      : store_(std::move(store)), numbers_(std::move(numbers)), augment_(augment) {
    numbers_.shrink_to_fit();
  }

  std::uint64_t size() const override { return numbers_.size(); }
  std::uint64_t tokens() const override { return 0; }

  Status Fill(std::span<const std::uint64_t> samples, std::uint64_t epoch_seed, bool training,
              train::Batch& batch) const override {
    batch.rows = static_cast<std::uint32_t>(samples.size());
    batch.channels = kChannels;
    batch.height = kSide;
    batch.width = kSide;
    batch.pixels.resize(samples.size() * kPixels);
    std::array<std::uint8_t, kRecordBytes> record;
    for (std::size_t row = 0; row < samples.size(); ++row) {
      const std::uint32_t number = numbers_[samples[row]];
      TRIBUTARY_TRY(store_->Read(number, record));
      batch.targets.push_back(record[0]);
      // Never 0, which stands for none.
      const std::uint64_t seed = augment_ && training ? MixSeed(epoch_seed, number) | 1 : 0;
      Normalize(record, seed, std::span(batch.pixels).subspan(row * kPixels).first<kPixels>());
    }
    return Ok();
  }

 private:
  std::shared_ptr<const ImageStore> store_;
  std::vector<std::uint32_t> numbers_;
  bool augment_;
};

using Numbers = std::array<std::vector<std::uint32_t>, 2>;  // by part

// Which of the store's images are this partition's.
Result<Numbers> DealImages(const CorpusOptions& options, const ImageStore& store, bool held_out) {
  if (store.size() > kMaxImages) {
    return MakeError(Code::kInvalidArgument, "data '{}': {} images, more than {}", options.name,
                     store.size(), kMaxImages);
  }
  const bool by_label = options.scheme == PartitionScheme::kDirichlet;
  const std::vector<DataFile> files = store.files();
  std::vector<std::uint8_t> labels;
  Population population;
  population.items = store.size();
  population.held_out = held_out;
  population.per_label.resize(kClasses);
  // All labels, whatever the scheme: a wrong one is told before the first step.
  for (std::uint64_t i = 0; i < store.size(); ++i) {
    TRIBUTARY_ASSIGN(const std::uint8_t label, store.Label(i));
    if (by_label) labels.push_back(label);
    ++population.per_label[label];
  }
  for (const DataFile& file : files) population.per_file.push_back(file.bytes / kRecordBytes);
  CorpusOptions dealt = options;
  if (options.scheme == PartitionScheme::kByFile) {
    population.owner = DealFiles(files, options.partitions, options.seed);
    // One test batch is everybody's: there is no file of it for each.
    if (held_out) dealt.scheme = PartitionScheme::kIid;
  }
  const std::vector<std::uint64_t> per_file = population.per_file;
  Dealer dealer(dealt, std::move(population));
  Numbers numbers;
  std::uint32_t file = 0;
  std::uint64_t in_file = 0;
  for (std::uint64_t i = 0; i < store.size(); ++i) {
    for (; file < per_file.size() && in_file == per_file[file]; in_file = 0) ++file;
    ++in_file;
    const auto part = dealer.Next(file, by_label ? labels[i] : 0);
    if (part) numbers[static_cast<std::size_t>(*part)].push_back(static_cast<std::uint32_t>(i));
  }
  return numbers;
}

}  // namespace

Result<ImageSamples> OpenImageSamples(const CorpusOptions& options) {
  std::shared_ptr<const ImageStore> store;
  std::shared_ptr<const ImageStore> test;
  if (options.format == "synthetic") {
    if (options.samples == 0) {
      return MakeError(Code::kInvalidArgument,
                       "data '{}': format synthetic needs data.samples, the number of images",
                       options.name);
    }
    store = MakeSyntheticImages(options.samples, options.seed);
  } else {
    TRIBUTARY_ASSIGN(auto files, ListCifar(options));
    TRIBUTARY_ASSIGN(store, OpenCifar(options, std::move(files.train)));
    if (!files.test.empty()) {
      TRIBUTARY_ASSIGN(test, OpenCifar(options, std::move(files.test)));
    }
  }
  CorpusOptions trained = options;
  if (test != nullptr) trained.validation_fraction = 0;
  TRIBUTARY_ASSIGN(Numbers numbers, DealImages(trained, *store, /*held_out=*/false));
  if (numbers[0].empty()) return EmptyPartition(options, "image to train on", store->size());
  ImageSamples samples;
  samples.training = std::make_shared<Images>(store, std::move(numbers[0]), options.augment);
  if (test != nullptr) {
    TRIBUTARY_ASSIGN(numbers, DealImages(options, *test, /*held_out=*/true));
  }
  samples.validation =
      std::make_shared<Images>(test != nullptr ? test : store, std::move(numbers[1]), false);
  return samples;
}

void Normalize(std::span<const std::uint8_t, kRecordBytes> record, std::uint64_t augment_seed,
               std::span<float, kPixels> pixels) {
  SplitMix64 random(augment_seed);
  const bool augment = augment_seed != 0;
  // The corner of the cut, in the padded image.
  const auto top = static_cast<int>(augment ? random.NextBelow(2 * kPadding + 1) : kPadding);
  const auto left = static_cast<int>(augment ? random.NextBelow(2 * kPadding + 1) : kPadding);
  const bool mirror = augment && random.NextBelow(2) == 1;
  constexpr int kEnd = kSide;
  std::size_t out = 0;
  for (std::uint32_t channel = 0; channel < kChannels; ++channel) {
    const std::uint8_t* const plane = record.data() + 1 + channel * kSide * kSide;
    for (int y = 0; y < kEnd; ++y) {
      const int from_y = y + top - static_cast<int>(kPadding);
      for (int x = 0; x < kEnd; ++x) {
        const int from_x = (mirror ? kEnd - 1 - x : x) + left - static_cast<int>(kPadding);
        const bool inside = from_y >= 0 && from_y < kEnd && from_x >= 0 && from_x < kEnd;
        const float value =
            inside ? static_cast<float>(plane[from_y * kEnd + from_x]) / 255.0f : 0.0f;
        pixels[out++] = (value - kMean[channel]) / kDeviation[channel];
      }
    }
  }
}

}  // namespace tributary::corpus
