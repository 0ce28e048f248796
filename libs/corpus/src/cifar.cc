// CIFAR-10's binary batches: records of 3073 bytes one after another, read one by one where they
// lie.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>

#include "images.h"
#include "token_file.h"
#include "tributary/base/random.h"

namespace tributary::corpus {
namespace {

constexpr std::string_view kTestFile = "test_batch.bin";

class CifarStore final : public ImageStore {
 public:
  Status Open(const CorpusOptions& options, std::vector<DataFile> files) {
    for (const DataFile& file : files) {
      if (file.bytes % kRecordBytes != 0) {
        return MakeError(
            Code::kInvalidArgument,
            "data '{}': {}: {} bytes are no whole number of records of {} (a label and "
            "3 x 32 x 32 bytes); is it a complete binary batch of CIFAR-10?",
            options.name, file.path, file.bytes, kRecordBytes);
      }
      const int descriptor = open(file.path.c_str(), O_RDONLY | O_CLOEXEC);
      if (descriptor < 0) return ErrnoError(errno, file.path);
      descriptors_.emplace_back(descriptor);
      size_ += file.bytes / kRecordBytes;
      ends_.push_back(size_);
    }
    files_ = std::move(files);
    return Ok();
  }

  std::uint64_t size() const override { return size_; }
  std::vector<DataFile> files() const override { return files_; }

  Result<std::uint8_t> Label(std::uint64_t number) const override {
    std::uint8_t label = 0;
    TRIBUTARY_TRY(ReadFirst(number, std::span(&label, 1)));
    return label;
  }

  Status Read(std::uint64_t number, std::span<std::uint8_t, kRecordBytes> record) const override {
    return ReadFirst(number, record);
  }

 private:
  // The record's first bytes, of which one is its label.
  Status ReadFirst(std::uint64_t number, std::span<std::uint8_t> out) const {
    const auto file = static_cast<std::size_t>(
        std::upper_bound(ends_.begin(), ends_.end(), number) - ends_.begin());
    const std::uint64_t place = number - (file == 0 ? 0 : ends_[file - 1]);
    std::size_t at = 0;
    while (at < out.size()) {
      const ssize_t got = pread(descriptors_[file].get(), out.data() + at, out.size() - at,
                                static_cast<off_t>(place * kRecordBytes + at));
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return ErrnoError(errno, "reading " + files_[file].path);
      if (got == 0) {
        return MakeError(Code::kIo, "{}: ends within record {}; is another program writing it?",
                         files_[file].path, place);
      }
      at += static_cast<std::size_t>(got);
    }
    if (out[0] >= kClasses) {
      return MakeError(Code::kInvalidArgument, "{}: record {} has label {}, expected 0 to {}",
                       files_[file].path, place, out[0], kClasses - 1);
    }
    return Ok();
  }

  std::vector<DataFile> files_;
  std::vector<Descriptor> descriptors_;
  std::vector<std::uint64_t> ends_;  // the number behind each file's last record
  std::uint64_t size_ = 0;
};

class SyntheticStore final : public ImageStore {
 public:
  SyntheticStore(std::uint64_t images, std::uint64_t seed) : images_(images), seed_(seed) {}
  std::uint64_t size() const override { return images_; }
  std::vector<DataFile> files() const override { return {}; }

  Result<std::uint8_t> Label(std::uint64_t number) const override {
    SplitMix64 random(MixSeed(seed_, number));
    return static_cast<std::uint8_t>(random.NextBelow(kClasses));
  }

  Status Read(std::uint64_t number, std::span<std::uint8_t, kRecordBytes> record) const override {
    SplitMix64 random(MixSeed(seed_, number));
    record[0] = static_cast<std::uint8_t>(random.NextBelow(kClasses));
    static_assert(kPixels % 8 == 0);
    for (std::size_t i = 1; i < kRecordBytes; i += 8) {
      const std::uint64_t bytes = random.Next();
      for (unsigned j = 0; j < 8; ++j) record[i + j] = static_cast<std::uint8_t>(bytes >> (8 * j));
    }
    return Ok();
  }

 private:
  std::uint64_t images_;
  std::uint64_t seed_;
};

}  // namespace

Result<CifarFiles> ListCifar(const CorpusOptions& options, std::size_t at_most) {
  std::error_code ec;
  const std::string inner = options.path + "/cifar-10-batches-bin";
  const FileKind kind{.what = "*.bin file", .extensions = {".bin"}, .text = false};
  TRIBUTARY_ASSIGN(auto files,
                   ListFiles(std::filesystem::is_directory(inner, ec) ? inner : options.path,
                             options.name, kind, at_most));
  CifarFiles sorted;
  for (DataFile& file : files) {
    const bool test = std::filesystem::path(file.path).filename() == kTestFile && files.size() > 1;
    (test ? sorted.test : sorted.train).push_back(std::move(file));
  }
  return sorted;
}

Result<std::shared_ptr<const ImageStore>> OpenCifar(const CorpusOptions& options,
                                                    std::vector<DataFile> files) {
  auto store = std::make_shared<CifarStore>();
  TRIBUTARY_TRY(store->Open(options, std::move(files)));
  return std::shared_ptr<const ImageStore>(std::move(store));
}

std::shared_ptr<const ImageStore> MakeSyntheticImages(std::uint64_t images, std::uint64_t seed) {
  return std::make_shared<SyntheticStore>(images, seed);
}

}  // namespace tributary::corpus
