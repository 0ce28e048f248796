// A disk store in a directory of its own, for tests that look at its files and begin it anew.
#pragma once

#include <filesystem>
#include <fstream>
#include <memory>

#include "libs/base/testing/temp_directory.h"
#include "libs/blob/testing/store_testing.h"
#include "tributary/blob/local_store.h"

namespace tributary::blob::testing {

class DiskFixture : public ::testing::Test {
 protected:
  void SetUp() override { Reopen(); }
  // As after SIGKILL: a new instance over what lies in the directory.
  void Reopen(std::uint64_t quota = 0) {
    store_.reset();
    auto store = OpenDiskStore({root_, quota}, pool_);
    ASSERT_TRUE(store.ok()) << store.error().message();
    store_ = *std::move(store);
  }
  std::filesystem::path DirectoryOf(const std::string& file_name) const { return root_ / "objects" / file_name; }
  static void FlipByte(const std::filesystem::path& file, std::uint64_t offset) {
    std::fstream stream(file, std::ios::in | std::ios::out | std::ios::binary);
    stream.seekg(static_cast<std::streamoff>(offset));
    const char byte = static_cast<char>(stream.get() ^ 1);
    stream.seekp(static_cast<std::streamoff>(offset));
    stream.put(byte);
    ASSERT_TRUE(stream.good());
  }

  TempDirectory temp_;
  const std::filesystem::path root_ = temp_.path() / "store";
  memory::Pool pool_{1_MiB};
  std::unique_ptr<DiskStore> store_;
};

}  // namespace tributary::blob::testing
