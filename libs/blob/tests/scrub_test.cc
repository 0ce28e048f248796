// Scrub: every kind of damage is found, told with its place, and changes nothing.
#include <gmock/gmock.h>

#include "libs/blob/testing/disk_fixture.h"

namespace tributary::blob::testing {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class ScrubTest : public DiskFixture {
 protected:
  void SetUp() override {
    DiskFixture::SetUp();
    ASSERT_TRUE(store_->Create(name_, spec_, false).ok());
    ASSERT_TRUE(PutAll(*store_, name_, LayoutOf(spec_)).ok());
  }
  void SealIt() { TRIBUTARY_ASSERT_OK(store_->Seal(name_, 0, true)); }
  std::vector<std::string> Scrub() {
    std::vector<std::string> lines;
    ScrubOptions options;
    options.found = [&](const Damage& damage) { lines.push_back(damage.Text()); };
    const auto report = store_->Scrub(options);
    EXPECT_TRUE(report.ok()) << report.error().message();
    if (report.ok()) {
      EXPECT_EQ(report->damaged, lines.size());
      report_ = *report;
    }
    return lines;
  }

  const ObjectName name_ = Object("a/b");
  const fs::path directory_ = DirectoryOf("a+b");
  const wire::ObjectSpec spec_ = SmallSpec();
  ScrubReport report_;
};

TEST_F(ScrubTest, AGoodObjectIsReadThrough) {
  SealIt();
  EXPECT_THAT(Scrub(), IsEmpty());
  EXPECT_EQ(report_.objects, 1u);
  EXPECT_EQ(report_.slots, 7u);
  EXPECT_EQ(report_.bytes, LayoutOf(spec_).total_bytes());
}

TEST_F(ScrubTest, AFlippedBitIsFoundWithObjectSlotAndOffset) {
  SealIt();
  FlipByte(directory_ / "data", 4096 * 3 + 17);
  const auto lines = Scrub();
  ASSERT_EQ(lines.size(), 1u);
  EXPECT_THAT(lines[0], AllOf(HasSubstr("'a/b'"), HasSubstr("slot 3"), HasSubstr("byte 12288"), HasSubstr("data")));
  EXPECT_EQ(Scrub().size(), 1u);
  FlipByte(directory_ / "data", 4096 * 3 + 17);
  EXPECT_THAT(Scrub(), IsEmpty());
}

TEST_F(ScrubTest, DamagedRecordsPagesAndRootsAreFound) {
  SealIt();
  FlipByte(directory_ / "slots", 2 * 128 + 30);
  FlipByte(directory_ / "pages", 5 * 48);
  EXPECT_THAT(Scrub(), ElementsAre(AllOf(HasSubstr("pages"), HasSubstr("manifest")), AllOf(HasSubstr("slot 2"), HasSubstr("slots"))));
  fs::resize_file(directory_ / "data", 4096 * 4 + 400 + 100);  // in slot 5
  EXPECT_EQ(Scrub().size(), 4u);
  fs::resize_file(directory_ / "root", 3);
  EXPECT_THAT(Scrub(), ElementsAre(HasSubstr("root")));
}

TEST_F(ScrubTest, OpenObjectsAreLeftAlone) {
  FlipByte(directory_ / "data", 17);
  EXPECT_THAT(Scrub(), IsEmpty());
  EXPECT_EQ(report_.objects, 0u);
}

TEST_F(ScrubTest, APlaceThatSlotsShareIsReadOnce) {
  wire::ObjectSpec spec = OneTensorSpec(64 * 4096, 4096);
  spec.repetitive = true;
  ASSERT_TRUE(store_->Create(Object("tiled"), spec, false).ok());
  for (std::uint64_t slot = 0; slot < 64; ++slot) ASSERT_TRUE(PutOne(*store_, Object("tiled"), slot, Pattern(4096, slot % 4)).ok());
  TRIBUTARY_ASSERT_OK(store_->Seal(Object("tiled"), 0, false));
  EXPECT_THAT(Scrub(), IsEmpty());
  EXPECT_EQ(report_.slots, 64u);
  EXPECT_EQ(report_.bytes, 4 * 4096u);
  FlipByte(DirectoryOf("tiled") / "data", 4096 + 1);
  EXPECT_EQ(Scrub().size(), 16u);
}

TEST_F(ScrubTest, ItStopsWhenAsked) {
  SealIt();
  std::stop_source stop;
  stop.request_stop();
  ScrubOptions options;
  options.stop = stop.get_token();
  options.bytes_per_second = 1;
  EXPECT_EQ(CodeOf(store_->Scrub(options)), "cancelled");
}

TEST_F(ScrubTest, ADirectoryIsScrubbedWhenNoStoreHasIt) {
  SealIt();
  EXPECT_EQ(CodeOf(ScrubDirectory(root_, {})), "unavailable");
  store_.reset();
  FlipByte(directory_ / "data", 1);
  const auto report = ScrubDirectory(root_, {});
  TRIBUTARY_ASSERT_OK(report);
  EXPECT_EQ(report->damaged, 1u);
  EXPECT_EQ(CodeOf(ScrubDirectory(temp_.path() / "elsewhere", {})), "not found");
  fs::create_directories(temp_.path() / "empty");
  EXPECT_EQ(CodeOf(ScrubDirectory(temp_.path() / "empty", {})), "not found");
  EXPECT_TRUE(fs::is_empty(temp_.path() / "empty"));
}

TEST_F(ScrubTest, ADirectoryOfAnotherVersionIsRefused) {
  store_.reset();
  std::ofstream(root_ / "format") << "tributary blob-store 1\n";
  const auto opened = OpenDiskStore({root_}, pool_);
  ASSERT_EQ(CodeOf(opened), "invalid argument");
  EXPECT_THAT(opened.error().message(), AllOf(HasSubstr("another version"), HasSubstr("--data-dir")));
  EXPECT_TRUE(fs::exists(directory_ / "spec"));
}

}  // namespace
}  // namespace tributary::blob::testing
