#include "tributary/objects/files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>

#include "libs/base/testing/temp_directory.h"
#include "libs/blob/testing/store_testing.h"
#include "tributary/blob/local_store.h"

namespace tributary::objects {
namespace {

namespace fs = std::filesystem;
using blob::testing::Object;
using ::testing::HasSubstr;

std::string Read(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}
void Write(const fs::path& path, const std::string& text) {
  fs::create_directories(path.parent_path());
  std::ofstream(path, std::ios::binary) << text;
}
std::string Bytes(std::size_t size, std::uint64_t salt) {
  const auto bytes = blob::testing::Pattern(size, salt);
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

class FilesTest : public ::testing::Test {
 protected:
  Result<Outcome> PutPath(const fs::path& path, PutOptions options = {}) {
    TRIBUTARY_ASSIGN(const auto source, ReadPath(path.string()));
    options.chunk_bytes = 4096;
    return Put(*store_, name_, *source, options);
  }
  Result<Outcome> GetPath(const fs::path& path, bool overwrite = false, const GetOptions& options = {}) {
    TRIBUTARY_ASSIGN(const auto sink, WritePath(path.string(), overwrite));
    return Get(*store_, name_, *sink, options);
  }
  static PutOptions Replacing() {
    PutOptions options;
    options.replace = true;
    return options;
  }
  static PutOptions Resuming() {
    PutOptions options;
    options.resume = true;
    return options;
  }
  // An object as only somebody who means harm makes it.
  void PutForged(const std::string& entry, const std::string& info) {
    wire::ObjectSpec spec;
    spec.kind = wire::ObjectKind::kOther;
    spec.tensors = {ByteEntry(entry, 5)};
    spec.chunk_bytes = 4096;
    spec.info = info;
    TRIBUTARY_ASSERT_OK(store_->Create(name_, spec, false));
    TRIBUTARY_ASSERT_OK(blob::testing::PutOne(*store_, name_, 0, std::as_bytes(std::span("hello", 5))));
    TRIBUTARY_ASSERT_OK(store_->Seal(name_, 0, false));
  }

  const TempDirectory temp_;
  const fs::path root_ = temp_.path();
  memory::Pool pool_{1u << 20};
  std::unique_ptr<blob::SlotStore> store_ = blob::MakeMemoryStore(pool_);
  const ObjectName name_ = Object("shared/o");
};

TEST_F(FilesTest, AFileComesBackAsItWas) {
  Write(root_ / "model.bin", Bytes(10'000, 1));
  const auto put = PutPath(root_ / "model.bin");
  ASSERT_TRUE(put.ok()) << put.error().message();
  EXPECT_EQ(put->bytes, 10'000u);
  EXPECT_EQ(put->bytes_moved, 10'000u);
  const auto got = GetPath(root_ / "there" / "copy.bin");
  ASSERT_TRUE(got.ok()) << got.error().message();
  EXPECT_EQ(got->digest, put->digest);
  EXPECT_EQ(Read(root_ / "there" / "copy.bin"), Bytes(10'000, 1));
  EXPECT_FALSE(fs::exists(root_ / "there" / "copy.bin.part"));
}

TEST_F(FilesTest, ATreeComesBackWithItsEmptyPartsAndItsPrograms) {
  const std::map<std::string, std::string> files = {
      {"a/b/deep.bin", Bytes(9'000, 2)}, {"a/small", "x"}, {"empty", ""}, {"run.sh", "#!/bin/sh\n"}, {"zz", Bytes(4096, 3)}};
  for (const auto& [name, text] : files) Write(root_ / "tree" / name, text);
  fs::create_directories(root_ / "tree" / "nothing" / "here");
  fs::permissions(root_ / "tree" / "run.sh", fs::perms::owner_all);
  const auto put = PutPath(root_ / "tree/");
  ASSERT_TRUE(put.ok()) << put.error().message();
  const auto got = GetPath(root_ / "copy");
  ASSERT_TRUE(got.ok()) << got.error().message();
  for (const auto& [name, text] : files) EXPECT_EQ(Read(root_ / "copy" / name), text) << name;
  EXPECT_TRUE(fs::is_directory(root_ / "copy" / "nothing" / "here"));
  EXPECT_TRUE(fs::exists(root_ / "copy" / "empty"));
  struct stat info {};
  ASSERT_EQ(stat((root_ / "copy" / "run.sh").c_str(), &info), 0);
  EXPECT_NE(info.st_mode & S_IXUSR, 0u);
  ASSERT_EQ(stat((root_ / "copy" / "zz").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & S_IXUSR, 0u);
}

TEST_F(FilesTest, PuttingTheSameAgainSendsNothingAndOtherBytesAreRefused) {
  Write(root_ / "f", Bytes(10'000, 1));
  const auto first = PutPath(root_ / "f");
  const auto again = PutPath(root_ / "f");
  ASSERT_TRUE(again.ok()) << again.error().message();
  EXPECT_EQ(again->digest, first->digest);
  EXPECT_EQ(again->bytes_moved, 0u);
  Write(root_ / "f", Bytes(10'000, 2));
  const auto other = PutPath(root_ / "f");
  ASSERT_FALSE(other.ok());
  EXPECT_EQ(other.error().code(), Code::kAlreadyExists);
  EXPECT_THAT(other.error().message(), HasSubstr("sealed with other bytes"));
  Write(root_ / "f", Bytes(9'000, 2));
  EXPECT_EQ(PutPath(root_ / "f").error().code(), Code::kAlreadyExists);
  const auto replaced = PutPath(root_ / "f", Replacing());
  ASSERT_TRUE(replaced.ok()) << replaced.error().message();
  EXPECT_TRUE(GetPath(root_ / "copy").ok());
  EXPECT_EQ(Read(root_ / "copy"), Bytes(9'000, 2));
}

TEST_F(FilesTest, AnInterruptedPutGoesOnWhereItWas) {
  Write(root_ / "f", Bytes(40'000, 1));
  std::stop_source stop;
  PutOptions options;
  options.stop = stop.get_token();
  options.progress = [&](std::uint64_t done, std::uint64_t) {
    if (done >= 20'000) stop.request_stop();
  };
  EXPECT_EQ(PutPath(root_ / "f", options).error().code(), Code::kCancelled);
  const auto rest = PutPath(root_ / "f", Resuming());
  ASSERT_TRUE(rest.ok()) << rest.error().message();
  EXPECT_EQ(rest->bytes_moved, 40'000u - 5 * 4096u);
  EXPECT_TRUE(GetPath(root_ / "copy").ok());
  EXPECT_EQ(Read(root_ / "copy"), Bytes(40'000, 1));
}

TEST_F(FilesTest, ResumingWhatChangedMeanwhileIsToldAndNotTaken) {
  Write(root_ / "f", Bytes(40'000, 1));
  std::stop_source stop;
  PutOptions options;
  options.stop = stop.get_token();
  options.progress = [&](std::uint64_t done, std::uint64_t) {
    if (done >= 20'000) stop.request_stop();
  };
  EXPECT_EQ(PutPath(root_ / "f", options).error().code(), Code::kCancelled);
  // To replace and to resume: what is open is not thrown away.
  PutOptions both = Resuming();
  both.replace = true;
  Write(root_ / "f", Bytes(40'000, 2));
  const auto mixed = PutPath(root_ / "f", both);
  ASSERT_FALSE(mixed.ok());
  EXPECT_EQ(mixed.error().code(), Code::kDataLoss);
  EXPECT_THAT(mixed.error().message(), HasSubstr("slot 0 differs"));
  ASSERT_TRUE(PutPath(root_ / "f", Replacing()).ok());
  EXPECT_TRUE(GetPath(root_ / "copy").ok());
  EXPECT_EQ(Read(root_ / "copy"), Bytes(40'000, 2));
}

TEST_F(FilesTest, ALinkToAFileIsTheFile) {
  Write(root_ / "real", "hello");
  fs::create_symlink("real", root_ / "link");
  const auto put = PutPath(root_ / "link");
  ASSERT_TRUE(put.ok()) << put.error().message();
  ASSERT_TRUE(GetPath(root_ / "copy").ok());
  EXPECT_EQ(Read(root_ / "copy"), "hello");
}

TEST_F(FilesTest, WhatIsThereIsNotOverwrittenUnlessAskedFor) {
  Write(root_ / "f", "hello");
  ASSERT_TRUE(PutPath(root_ / "f").ok());
  Write(root_ / "mine", "precious");
  const auto refused = GetPath(root_ / "mine");
  ASSERT_FALSE(refused.ok());
  EXPECT_THAT(refused.error().message(), HasSubstr("--force"));
  EXPECT_EQ(Read(root_ / "mine"), "precious");
  EXPECT_TRUE(GetPath(root_ / "mine", true).ok());
  EXPECT_EQ(Read(root_ / "mine"), "hello");
  fs::create_directories(root_ / "dir");
  EXPECT_EQ(GetPath(root_ / "dir", true).error().code(), Code::kAlreadyExists);
}

TEST_F(FilesTest, NamesThatLeadOutsideAreRefused) {
  const std::string directory = R"({"format": "tributary files 1", "kind": "directory"})";
  for (const std::string name : {"../evil", "/etc/evil", "a/../../evil", "a//b", "./a", "a/"}) {
    PutForged(name, directory);
    const auto got = GetPath(root_ / "out" / "tree");
    ASSERT_FALSE(got.ok()) << name;
    EXPECT_EQ(got.error().code(), Code::kInvalidArgument) << name;
    EXPECT_FALSE(fs::exists(root_ / "out" / "evil"));
    EXPECT_FALSE(fs::exists(root_ / "out" / "tree.part"));
    TRIBUTARY_ASSERT_OK(store_->Remove(name_));
  }
  PutForged("good", R"({"format": "tributary files 1", "kind": "directory", "empty_files": ["../evil"]})");
  EXPECT_EQ(GetPath(root_ / "out" / "tree").error().code(), Code::kInvalidArgument);
  EXPECT_FALSE(fs::exists(root_ / "out" / "evil"));
}

TEST_F(FilesTest, ObjectsThatAreNoFilesAreRefused) {
  for (const std::string info : {"", "[]", "{}", R"({"format": 7})", R"({"format": "tributary files 1"})",
                                 R"({"format": "tributary files 1", "kind": "socket"})",
                                 R"({"format": "tributary files 1", "kind": "directory", "executable": "all"})"}) {
    PutForged("good", info);
    EXPECT_FALSE(GetPath(root_ / "x").ok()) << info;
    EXPECT_FALSE(fs::exists(root_ / "x")) << info;
    TRIBUTARY_ASSERT_OK(store_->Remove(name_));
  }
}

TEST_F(FilesTest, AnotherDigestThanAskedForIsRefused) {
  Write(root_ / "f", "hello");
  ASSERT_TRUE(PutPath(root_ / "f").ok());
  GetOptions options;
  options.digest = std::string(64, '0');
  EXPECT_EQ(GetPath(root_ / "copy", false, options).error().code(), Code::kDataLoss);
  EXPECT_FALSE(fs::exists(root_ / "copy"));
}

TEST_F(FilesTest, AnObjectThatIsNotSealedIsNotReadYet) {
  wire::ObjectSpec spec;
  spec.kind = wire::ObjectKind::kOther;
  spec.tensors = {ByteEntry("f", 5)};
  TRIBUTARY_ASSERT_OK(store_->Create(name_, spec, false));
  const auto got = GetPath(root_ / "copy");
  EXPECT_EQ(got.error().code(), Code::kUnavailable);
  EXPECT_THAT(got.error().message(), HasSubstr("0 of 1 slots"));
}

TEST_F(FilesTest, WhatCannotBeSentIsNamed) {
  EXPECT_EQ(PutPath(root_ / "no").error().code(), Code::kNotFound);
  fs::create_directories(root_ / "hollow");
  EXPECT_THAT(PutPath(root_ / "hollow").error().message(), HasSubstr("holds no byte"));
  Write(root_ / "tree" / "f", "hello");
  fs::create_symlink("/etc/passwd", root_ / "tree" / "link");
  EXPECT_THAT(PutPath(root_ / "tree").error().message(), HasSubstr("link is neither"));
  fs::remove(root_ / "tree" / "link");
  Write(root_ / "tree" / "caf\xe9", "");
  EXPECT_THAT(PutPath(root_ / "tree").error().message(), HasSubstr("is not UTF-8"));
  fs::remove(root_ / "tree" / "caf\xe9");
  Write(root_ / "tree" / std::string(200, 'd') / std::string(100, 'f'), "x");
  EXPECT_THAT(PutPath(root_ / "tree").error().message(), HasSubstr("at most 255 bytes"));
}

TEST_F(FilesTest, AFileThatShrinksWhileItIsSentIsTold) {
  Write(root_ / "f", Bytes(10'000, 1));
  const auto source = ReadPath((root_ / "f").string());
  ASSERT_TRUE(source.ok());
  fs::resize_file(root_ / "f", 100);
  const auto put = Put(*store_, name_, **source);
  EXPECT_EQ(put.error().code(), Code::kDataLoss);
  EXPECT_THAT(put.error().message(), HasSubstr("became shorter"));
}

TEST_F(FilesTest, AFileThatIsRewrittenWhileItIsSentIsTold) {
  Write(root_ / "f", Bytes(10'000, 1));
  const auto source = ReadPath((root_ / "f").string());
  ASSERT_TRUE(source.ok());
  fs::last_write_time(root_ / "f", fs::last_write_time(root_ / "f") + std::chrono::seconds(1));
  const auto put = Put(*store_, name_, **source);
  EXPECT_EQ(put.error().code(), Code::kDataLoss);
  EXPECT_THAT(put.error().message(), HasSubstr("changed while it was sent"));
}

}  // namespace
}  // namespace tributary::objects
