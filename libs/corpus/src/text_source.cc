// Plain text: whole files by file, or their documents (split.h) dealt out.
#include <algorithm>
#include <functional>
#include <utility>
#include <vector>

#include "file_reader.h"
#include "pieces.h"
#include "sources.h"
#include "tributary/base/random.h"

namespace tributary::corpus {
namespace {

// Bytes [begin, end) of a file.
struct Section {
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
  bool empty() const { return begin == end; }
};

// Gives the section's bytes block by block; `take` says whether to go on.
template <class Take>
Status EachBlock(const DataFile& file, Section section, Take&& take) {
  TRIBUTARY_ASSIGN(auto reader, FileReader::Open(file));
  for (std::uint64_t at = 0; at < section.end;) {
    TRIBUTARY_ASSIGN(const std::string_view block, reader.Next());
    if (block.empty()) break;
    const std::uint64_t first = std::max(at, section.begin);
    const std::uint64_t last = std::min<std::uint64_t>(at + block.size(), section.end);
    if (first < last) {
      TRIBUTARY_ASSIGN(const bool more, take(block.substr(first - at, last - first)));
      if (!more) break;
    }
    at += block.size();
  }
  return Ok();
}

Result<bool> IsFortunes(const DataFile& file, Section section) {
  PieceFinder finder(PieceKind::kFortune);
  bool found = false;
  TRIBUTARY_TRY(EachBlock(file, section, [&](std::string_view block) -> Result<bool> {
    found = !finder.Feed(block, [](std::uint64_t) { return false; });
    return !found;
  }));
  return found;
}

// Where the validation part begins.
Result<std::uint64_t> FindCut(const DataFile& file, double validation_fraction) {
  if (validation_fraction <= 0) return file.bytes;
  const Section whole{0, file.bytes};
  TRIBUTARY_ASSIGN(const bool fortunes, IsFortunes(file, whole));
  const PieceKind kind = fortunes ? PieceKind::kFortune : PieceKind::kLine;
  CutFinder cut(kind, file.bytes, validation_fraction);
  PieceFinder pieces(kind);
  TRIBUTARY_TRY(EachBlock(file, whole, [&](std::string_view block) -> Result<bool> {
    return pieces.Feed(block, [&](std::uint64_t end) { return cut.Take(end); });
  }));
  return cut.cut();
}

// Hands on the bytes of a section's documents, each piece with the document's number; `end` behind
// the last piece of each.
Status EachDocument(const DataFile& file, Section section,
                    const std::function<Status(std::uint64_t, std::string_view)>& piece,
                    const std::function<Status(std::uint64_t)>& end) {
  if (section.empty()) return Ok();
  TRIBUTARY_ASSIGN(const bool fortunes, IsFortunes(file, section));
  PieceFinder finder(fortunes ? PieceKind::kFortune : PieceKind::kParagraph);
  std::uint64_t number = 0;
  std::uint64_t at = 0;  // of the block, in the section
  bool open = false;
  TRIBUTARY_TRY(EachBlock(file, section, [&](std::string_view block) -> Result<bool> {
    Status failed;
    std::uint64_t handed = at;
    const auto hand = [&](std::uint64_t to) {
      if (to > handed) {
        open = true;
        failed = piece(number, block.substr(handed - at, to - handed));
        handed = to;
      }
      return failed.ok();
    };
    finder.Feed(block, [&](std::uint64_t offset) {
      if (!hand(offset)) return false;
      failed = end(number++);
      open = false;
      return failed.ok();
    });
    if (!failed.ok() || !hand(at + block.size())) return failed.error();
    at += block.size();
    return true;
  }));
  return open ? end(number) : Ok();
}

Result<std::uint64_t> CountDocuments(const DataFile& file, Section section) {
  std::uint64_t documents = 0;
  TRIBUTARY_TRY(EachDocument(
      file, section, [](std::uint64_t, std::string_view) { return Ok(); },
      [&](std::uint64_t) {
        ++documents;
        return Ok();
      }));
  return documents;
}

class TextSource final : public DocumentSource {
 public:
  TextSource(const CorpusOptions& options, bool separate, std::vector<DataFile> files)
      : options_(options), separate_(separate), files_(std::move(files)) {}

