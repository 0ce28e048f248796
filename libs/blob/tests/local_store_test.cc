#include "libs/blob/testing/conformance.h"
#include "libs/base/testing/temp_directory.h"
#include "libs/blob/testing/fake_bucket.h"

namespace tributary::blob::testing {
namespace {

class LocalHarness final : public Harness {
 public:
  explicit LocalHarness(bool disk, bool bucket = false) {
    if (disk) {
      DiskOptions options;
      options.directory = directory_.path() / "store";
      if (bucket) {
        options.bucket = &bucket_;
        options.bucket_part_bytes = 5000;  // chunks lie across the border of parts
        options.cache_bytes = 1;           // what is sealed durably is read from the bucket
      }
      auto store = OpenDiskStore(options, pool_);
      if (!store.ok()) throw std::runtime_error(store.error().message());
      store_ = *std::move(store);
    } else {
      store_ = MakeMemoryStore(pool_);
    }
  }
  BlobStore& store() override { return *store_; }
  BlobStore& Another() override { return *store_; }

 private:
  TempDirectory directory_;
  FakeBucket bucket_;
  memory::Pool pool_{1_MiB};
  std::unique_ptr<SlotStore> store_;
};

INSTANTIATE_TEST_SUITE_P(
    Local, BlobStoreConformance,
    ::testing::Values(Implementation{"memory", [] { return std::make_unique<LocalHarness>(false); }},
                      Implementation{"disk", [] { return std::make_unique<LocalHarness>(true); }},
                      Implementation{"disk_repetitive", [] { return std::make_unique<LocalHarness>(true); }, true},
                      Implementation{"bucket", [] { return std::make_unique<LocalHarness>(true, true); }},
                      Implementation{"bucket_repetitive", [] { return std::make_unique<LocalHarness>(true, true); }, true}),
    NameOf);

TEST(LocalReader, SaysWhatBudgetIsNeededWhenTheConsumerKeepsItsChunks) {
  memory::Pool pool(20_KiB);
  const auto store = MakeMemoryStore(pool);
  const wire::ObjectSpec spec = SmallSpec();
  ASSERT_TRUE(store->Create(Object("a"), spec, false).ok());
  ASSERT_TRUE(PutAll(*store, Object("a"), LayoutOf(spec)).ok());
  ReadOptions options;
  options.wait = Duration(20);
  auto reader = store->Read(SlotsOf(Object("a"), {0, 7}), options);
  ASSERT_TRUE(reader.ok());
  std::vector<Chunk> held;
  for (;;) {
    auto chunk = (*reader)->Next();
    if (!chunk.ok()) {
      EXPECT_EQ(CodeOf(chunk), "resource exhausted");
      EXPECT_THAT(chunk.error().message(), ::testing::HasSubstr("--memory-budget"));
      break;
    }
    ASSERT_TRUE(chunk->has_value());
    held.push_back(**std::move(chunk));
  }
  EXPECT_GE(held.size(), 2u);
}

}  // namespace
}  // namespace tributary::blob::testing
