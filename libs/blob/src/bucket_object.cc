#include "bucket_object.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

namespace tributary::blob {
namespace {

constexpr std::string_view kFirstLine = "tributary object 1";
constexpr std::uint64_t kMaxPartBytes = 5ull << 30;  // S3 takes no more in one put
constexpr std::uint64_t kMaxBytes = 1ull << 60;

bool IsHex(std::string_view text, std::size_t size) {
  return text.size() == size && std::ranges::all_of(text, [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

Error BadHeader(const char* what) { return MakeError(Code::kDataLoss, "the header of a commit is damaged: {}", what); }

}  // namespace

std::string EncodeHeader(const BucketObject& o) {
  std::string text = fmt::format("{}\nid {}\ndigest {}\npart_bytes {}\ndata {}\nslots {}\npages {}\nspec {}\nroot {}\n", kFirstLine, o.id, o.digest,
                                 o.part_bytes, o.data, o.slots, o.pages, o.spec, o.root);
  text.resize(kCommitHeaderBytes - 1, ' ');
  return text + "\n";
}

Result<BucketObject> DecodeHeader(std::string_view text) {
  if (text.size() != kCommitHeaderBytes) return BadHeader("its size");
  BucketObject object;
  const std::array<std::pair<std::string_view, std::uint64_t*>, 6> numbers = {{{"part_bytes", &object.part_bytes},
                                                                               {"data", &object.data},
                                                                               {"slots", &object.slots},
                                                                               {"pages", &object.pages},
                                                                               {"spec", &object.spec},
                                                                               {"root", &object.root}}};
  const auto line = [&text] {
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::string_view one = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    return one;
  };
  // The value of the line that has this key.
  const auto value = [&line](std::string_view key) {
    const std::string_view one = line();
    return one.starts_with(key) && one.size() > key.size() && one[key.size()] == ' ' ? one.substr(key.size() + 1) : std::string_view();
  };
  if (line() != kFirstLine) return BadHeader("another format");
  object.id = value("id");
  object.digest = value("digest");
  if (!IsUploadId(object.id) || !IsHex(object.digest, 64)) return BadHeader("its id or digest");
  for (const auto& [key, number] : numbers) {
    const std::string_view digits = value(key);
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), *number);
    if (error != std::errc() || end != digits.data() + digits.size() || *number > kMaxBytes) return BadHeader("a size");
  }
  if (object.part_bytes == 0 || object.part_bytes > kMaxPartBytes) return BadHeader("the size of parts");
  return object;
}

bool IsUploadId(std::string_view text) { return IsHex(text, 16); }

std::string CommitsPrefix(const ObjectName& name) { return fmt::format("{}{}/-", kCommits, name.str()); }
std::string CommitKey(const UploadRef& upload) { return CommitsPrefix(upload.name) + upload.id; }
std::string PartsPrefix(const UploadRef& upload) { return fmt::format("{}{}/-{}/", kParts, upload.name.str(), upload.id); }
std::string PartKey(const UploadRef& upload, std::uint64_t part) { return fmt::format("{}data-{:06}", PartsPrefix(upload), part); }

namespace {

// "NAME/-ID"
std::optional<UploadRef> Parse(std::string_view text) {
  const std::size_t mark = text.find("/-");
  if (mark == std::string_view::npos || !IsUploadId(text.substr(mark + 2))) return std::nullopt;
  auto name = ObjectName::Parse(text.substr(0, mark));
  if (!name.ok()) return std::nullopt;
  return UploadRef{*std::move(name), std::string(text.substr(mark + 2))};
}

}  // namespace

std::optional<UploadRef> UploadOfCommit(std::string_view key) {
  if (!key.starts_with(kCommits)) return std::nullopt;
  return Parse(key.substr(kCommits.size()));
}

std::optional<UploadRef> UploadOfPart(std::string_view key) {
  const std::size_t last = key.rfind('/');
  if (!key.starts_with(kParts) || last < kParts.size()) return std::nullopt;
  return Parse(key.substr(kParts.size(), last - kParts.size()));
}

}  // namespace tributary::blob
