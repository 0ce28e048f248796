// Images with labels: CIFAR-10's binary batches, and made-up ones of the same form.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "samples.h"
#include "tributary/corpus/files.h"

namespace tributary::corpus {

constexpr std::uint32_t kChannels = 3;
constexpr std::uint32_t kSide = 32;
constexpr std::uint32_t kClasses = 10;
constexpr std::size_t kPixels = std::size_t{kChannels} * kSide * kSide;
constexpr std::size_t kRecordBytes = 1 + kPixels;  // a label, then the planes red, green, blue

// Images by number, as records of CIFAR-10. Immutable; any thread.
class ImageStore {
 public:
  virtual ~ImageStore() = default;
  virtual std::uint64_t size() const = 0;
  // Where they lie, in their order; empty where they are made up.
  virtual std::vector<DataFile> files() const = 0;
  virtual Result<std::uint8_t> Label(std::uint64_t number) const = 0;
  virtual Status Read(std::uint64_t number, std::span<std::uint8_t, kRecordBytes> record) const = 0;
};

Result<std::shared_ptr<const ImageStore>> OpenCifar(const CorpusOptions& options,
                                                    std::vector<DataFile> files);
std::shared_ptr<const ImageStore> MakeSyntheticImages(std::uint64_t images, std::uint64_t seed);

struct CifarFiles {
  std::vector<DataFile> train;
  std::vector<DataFile> test;  // test_batch.bin
};
Result<CifarFiles> ListCifar(const CorpusOptions& options, std::size_t at_most = SIZE_MAX);

struct ImageSamples {
  std::shared_ptr<const Samples> training;
  std::shared_ptr<const Samples> validation;
};
Result<ImageSamples> OpenImageSamples(const CorpusOptions& options);

// The pixels of a record, in [0, 1], less CIFAR-10's mean and over its standard deviation.
// `augment_seed` where not 0: padded by 4 black pixels, cut at random to the same size, and
// mirrored half of the time.
void Normalize(std::span<const std::uint8_t, kRecordBytes> record, std::uint64_t augment_seed,
               std::span<float, kPixels> pixels);

}  // namespace tributary::corpus
