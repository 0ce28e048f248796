// docs/protocol.md and the code tell the same: every message with its number and fields, and the worked example's bytes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <regex>
#include <set>

#include "raw.h"
#include "tributary/digest/digest.h"

namespace tributary::wire {
namespace {

std::string Document() {
  std::ifstream file(TRIBUTARY_PROTOCOL_DOC);
  return {std::istreambuf_iterator<char>(file), {}};
}

// From the heading to the next one.
std::string Section(const std::string& document, const std::string& heading) {
  const std::string line = "\n### " + heading + "\n";
  const auto begin = document.find(line);
  if (begin == std::string::npos) return "";
  const auto end = document.find("\n#", begin + line.size());
  return document.substr(begin, end - begin);
}

std::set<std::string> FieldRows(const std::string& section) {
  std::set<std::string> fields;
  const std::regex row(R"(\n\| `([a-z0-9_]+)` \|)");
  for (auto it = std::sregex_iterator(section.begin(), section.end(), row); it != std::sregex_iterator(); ++it) {
    fields.insert((*it)[1]);
  }
  return fields;
}

void ExpectSection(const std::string& heading, const std::vector<std::string>& keys) {
  const std::string section = Section(Document(), heading);
  EXPECT_FALSE(section.empty()) << "docs/protocol.md has no section '### " << heading << "'";
  EXPECT_EQ(FieldRows(section), std::set<std::string>(keys.begin(), keys.end())) << heading;
}

TEST(ProtocolDocument, TellsEveryMessageAndField) {
  ForEachSample([](const auto& sample) {
    using M = std::decay_t<decltype(sample)>;
    ExpectSection(fmt::format("{} ({})", TypeName(M::kType), static_cast<int>(M::kType)), RawMap(EncodeBody(sample)).Keys());
  });
}

TEST(ProtocolDocument, TellsTheStructsInsideMessages) {
  ForEachSample([](const auto& sample) {
    using M = std::decay_t<decltype(sample)>;
    const RawMap map(EncodeBody(sample));
    if constexpr (M::kType == Type::kReport) ExpectSection("task report", map.KeysInside("tasks"));
    if constexpr (M::kType == Type::kAssignment) ExpectSection("task spec", map.KeysInside("tasks"));
    if constexpr (M::kType == Type::kAssignment) ExpectSection("update list", {"under", "names", "weights", "digests"});
    if constexpr (M::kType == Type::kJobList) ExpectSection("job summary", map.KeysInside("jobs"));
    if constexpr (M::kType == Type::kLog) ExpectSection("log line", map.KeysInside("lines"));
    if constexpr (M::kType == Type::kOfferList) ExpectSection("offer summary", map.KeysInside("offers"));
    if constexpr (M::kType == Type::kStatus) {
      ExpectSection("seat status", map.KeysInside("seats"));
      ExpectSection("round status", map.KeysInside("finished"));
    }
  });
}

TEST(ProtocolDocument, TheWorkedExampleIsTheBytes) {
  const std::string document = Document();
  const std::string frame = MakeHeader(Type::kPutChunk, 7, EncodeBody(PutChunk{"o", 5, 3, 0, SampleXxh128()}), true) + "ABCD";
  const auto begin = document.find("```hex\n");
  ASSERT_NE(begin, std::string::npos);
  const auto end = document.find("```", begin + 7);
  // Bytes, then two spaces and what they mean.
  std::string hex;
  std::istringstream lines(document.substr(begin + 7, end - begin - 7));
  for (std::string line; std::getline(lines, line);) {
    line = line.substr(0, line.find("  "));
    for (const char c : line) {
      if (c != ' ') hex += c;
    }
  }
  EXPECT_EQ(hex, digest::Hex(AsBytes(frame)));
}

}  // namespace
}  // namespace tributary::wire
