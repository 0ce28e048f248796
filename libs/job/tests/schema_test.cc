#include "tributary/job/schema.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <set>
#include <sstream>

namespace tributary::job {
namespace {

std::string Document() {
  std::ifstream in(TRIBUTARY_SOURCE_DIR "/docs/job-file.md");
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

TEST(JobKeys, NoKeyStandsTwiceAndEachIsExplained) {
  std::set<std::string_view> seen;
  for (const KeyInfo& key : JobKeys()) {
    EXPECT_TRUE(seen.insert(key.path).second) << key.path;
    EXPECT_FALSE(key.expected.empty()) << key.path;
    EXPECT_FALSE(key.meaning.empty()) << key.path;
  }
}

// The reference is written by hand; this keeps it from falling behind.
TEST(JobKeys, EveryKeyStandsInTheReferenceWithTypeDefaultAndMeaning) {
  const std::string document = Document();
  ASSERT_FALSE(document.empty());
  for (const KeyInfo& key : JobKeys()) {
    const std::string row =
        key.supported ? "| `" + std::string(key.path) + "` | " + std::string(key.expected) + " | " +
                            (key.fallback.empty() ? "" : "`" + std::string(key.fallback) + "`") + " | " +
                            std::string(key.meaning) + " |"
                      : "| `" + std::string(key.path) + "` |";
    EXPECT_NE(document.find(row), std::string::npos) << "docs/job-file.md lacks the row\n" << row;
  }
}

TEST(JobKeys, TheReferenceNamesNoKeyThatTheParserDoesNotKnow) {
  std::set<std::string> known;
  for (const KeyInfo& key : JobKeys()) known.insert(std::string(key.path));
  std::istringstream lines(Document());
  for (std::string line; std::getline(lines, line);) {
    if (line.rfind("| `", 0) != 0) continue;
    const std::string path = line.substr(3, line.find('`', 3) - 3);
    EXPECT_TRUE(known.contains(path)) << path;
  }
}

}  // namespace
}  // namespace tributary::job
