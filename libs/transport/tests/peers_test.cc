#include "tributary/transport/peers.h"

#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>

#include "libs/base/testing/temp_directory.h"
#include "tributary/transport/curve.h"
#include "tributary/transport/keyring.h"

namespace tributary::transport {
namespace {

using testing::HasSubstr;

std::string Key() { return GenerateCurveKeys().value().public_key; }

TEST(PeerList, IsReadAsItIsWritten) {
  const std::string a = Key();
  const std::string b = Key();
  const std::string c = Key();
  const auto list = PeerList::Parse("# who may what\n\n  coordinator main " + a + "\ntrainer hospital-a\t" + b + " \ntrainer hospital-a " + c + "\n", "peers");
  ASSERT_TRUE(list.ok()) << list.error().message();
  ASSERT_NE(list->Find(b), nullptr);
  EXPECT_EQ(list->Find(b)->str(), "trainer hospital-a");
  // Two keys of one site: one takes the other's place.
  EXPECT_EQ(*list->Find(c), *list->Find(b));
  EXPECT_EQ(list->KeyOf(PeerRole::kCoordinator), a);
  EXPECT_EQ(list->KeyOf(PeerRole::kBlobStore), std::nullopt);
  EXPECT_EQ(list->Find(Key()), nullptr);
  EXPECT_EQ(list->Find(""), nullptr);
  const auto again = PeerList::Parse(list->Text(), "again");
  ASSERT_TRUE(again.ok());
  EXPECT_EQ(again->Text(), list->Text());
}

TEST(PeerList, ACacheIsTheOnlyOneOrItsName) {
  PeerList list;
  EXPECT_THAT(list.KeyToDial(PeerRole::kCache).error().message(), HasSubstr("no 'cache NAME KEY'"));
  const std::string near = Key(), renewed = Key(), far = Key(), store = Key();
  ASSERT_TRUE(list.Add({PeerRole::kBlobStore, "blob-store"}, store).ok());
  ASSERT_TRUE(list.Add({PeerRole::kBlobStore, "old"}, Key()).ok());
  ASSERT_TRUE(list.Add({PeerRole::kCache, "near"}, near).ok());
  ASSERT_TRUE(list.Add({PeerRole::kCache, "near"}, renewed).ok());
  EXPECT_EQ(list.KeyToDial(PeerRole::kBlobStore).value(), store);
  EXPECT_EQ(list.KeyToDial(PeerRole::kCache).value(), near);
  ASSERT_TRUE(list.Add({PeerRole::kCache, "far"}, far).ok());
  EXPECT_THAT(list.KeyToDial(PeerRole::kCache).error().message(), HasSubstr("near and far; say which"));
  EXPECT_EQ(list.KeyToDial(PeerRole::kCache, "far").value(), far);
  EXPECT_THAT(list.KeyToDial(PeerRole::kCache, "other").error().message(), HasSubstr("no 'cache other KEY'"));
}

TEST(PeerList, AWrongLineIsNamedWithItsNumberAndWhatIsExpected) {
  const std::string key = Key();
  const auto error = [](const std::string& text) {
    const auto list = PeerList::Parse(text, "the-file");
    return list.ok() ? "" : list.error().message();
  };
  EXPECT_THAT(error("\ntrainer a\n"), HasSubstr("the-file:2: expected 'ROLE NAME KEY'"));
  EXPECT_THAT(error("trainer a " + key + " b\n"), HasSubstr("the-file:1: expected"));
  EXPECT_THAT(error("king a " + key + "\n"), HasSubstr("no role 'king'"));
  EXPECT_THAT(error("trainer ../a " + key + "\n"), HasSubstr("the-file:1"));
  EXPECT_THAT(error("trainer a short\n"), HasSubstr("not 40 characters of Z85"));
  EXPECT_THAT(error("trainer a " + std::string(40, '~') + "\n"), HasSubstr("Z85"));
  EXPECT_THAT(error("trainer a " + key + "\noperator b " + key + "\n"), HasSubstr("operator b has the key of trainer a"));
}

TEST(PeerList, AFileThatEverybodyMayWriteIsRefused) {
  const TempDirectory directory;
  const auto path = directory.path() / "peers";
  PeerList list;
  ASSERT_TRUE(list.Add({PeerRole::kTrainer, "a"}, Key()).ok());
  ASSERT_TRUE(WritePeerList(path, list).ok());
  ASSERT_TRUE(ReadPeerList(path).ok());
  std::filesystem::permissions(path, std::filesystem::perms::others_write, std::filesystem::perm_options::add);
  const auto read = ReadPeerList(path);
  ASSERT_FALSE(read.ok());
  EXPECT_EQ(read.error().code(), Code::kPermission);
  EXPECT_THAT(read.error().message(), HasSubstr("chmod o-w"));
}

TEST(PeerList, ATooLongFileIsRefusedAndNotRead) {
  const TempDirectory directory;
  const auto path = directory.path() / "peers";
  std::ofstream(path) << std::string((4u << 20) + 1, '\n');
  const auto read = ReadPeerList(path);
  ASSERT_FALSE(read.ok());
  EXPECT_THAT(read.error().message(), HasSubstr("longer than a list of peers may be"));
}

TEST(KeyFiles, AKeyWithoutPeersAndAnAddressWithoutAKeyAreRefused) {
  const auto refusal = [](const KeyFiles& files, const std::string& endpoint) {
    const auto keyring = OpenKeyring(files, "--listen", {endpoint});
    return keyring.ok() ? "" : keyring.error().message();
  };
  EXPECT_THAT(refusal({"/some/key", "", false}, "tcp://127.0.0.1:1"), HasSubstr("--key is given without --peers"));
  EXPECT_THAT(refusal({"", "/some/peers", true}, "tcp://127.0.0.1:1"), HasSubstr("--peers is given without --key"));
  EXPECT_THAT(refusal({"/no/such", "/no/such", false}, "tcp://127.0.0.1:1"), HasSubstr("--key"));
  for (const std::string outside : {"tcp://0.0.0.0:7700", "tcp://*:7700", "tcp://10.0.0.1:1", "tcp://coordinator:7700", "tcp://127.evil.example:1", "tcp://[::]:1"}) {
    EXPECT_THAT(refusal({}, outside), HasSubstr("--listen " + outside + " leaves this machine")) << outside;
    EXPECT_EQ(refusal({"", "", true}, outside), "") << outside;
  }
  for (const std::string inside : {"tcp://127.0.0.1:7700", "tcp://127.3.2.1:1", "tcp://localhost:1", "tcp://[::1]:1", "ipc:///run/x.sock"}) {
    EXPECT_EQ(refusal({}, inside), "") << inside;
  }
}

}  // namespace
}  // namespace tributary::transport
