// What a bucket tells: the XML of its service's replies, its format, the keys in it and the headers of commits.
#include "libs/blob/src/bucket_object.h"
#include "libs/blob/src/format.h"
#include "libs/s3/src/xml.h"
#include "tests/fuzz/target.h"

namespace {

using namespace tributary;

blob::BucketObject Sample() {
  blob::BucketObject object;
  object.id = "0123456789abcdef";
  object.digest = std::string(64, 'a');
  object.part_bytes = 4096;
  object.data = 10'000;
  return object;
}

}  // namespace

std::vector<std::string> tributary::fuzz::Seeds() {
  return {"x<?xml version=\"1.0\"?><ListBucketResult><Name>b</Name><Contents><Key>a/&amp;b</Key><Size>1</Size></Contents></ListBucketResult>",
          "x<Error><Code>SlowDown</Code><Message>wait</Message><Empty/></Error>", "h" + blob::EncodeHeader(Sample()), "ksealed/a/b/-0123456789abcdef",
          "kparts/a/b/-0123456789abcdef/data-000001", "f" + blob::FormatText(blob::kBucketFormat, {}),
          "f" + blob::FormatText(blob::kBucketFormat, {1, 2})};
}

// The first byte: 'x' for XML, which comes in two pieces, 'h' for a header, 'f' for a format, else a key.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view text = fuzz::Text(data + 1, size - 1);
  if (data[0] == 'x') {
    const auto texts = [&](std::size_t cut) {
      std::string all;
      s3::XmlTexts xml([&](std::string_view parent, std::string_view name, std::string_view value, bool) {
        fuzz::Promise(parent.size() <= s3::XmlTexts::kMaxName && name.size() <= s3::XmlTexts::kMaxName, "names are bounded");
        fuzz::Promise(value.size() <= s3::XmlTexts::kMaxText, "texts are bounded");
        all.append(parent).append(name).append(value).push_back('\n');
      });
      xml.Feed(text.substr(0, cut));
      xml.Feed(text.substr(cut));
      return all;
    };
    fuzz::Promise(texts(text.size() / 2) == texts(0), "how the bytes come makes no difference");
  } else if (data[0] == 'h') {
    const auto header = blob::DecodeHeader(text);
    if (!header.ok()) return 0;
    const auto again = blob::DecodeHeader(blob::EncodeHeader(*header));
    fuzz::Promise(again.ok() && blob::EncodeHeader(*again) == blob::EncodeHeader(*header), "what was decoded encodes to the same header");
  } else if (data[0] == 'f') {
    if (const auto shard = blob::ParseFormat(blob::kBucketFormat, text)) {
      fuzz::Promise(shard->valid() && blob::FormatText(blob::kBucketFormat, *shard) == text, "a shard gives its format");
    }
  } else {
    if (const auto upload = blob::UploadOfCommit(text)) fuzz::Promise(blob::CommitKey(*upload) == text, "a commit's upload gives its key");
    if (const auto upload = blob::UploadOfPart(text)) {
      fuzz::Promise(text.starts_with(blob::PartsPrefix(*upload)), "a part lies below its upload's prefix");
    }
  }
  return 0;
}
