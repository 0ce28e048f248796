// Reviews as the Large Movie Review Dataset lays them out: {train,test}/{pos,neg}/ID_RATING.txt, a
// document a file. train/unsup, which has no labels, is left out.
#include <algorithm>
#include <charconv>
#include <filesystem>
#include <optional>
#include <span>
#include <tuple>

#include "file_reader.h"
#include "sources.h"
#include "tributary/digest/digest.h"
#include "tributary/text/utf8.h"

namespace tributary::corpus {
namespace fs = std::filesystem;
namespace {

constexpr std::size_t kMaxReviews = 1u << 24;
constexpr const char* kLabels[] = {"neg", "pos"};  // by label

// A file, by the numbers of its name: eight bytes where a path would be a hundred.
struct Review {
  std::uint32_t id = 0;
  std::uint16_t rating = 0;
  std::uint16_t label = 0;
  auto operator<=>(const Review&) const = default;
};
static_assert(sizeof(Review) == 8);

std::string FileName(const Review& review) {
  return fmt::format("{}_{}.txt", review.id, review.rating);
}

std::optional<Review> ParseName(const std::string& name, std::uint16_t label) {
  Review review;
  review.label = label;
  const char* const end = name.data() + name.size();
  const auto id = std::from_chars(name.data(), end, review.id);
  if (id.ec != std::errc() || id.ptr == end || *id.ptr != '_') return std::nullopt;
  const auto rating = std::from_chars(id.ptr + 1, end, review.rating);
  if (rating.ec != std::errc()) return std::nullopt;
  // Only names that the numbers give back: no leading zeros, nothing behind.
  if (FileName(review) != name) return std::nullopt;
  return review;
}

Status ListReviews(const std::string& directory, std::uint16_t label,
                   std::vector<Review>& reviews) {
  std::error_code ec;
  if (!fs::is_directory(directory, ec)) return Ok();
  for (fs::directory_iterator it(directory, ec), end; !ec && it != end; it.increment(ec)) {
    const auto review = ParseName(it->path().filename().string(), label);
    std::error_code entry_ec;
    if (!review || !it->is_regular_file(entry_ec)) continue;
    if (reviews.size() >= kMaxReviews) {
      return MakeError(Code::kInvalidArgument, "{}: more than {} reviews; use format jsonl",
                       directory, kMaxReviews);
    }
    reviews.push_back(*review);
  }
  if (ec) return ErrnoError(ec.value(), "listing " + directory);
  return Ok();
}

class ImdbSource final : public DocumentSource {
 public:
  ImdbSource(const CorpusOptions& options, std::string root, std::vector<Review> train,
             std::vector<Review> test)
      : options_(options),
        root_(std::move(root)),
        train_(std::move(train)),
        test_(std::move(test)) {}

  bool pairs() const override { return false; }

  std::string Fingerprint() const override {
    digest::Sha256Stream stream;
    for (const bool test : {false, true}) {
      for (const Review& review : test ? test_ : train_) {
        const auto file = DescribeFile(PathOf(test, review));
        const std::string line =
            file.ok() ? fmt::format("{}\n{} {}\n", file->path, file->bytes, file->modified_ns)
                      : file.error().message();
        stream.Update(std::as_bytes(std::span(line)));
      }
    }
    return digest::Hex(stream.Finish());
  }

  Status Deliver(DocumentSink& sink) const override {
    TRIBUTARY_ASSIGN(const std::uint64_t trained, DeliverSplit(false, sink));
    if (trained == 0) return EmptyPartition(options_, "review to train on", train_.size());
    return DeliverSplit(true, sink).status();
  }

 private:
  std::string PathOf(bool test, const Review& review) const {
    return fmt::format("{}/{}/{}/{}", root_, test ? "test" : "train", kLabels[review.label],
                       FileName(review));
  }

  // Gives the number of training documents.
  Result<std::uint64_t> DeliverSplit(bool test, DocumentSink& sink) const {
    const std::vector<Review>& reviews = test ? test_ : train_;
    Population population;
    population.items = reviews.size();
    population.per_label.resize(std::size(kLabels));
    for (const Review& review : reviews) ++population.per_label[review.label];
    population.held_out = test;
    CorpusOptions options = options_;
    // Where test/ is there, all of train/ trains.
    if (!test && !test_.empty()) options.validation_fraction = 0;
    Dealer dealer(options, std::move(population));
    std::uint64_t trained = 0;
    for (const Review& review : reviews) {
      const auto part = dealer.Next(0, review.label);
      if (!part || (*part == Part::kValidation && !options_.with_validation)) continue;
      trained += *part == Part::kTraining ? 1 : 0;
      TRIBUTARY_ASSIGN(const std::string text,
                       ReadSmallFile(PathOf(test, review), kMaxDocumentBytes));
      TRIBUTARY_TRY(sink.Add(*part, text::ReplaceInvalidUtf8(text)));
      TRIBUTARY_TRY(sink.End(*part));
    }
    return trained;
  }

  CorpusOptions options_;
  std::string root_;
  std::vector<Review> train_;
  std::vector<Review> test_;
};

}  // namespace

Result<std::string> FindImdb(const CorpusOptions& options) {
  std::error_code ec;
  for (const std::string& root : {options.path, options.path + "/aclImdb"}) {
    if (fs::is_directory(root + "/train/pos", ec) && fs::is_directory(root + "/train/neg", ec)) {
      return root;
    }
  }
  return MakeError(
      Code::kNotFound,
      "data '{}': {} has no train/pos and train/neg, where format imdb has its reviews "
      "(ID_RATING.txt); give another --data {}=PATH",
      options.name, options.path.empty() ? "no path is given: it" : options.path, options.name);
}

Result<std::unique_ptr<DocumentSource>> OpenImdb(const CorpusOptions& options) {
  TRIBUTARY_ASSIGN(const std::string root, FindImdb(options));
  std::vector<Review> reviews[2];
  for (const bool test : {false, true}) {
    for (std::uint16_t label = 0; label < std::size(kLabels); ++label) {
      TRIBUTARY_TRY(
          ListReviews(fmt::format("{}/{}/{}", root, test ? "test" : "train", kLabels[label]), label,
                      reviews[test ? 1 : 0]));
    }
    std::vector<Review>& list = reviews[test ? 1 : 0];
    std::sort(list.begin(), list.end(), [](const Review& a, const Review& b) {
      return std::tie(a.label, a.id, a.rating) < std::tie(b.label, b.id, b.rating);
    });
    list.shrink_to_fit();
  }
  if (reviews[0].empty()) {
    return MakeError(Code::kNotFound,
                     "data '{}': no review ID_RATING.txt lies in {}/train/pos or neg; give another "
                     "--data {}=PATH",
                     options.name, root, options.name);
  }
  return std::unique_ptr<DocumentSource>(
      std::make_unique<ImdbSource>(options, root, std::move(reviews[0]), std::move(reviews[1])));
}

}  // namespace tributary::corpus
