// The store dies and comes back while chunks are under way.
#include <gmock/gmock.h>

#include <thread>

#include "services/blob-store/tests/harness.h"

namespace tributary::service::testing {
namespace {

using blob::testing::CodeOf;
using blob::testing::GetOne;
using blob::testing::LayoutOf;
using blob::testing::Object;
using blob::testing::OneTensorSpec;
using blob::testing::Pattern;
using blob::testing::PutAll;
using blob::testing::PutBytes;

const wire::ObjectSpec kSpec = OneTensorSpec(16_MiB, 256_KiB);
const tensor::Layout kLayout = LayoutOf(kSpec);

class RecoveryTest : public ::testing::TestWithParam<std::string> {
 protected:
  Server server_{8_MiB, GetParam()};
  Client client_{server_.endpoint()};
  const ObjectName name_ = Object("a");
};

TEST_P(RecoveryTest, AWriterGoesOnAfterTheStoreCameBack) {
  ASSERT_TRUE(client_->Create(name_, kSpec, false).ok());
  auto writer = client_->Write({});
  ASSERT_TRUE(writer.ok());
  for (std::uint64_t slot = 0; slot < kLayout.slot_count(); ++slot) {
    if (slot == 20 || slot == 40) {
      server_.Kill();
      server_.Start();
    }
    const Status put = PutBytes(**writer, name_, slot, Pattern(256_KiB, slot));
    ASSERT_TRUE(put.ok()) << put.error().message();
  }
  const Status flushed = (*writer)->Flush();
  ASSERT_TRUE(flushed.ok()) << flushed.error().message();
  EXPECT_TRUE(client_->Seal(name_, 0, false).ok());
  const auto counters = client_->counters();
  EXPECT_EQ(counters.sessions, 3u);
  EXPECT_EQ(counters.bytes_written, 16_MiB);
  EXPECT_LE(counters.bytes_resent, 2 * 4_MiB);  // a window a loss
}

TEST_P(RecoveryTest, AReaderGoesOnAfterTheStoreCameBack) {
  ASSERT_TRUE(client_->Create(name_, kSpec, false).ok());
  ASSERT_TRUE(PutAll(*client_, name_, kLayout).ok());
  auto reader = client_->Read(blob::SlotsOf(name_, kLayout.all_slots()), {});
  ASSERT_TRUE(reader.ok());
  for (std::uint64_t slot = 0; slot < kLayout.slot_count(); ++slot) {
    if (slot == 20 || slot == 40) {
      server_.Kill();
      server_.Start();
    }
    auto chunk = (*reader)->Next();
    ASSERT_TRUE(chunk.ok()) << chunk.error().message();
    ASSERT_TRUE(chunk->has_value());
    EXPECT_EQ((*chunk)->slot, slot);
    EXPECT_TRUE(std::ranges::equal((*chunk)->bytes, Pattern(256_KiB, slot)));
  }
  EXPECT_FALSE((*reader)->Next()->has_value());
}

TEST_P(RecoveryTest, AParkedReaderGoesOnAfterTheStoreCameBack) {
  ASSERT_TRUE(client_->Create(name_, kSpec, false).ok());
  std::thread restarter([&] {
    // Parked at the first store, so that it is the second one that wakes the reader.
    while (server_->stats().parked_reads == 0) std::this_thread::yield();
    server_.Kill();
    server_.Start();
    Client writer(server_.endpoint());
    EXPECT_TRUE(PutAll(*writer, name_, kLayout).ok());
  });
  blob::ReadOptions options;
  options.wait = Duration(60'000);
  auto reader = client_->Read(blob::SlotsOf(name_, kLayout.all_slots()), options);
  ASSERT_TRUE(reader.ok());
  std::uint64_t slots = 0;
  for (;; ++slots) {
    auto chunk = (*reader)->Next();
    EXPECT_TRUE(chunk.ok()) << chunk.error().message();
    if (!chunk.ok() || !chunk->has_value()) break;
    EXPECT_TRUE(std::ranges::equal((*chunk)->bytes, Pattern(256_KiB, slots)));
  }
  restarter.join();
  EXPECT_EQ(slots, kLayout.slot_count());
}

TEST_P(RecoveryTest, AStoreThatStaysAwayIsADeadlineThatNamesItsEndpoint) {
  Client client(server_.endpoint(), 8_MiB, Duration(300));
  ASSERT_TRUE(client->Create(name_, kSpec, false).ok());
  server_.Kill();
  const auto stat = client->Stat(name_);
  ASSERT_EQ(CodeOf(stat), "deadline");
  EXPECT_THAT(stat.error().message(), ::testing::HasSubstr(server_.endpoint()));
  server_.Start();
  // On a busy machine an answer may take longer than the little that this client waits.
  bool answered = false;
  for (int i = 0; i < 100 && !answered; ++i) answered = client->Stat(name_).ok();
  EXPECT_TRUE(answered);
}

TEST_P(RecoveryTest, CreditThatIsNotUsedIsTakenBackAndTheWriterGoesOn) {
  server_.Kill();
  server_.spec().credit_idle = Duration(1);
  server_.Start();
  ASSERT_TRUE(client_->Create(name_, kSpec, false).ok());
  auto writer = client_->Write({});
  ASSERT_TRUE(writer.ok());
  for (std::uint64_t slot = 0; slot < 16; ++slot) {
    ASSERT_TRUE(PutBytes(**writer, name_, slot, Pattern(256_KiB, slot)).ok());
    // Until the store has its credit back: the chunk is staged and nothing is granted any more.
    if (slot % 8 == 7) {
      while (server_->stats().pool.used[1] > 0 || server_->stats().peers > 0) std::this_thread::yield();
    }
  }
  const Status flushed = (*writer)->Flush();
  ASSERT_TRUE(flushed.ok()) << flushed.error().message();
  EXPECT_EQ(client_->Stat(name_)->slots_present, 16u);
}

INSTANTIATE_TEST_SUITE_P(Transport, RecoveryTest, ::testing::Values("tcp://127.0.0.1:0", "ipc"),
                         [](const auto& info) { return info.param == "ipc" ? "ipc" : "tcp"; });

}  // namespace
}  // namespace tributary::service::testing