  bool pairs() const override { return false; }
  std::string Fingerprint() const override { return FingerprintOf(files_); }

  Status Deliver(DocumentSink& sink) const override {
    const bool by_file = options_.scheme == PartitionScheme::kByFile;
    const auto owner = by_file ? DealFiles(files_, options_.partitions, options_.seed)
                               : std::vector<std::uint32_t>();
    bool any = false;
    for (std::size_t i = 0; i < files_.size(); ++i) {
      if (by_file && owner[i] != options_.partition) continue;
      any = true;
      TRIBUTARY_ASSIGN(const std::uint64_t cut, FindCut(files_[i], options_.validation_fraction));
      const bool deal = !by_file && options_.partitions > 1;
      TRIBUTARY_TRY(DeliverSection(files_[i], {0, cut}, Part::kTraining, deal,
                                   MixSeed(options_.seed, i, 0), sink));
      TRIBUTARY_TRY(DeliverSection(files_[i], {cut, files_[i].bytes}, Part::kValidation, deal,
                                   MixSeed(options_.seed, i, 1), sink));
    }
    return any ? Ok() : Status(EmptyPartition(options_, "text", files_.size()));
  }

 private:
  Status DeliverSection(const DataFile& file, Section section, Part part, bool deal,
                        std::uint64_t seed, DocumentSink& sink) const {
    if (section.empty()) return Ok();
    bool any = false;
    if (!deal && !separate_) {
      any = true;
      TRIBUTARY_TRY(EachBlock(file, section, [&](std::string_view block) -> Result<bool> {
        TRIBUTARY_TRY(sink.Add(part, block));
        return true;
      }));
    } else {
      Permutation order;
      if (deal) {
        TRIBUTARY_ASSIGN(const std::uint64_t documents, CountDocuments(file, section));
        order = Permutation(documents, seed);
      }
      const auto mine = [&](std::uint64_t number) {
        return !deal || order[number] % options_.partitions == options_.partition;
      };
      TRIBUTARY_TRY(EachDocument(
          file, section,
          [&](std::uint64_t number, std::string_view piece) {
            if (!mine(number)) return Ok();
            any = true;
            return sink.Add(part, piece);
          },
          [&](std::uint64_t number) { return separate_ && mine(number) ? sink.End(part) : Ok(); }));
    }
    return any && !separate_ ? sink.End(part) : Ok();
  }

  CorpusOptions options_;
  bool separate_;
  std::vector<DataFile> files_;
};

}  // namespace

std::string FingerprintOf(const std::vector<DataFile>& files) {
  std::string text;
  for (const DataFile& file : files) {
    text += fmt::format("{}\n{} {}\n", file.path, file.bytes, file.modified_ns);
  }
  return text;
}

Error EmptyPartition(const CorpusOptions& options, std::string_view what, std::uint64_t items) {
  const bool dirichlet = options.scheme == PartitionScheme::kDirichlet;
  return MakeError(Code::kInvalidArgument,
                   "data '{}': partition {} of {} gets no {} out of {} ({} in all); lower "
                   "partition.count{} or give more with --data {}=PATH",
                   options.name, options.partition, options.partitions, what, options.path, items,
                   dirichlet ? ", raise partition.alpha" : "", options.name);
}

Result<std::unique_ptr<DocumentSource>> OpenText(const CorpusOptions& options, bool separate) {
  TRIBUTARY_ASSIGN(auto files, ListTextFiles(options.path, options.name));
  return std::unique_ptr<DocumentSource>(
      std::make_unique<TextSource>(options, separate, std::move(files)));
}

}  // namespace tributary::corpus
