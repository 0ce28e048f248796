#include "tributary/corpus/files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "libs/base/testing/temp_directory.h"

namespace tributary::corpus {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(ListTextFiles, TakesTextByNameAndLeavesOutTheRest) {
  TempDirectory directory;
  const std::string b = directory.Write("b", "text b");
  const std::string a = directory.Write("a", "text a");
  directory.Write("a.dat", std::string("\0\0\0\2", 4));
  directory.Write(".hidden", "x");
  directory.Write("empty", "");
  std::filesystem::create_directory(directory.File("sub"));
  std::filesystem::create_symlink("b", directory.File("0-link-before-its-file"));
  std::filesystem::create_symlink("a", directory.File("a.u8"));
  std::filesystem::create_symlink("nowhere", directory.File("dangling"));
  auto files = ListTextFiles(directory.path(), "d");
  ASSERT_TRUE(files.ok()) << files.error().message();
  ASSERT_EQ(files->size(), 2u);
  EXPECT_EQ((*files)[0].path, a);
  EXPECT_EQ((*files)[1].path, b);
  EXPECT_EQ((*files)[1].bytes, 6u);
}

TEST(ListTextFiles, ALinkToAFileElsewhereIsTaken) {
  TempDirectory directory;
  TempDirectory elsewhere;
  std::filesystem::create_symlink(elsewhere.Write("far", "text"), directory.File("near"));
  auto files = ListTextFiles(directory.path(), "d");
  ASSERT_TRUE(files.ok()) << files.error().message();
  EXPECT_EQ(files->size(), 1u);
}

TEST(ListTextFiles, StopsAtSoManyAsAreAsked) {
  TempDirectory directory;
  for (const char* name : {"a", "b", "c"}) directory.Write(name, "text");
  auto files = ListTextFiles(directory.path(), "d", 1);
  ASSERT_TRUE(files.ok());
  ASSERT_EQ(files->size(), 1u);
  EXPECT_THAT((*files)[0].path, HasSubstr("/a"));
}

TEST(ListTextFiles, OneFile) {
  TempDirectory directory;
  auto files = ListTextFiles(directory.Write("only", "text"), "d");
  ASSERT_TRUE(files.ok());
  EXPECT_EQ(files->size(), 1u);
}

TEST(ListTextFiles, MissingPathNamesPathAndFlag) {
  auto files = ListTextFiles("/nonexistent/text", "tales");
  ASSERT_FALSE(files.ok());
  EXPECT_EQ(files.error().code(), Code::kNotFound);
  EXPECT_THAT(files.error().message(), HasSubstr("/nonexistent/text"));
  EXPECT_THAT(files.error().message(), HasSubstr("--data tales=PATH"));
  EXPECT_THAT(ListTextFiles("", "tales").error().message(), HasSubstr("--data tales=PATH"));
}

TEST(ListTextFiles, DirectoryWithoutText) {
  TempDirectory directory;
  directory.Write("binary", std::string(10, '\0'));
  auto files = ListTextFiles(directory.path(), "d");
  ASSERT_FALSE(files.ok());
  EXPECT_THAT(files.error().message(), HasSubstr("no text file"));
}

TEST(ListTextFiles, BinaryFileGivenByItself) {
  TempDirectory directory;
  auto files = ListTextFiles(directory.Write("binary", std::string(10, '\0')), "d");
  ASSERT_FALSE(files.ok());
  EXPECT_THAT(files.error().message(), HasSubstr("NUL"));
}

TEST(ListTextFiles, NeitherFileNorDirectory) {
  auto files = ListTextFiles("/dev/null", "d");
  ASSERT_FALSE(files.ok());
  EXPECT_THAT(files.error().message(), HasSubstr("neither a file nor a directory"));
}

TEST(ListTextFiles, AbsurdSizeIsRefusedUnread) {
  TempDirectory directory;
  const std::string file = directory.Write("huge", "x");
  std::filesystem::resize_file(file, kMaxFileBytes + 1);  // sparse
  std::ofstream(file, std::ios::in | std::ios::binary) << std::string(9000, 'x');
  auto files = ListTextFiles(file, "d");
  ASSERT_FALSE(files.ok());
  EXPECT_THAT(files.error().message(), HasSubstr("more than a file of data may have"));
}

TEST(ListFiles, ByExtensionInADirectoryAndByAnyNameAlone) {
  TempDirectory directory;
  const std::string a = directory.Write("a.csv", "x\n1\n");
  const std::string notes = directory.Write("notes", "x\n1\n");
  directory.Write("sub/b.csv", "x\n1\n");
  const FileKind kind{.what = "*.csv file", .extensions = {".csv"}, .text = true};
  auto files = ListFiles(directory.path(), "d", kind);
  ASSERT_TRUE(files.ok()) << files.error().message();
  ASSERT_EQ(files->size(), 1u);
  EXPECT_EQ((*files)[0].path, a);
  EXPECT_GT((*files)[0].modified_ns, 0);
  EXPECT_TRUE(ListFiles(notes, "d", kind).ok());
}

TEST(ListFiles, LinksThatLeadInCirclesAreNotFollowed) {
  TempDirectory directory;
  directory.Write("a.csv", "x\n1\n");
  std::filesystem::create_directory_symlink(directory.path(), directory.File("self.csv"));
  std::filesystem::create_symlink("b.csv", directory.File("c.csv"));
  std::filesystem::create_symlink("c.csv", directory.File("b.csv"));
  auto files = ListFiles(directory.path(), "d",
                         {.what = "*.csv file", .extensions = {".csv"}, .text = true});
  ASSERT_TRUE(files.ok()) << files.error().message();
  EXPECT_EQ(files->size(), 1u);
}

TEST(ListFiles, NoneOfTheKindAndAnEmptyFile) {
  TempDirectory directory;
  directory.Write("a.txt", "x");
  const FileKind kind{.what = "*.csv file", .extensions = {".csv"}, .text = true};
  EXPECT_THAT(ListFiles(directory.path(), "d", kind).error().message(),
              HasSubstr("no *.csv file lies in"));
  EXPECT_THAT(ListFiles(directory.Write("b.csv", ""), "d", kind).error().message(),
              HasSubstr("b.csv is empty"));
}

}  // namespace
}  // namespace tributary::corpus
