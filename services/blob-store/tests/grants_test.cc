// A store with keys: what a trainer shows with its hello decides what it may do, whoever asked for it and whatever shard or cache it shows it to.
#include <gmock/gmock.h>

#include "services/blob-store/tests/keyed_store.h"

namespace tributary::service::testing {
namespace {

using ::testing::HasSubstr;
TEST_F(StoreWithKeys, ATaskWritesItsOutputAndReadsWhatItNames) {
  const auto store = Connect(a_, Grant());
  const auto created = Create(*store, kUpdate);
  ASSERT_TRUE(created.ok()) << created.error().message();
  EXPECT_TRUE(store->Stat(ObjectName::Trusted(kUpdate)).ok());
  EXPECT_EQ(store->Stat(ObjectName::Trusted(kModel)).error().code(), Code::kNotFound);  // it may know
  EXPECT_THAT(Refusal(store->Stat(ObjectName::Trusted("jobs/j/models/1")).status()), HasSubstr("trainer a may not read 'jobs/j/models/1': its task's grant does not name it"));
  EXPECT_THAT(Refusal(Create(*store, kModel).status()), HasSubstr("trainer a may not write"));
}

TEST_F(StoreWithKeys, WithoutAGrantThereIsNothing) {
  const auto store = Connect(a_, {});
  EXPECT_THAT(Refusal(store->Stat(ObjectName::Trusted(kModel)).status()), HasSubstr("it shows no grant of a task"));
  EXPECT_THAT(Refusal(Create(*store, kUpdate).status()), HasSubstr("trainer a may not"));
}

TEST_F(StoreWithKeys, ABadGrantIsRefusedAtTheHello) {
  auto forged = Grant();
  forged.back() ^= std::byte{1};
  EXPECT_THAT(Refusal(Connect(a_, forged)->Stat(ObjectName::Trusted(kModel)).status()), HasSubstr("not signed"));
  EXPECT_THAT(Refusal(Connect(a_, {std::byte{1}})->Stat(ObjectName::Trusted(kModel)).status()), HasSubstr("not signed"));
  EXPECT_THAT(Refusal(Connect(b_, Grant())->Stat(ObjectName::Trusted(kModel)).status()), HasSubstr("trainer b shows a grant of trainer a"));
  EXPECT_THAT(Refusal(Connect(a_, Grant(1'000'000'000))->Stat(ObjectName::Trusted(kModel)).status()), HasSubstr("over"));
}

TEST_F(StoreWithKeys, ANewSessionShowsTheGrantAgain) {
  const auto store = Connect(a_, Grant());
  ASSERT_TRUE(Create(*store, kUpdate).ok());
  server_.Kill();
  server_.Start();
  const auto stat = store->Stat(ObjectName::Trusted(kUpdate));
  EXPECT_TRUE(stat.ok()) << stat.error().message();
}

}  // namespace
}  // namespace tributary::service::testing
