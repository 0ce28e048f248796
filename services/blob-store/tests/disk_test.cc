// What peers see of the disk's bounds and faults: quota, a full disk, flipped bits. The service stays up and serves everything else.
#include <gmock/gmock.h>
#include <sys/mount.h>

#include <fstream>

#include "services/blob-store/tests/harness.h"

namespace tributary::service::testing {
namespace {

namespace fs = std::filesystem;
using blob::testing::CodeOf;
using blob::testing::GetOne;
using blob::testing::LayoutOf;
using blob::testing::Object;
using blob::testing::OneTensorSpec;
using blob::testing::Pattern;
using blob::testing::PutAll;
using blob::testing::PutOne;
using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr std::uint64_t kChunk = 64_KiB;

wire::ObjectSpec Repetitive(std::uint64_t bytes) {
  wire::ObjectSpec spec = OneTensorSpec(bytes, kChunk);
  spec.repetitive = true;
  return spec;
}

void WaitFor(const std::function<bool()>& condition) {
  for (int i = 0; i < 2000 && !condition(); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(5));
  EXPECT_TRUE(condition());
}

TEST(StoreDisk, AQuotaThatIsReachedIsToldToThePeerAndCounted) {
  Server server;
  server.Kill();
  server.spec().quota = 1_MiB;
  server.Start();
  Client client(server.endpoint());
  ASSERT_TRUE(client->Create(Object("a"), OneTensorSpec(512_KiB, kChunk), false).ok());
  const auto refused = client->Create(Object("b"), OneTensorSpec(2_MiB, kChunk), false);
  ASSERT_EQ(CodeOf(refused), "resource exhausted");
  EXPECT_THAT(refused.error().message(), AllOf(HasSubstr("'b'"), HasSubstr("--quota"), HasSubstr("1.0 MiB")));
  ASSERT_TRUE(client->Create(Object("c"), Repetitive(2_MiB), false).ok());
  std::uint64_t slot = 0;
  while (PutOne(*client, Object("c"), slot, Pattern(kChunk, slot)).ok()) ++slot;
  EXPECT_EQ(CodeOf(PutOne(*client, Object("c"), slot, Pattern(kChunk, slot))), "resource exhausted");
  EXPECT_EQ(server->stats().no_room, 3u);
  TRIBUTARY_ASSERT_OK(PutAll(*client, Object("a"), LayoutOf(OneTensorSpec(512_KiB, kChunk))));
  TRIBUTARY_ASSERT_OK(client->Remove(Object("a")));
  TRIBUTARY_ASSERT_OK(PutOne(*client, Object("c"), slot, Pattern(kChunk, slot)));
  EXPECT_EQ(*GetOne(*client, Object("c"), slot), Pattern(kChunk, slot));
}

TEST(StoreDisk, AFullDiskRefusesThePutAndHarmsNothing) {
  const TempDirectory temp;
  if (mount("tmpfs", temp.path().c_str(), "tmpfs", 0, "size=3m") != 0) GTEST_SKIP() << "needs the right to mount a tmpfs";
  {
    BlobStoreService::Spec spec;
    spec.listen = "tcp://127.0.0.1:0";
    spec.directory = temp.path() / "store";
    spec.memory_budget = 8_MiB;
    auto service = BlobStoreService::Start(spec);
    ASSERT_TRUE(service.ok()) << service.error().message();
    Client client((*service)->endpoint());
    const auto small = OneTensorSpec(1_MiB, kChunk);
    ASSERT_TRUE(client->Create(Object("sealed"), small, false).ok());
    TRIBUTARY_ASSERT_OK(PutAll(*client, Object("sealed"), LayoutOf(small)));
    TRIBUTARY_ASSERT_OK(client->Seal(Object("sealed"), 0, true));
    ASSERT_TRUE(client->Create(Object("a"), Repetitive(8_MiB), false).ok());
    std::uint64_t slot = 0;
    Status put;
    while ((put = PutOne(*client, Object("a"), slot, Pattern(kChunk, slot))).ok()) ++slot;
    ASSERT_EQ(CodeOf(put), "resource exhausted");
    EXPECT_THAT(put.error().message(), AllOf(HasSubstr("is full"), HasSubstr("'a'")));
    EXPECT_GE((*service)->stats().no_room, 1u);
    EXPECT_EQ(*GetOne(*client, Object("sealed"), 3), Pattern(kChunk, 3));
    EXPECT_EQ(*GetOne(*client, Object("a"), 0), Pattern(kChunk, 0));
    TRIBUTARY_ASSERT_OK(client->Remove(Object("sealed")));
    TRIBUTARY_ASSERT_OK(PutOne(*client, Object("a"), slot, Pattern(kChunk, slot)));
  }
  umount(temp.path().c_str());
}

TEST(StoreDisk, TheBackgroundScrubFindsAFlippedBitAndSoDoesARead) {
  Server server;
  {
    Client client(server.endpoint());
    const auto spec = OneTensorSpec(4 * kChunk, kChunk);
    ASSERT_TRUE(client->Create(Object("a"), spec, false).ok());
    TRIBUTARY_ASSERT_OK(PutAll(*client, Object("a"), LayoutOf(spec)));
    TRIBUTARY_ASSERT_OK(client->Seal(Object("a"), 0, true));
  }
  server.Kill();
  {
    std::fstream data(server.path() / "store/objects/a/data", std::ios::in | std::ios::out | std::ios::binary);
    data.seekp(2 * kChunk + 5);
    data.put('?');
    ASSERT_TRUE(data.good());
  }
  server.spec().scrub_interval = Duration(1);
  server.Start();
  WaitFor([&] { return server->stats().scrubs >= 1; });
  EXPECT_GE(server->stats().scrub_damages, 1u);
  Client client(server.endpoint());
  EXPECT_EQ(CodeOf(GetOne(*client, Object("a"), 2)), "data loss");
  EXPECT_GE(server->stats().damaged_reads, 1u);
  EXPECT_EQ(*GetOne(*client, Object("a"), 1), Pattern(kChunk, 1));
}

TEST(StoreDisk, AbandonedObjectsAreRemovedInTheBackground) {
  Server server;
  {
    Client client(server.endpoint());
    ASSERT_TRUE(client->Create(Object("left"), OneTensorSpec(kChunk, kChunk), false).ok());
  }
  server.Kill();
  const fs::path left = server.path() / "store/objects/left";
  fs::last_write_time(left / "slots", fs::file_time_type::clock::now() - std::chrono::hours(2));
  server.spec().abandoned_after = Duration(50);
  server.Start();
  WaitFor([&] { return !fs::exists(left); });
}

}  // namespace
}  // namespace tributary::service::testing
