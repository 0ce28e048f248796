#include "tributary/blob/through_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>

#include "libs/base/testing/temp_directory.h"
#include "libs/blob/testing/store_testing.h"
#include "tributary/blob/local_store.h"

namespace tributary::blob {
namespace {

using ::testing::HasSubstr;
using testing::OneTensorSpec;

class ThroughFileTest : public ::testing::Test {
 protected:
  std::shared_ptr<BlobStore> Through(const std::string& directory) {
    return ThroughFile(std::shared_ptr<BlobStore>(inner_), pool_,
                       {directory, [this](const char* what, std::uint64_t bytes) { moved_[what] = bytes; }});
  }
  Status PutAll(BlobStore& store, const std::vector<std::uint64_t>& slots) {
    TRIBUTARY_ASSIGN(const auto writer, store.Write({}));
    for (const std::uint64_t slot : slots) {
      TRIBUTARY_ASSIGN(auto buffer, writer->Allocate(4096));
      std::memset(buffer->payload().data(), static_cast<int>(slot) + 1, 4096);
      TRIBUTARY_TRY(writer->Put(name_, slot, std::move(buffer)));
    }
    // Nothing has left yet.
    TRIBUTARY_ASSIGN(const ObjectInfo info, inner_->Stat(name_));
    EXPECT_EQ(info.slots_present, 0u);
    return writer->Flush();
  }

  const TempDirectory dir_;
  memory::Pool pool_{1_MiB};
  std::shared_ptr<SlotStore> inner_{MakeMemoryStore(pool_)};
  const ObjectName name_ = ObjectName::Trusted("object");
  std::map<std::string, std::uint64_t> moved_;
};

TEST_F(ThroughFileTest, WhatIsPutIsSentAtTheFlushAndReadBackInOrder) {
  const auto store = Through(dir_.path().string());
  ASSERT_TRUE(store->Create(name_, OneTensorSpec(3 * 4096, 4096), false).ok());
  const Status put = PutAll(*store, {2, 0, 1});
  ASSERT_TRUE(put.ok()) << put.error().message();
  EXPECT_EQ(moved_["upload"], 3u * 4096);
  const auto reader = store->Read(SlotsOf(name_, {0, 3}), {});
  ASSERT_TRUE(reader.ok());
  for (std::uint64_t slot = 0; slot < 3; ++slot) {
    const auto chunk = (*reader)->Next();
    ASSERT_TRUE(chunk.ok() && *chunk);
    EXPECT_EQ((*chunk)->slot, slot);
    EXPECT_EQ((*chunk)->object, name_);
    ASSERT_EQ((*chunk)->bytes.size(), 4096u);
    EXPECT_EQ((*chunk)->bytes[4095], static_cast<std::byte>(slot + 1));
    // The first of them was not given before the last had come.
    EXPECT_EQ(moved_["download"], 3u * 4096);
  }
  const auto end = (*reader)->Next();
  ASSERT_TRUE(end.ok());
  EXPECT_FALSE(*end);
  EXPECT_TRUE(std::filesystem::is_empty(dir_.path())) << "its files have no name";
}

TEST_F(ThroughFileTest, AnErrorOfTheStoreIsTheReaders) {
  const auto store = Through(dir_.path().string());
  ASSERT_TRUE(store->Create(name_, OneTensorSpec(4096, 4096), false).ok());
  const auto reader = store->Read(SlotsOf(name_, {0, 1}), {});
  ASSERT_TRUE(reader.ok());
  const auto chunk = (*reader)->Next();
  ASSERT_FALSE(chunk.ok());
  EXPECT_EQ(chunk.error().code(), Code::kUnavailable);
}

TEST_F(ThroughFileTest, ADirectoryThatIsNotThereIsNamed) {
  const auto store = Through(dir_.File("nowhere"));
  const auto writer = store->Write({});
  ASSERT_FALSE(writer.ok());
  EXPECT_THAT(writer.error().message(), HasSubstr("nowhere"));
}

}  // namespace
}  // namespace tributary::blob
