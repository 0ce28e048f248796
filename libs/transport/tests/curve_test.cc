#include "tributary/transport/curve.h"

#include <gmock/gmock.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "endpoints.h"
#include "libs/base/testing/temp_directory.h"

namespace tributary::transport {
namespace {

using testing::HasSubstr;

CurveKeys Keys() {
  auto keys = GenerateCurveKeys();
  EXPECT_TRUE(keys.ok());
  return *std::move(keys);
}

class Curve : public testing::Test {
 protected:
  void Start(std::uint64_t max_unfinished_bytes = 0) {
    ServerOptions options;
    options.endpoint = "tcp://127.0.0.1:0";
    options.curve = server_;
    options.max_unfinished_bytes = max_unfinished_bytes;
    auto server = FrameServer::Start(std::make_shared<Context>(), options, handler_);
    ASSERT_TRUE(server.ok()) << server.error().message();
    running_ = *std::move(server);
  }
  std::unique_ptr<FrameClient> Dial(std::optional<CurveClient> curve) {
    ClientOptions options;
    options.endpoint = running_->endpoint();
    options.curve = std::move(curve);
    auto client = FrameClient::Connect(std::make_shared<Context>(), options);
    EXPECT_TRUE(client.ok());
    return *std::move(client);
  }
  const CurveKeys server_ = Keys();
  QueueHandler handler_;
  std::unique_ptr<FrameServer> running_;
};

TEST_F(Curve, CarriesFramesBothWays) {
  Start();
  const auto client = Dial(CurveClient{Keys(), server_.public_key});
  ASSERT_TRUE(client->Send(MakeFrame(7, wire::Ping{})).ok());
  const auto got = handler_.Next();
  ASSERT_TRUE(got.has_value());
  EXPECT_EQ(got->id, 7u);
  running_->Send(got->peer, MakeFrame(7, wire::Pong{"test", "1"}));
  const auto reply = client->Receive(kPatience);
  ASSERT_TRUE(reply.ok());
  EXPECT_EQ(reply->event, Event::kFrame);
}

TEST_F(Curve, ManyMessagesAreNotTakenForBytesThatPileUp) {
  // What encryption adds to 3,000 messages is more than a connection may hold.
  Start(64_KiB);
  const auto client = Dial(CurveClient{Keys(), server_.public_key});
  for (std::uint64_t n = 1; n <= 3'000; ++n) {
    ASSERT_TRUE(client->Send(MakeFrame(n, wire::Ping{})).ok());
    const auto got = handler_.Next();
    ASSERT_TRUE(got.has_value()) << n;
    ASSERT_EQ(got->id, n);
  }
  EXPECT_EQ(running_->counters().cut_off, 0u);
}

TEST_F(Curve, NobodyIsHeardWhoDoesNotKnowTheServersKeyOrSpeaksInTheClear) {
  Start();
  const auto clear = Dial(std::nullopt);
  const auto wrong = Dial(CurveClient{Keys(), Keys().public_key});
  // Taken, or refused where the server has ended the connection already.
  static_cast<void>(clear->Send(MakeFrame(1, wire::Ping{})));
  static_cast<void>(wrong->Send(MakeFrame(2, wire::Ping{})));
  const auto right = Dial(CurveClient{Keys(), server_.public_key});
  ASSERT_TRUE(right->Send(MakeFrame(3, wire::Ping{})).ok());
  const auto got = handler_.Next();
  ASSERT_TRUE(got.has_value());
  EXPECT_EQ(got->id, 3u);
  // Theirs would have come by now: another round trip of the one that is heard.
  ASSERT_TRUE(right->Send(MakeFrame(4, wire::Ping{})).ok());
  const auto next = handler_.Next();
  ASSERT_TRUE(next.has_value());
  EXPECT_EQ(next->id, 4u);
}

class CurveFile : public testing::Test {
 protected:
  TempDirectory directory_;
  const std::filesystem::path path_ = directory_.path() / "key";
};

TEST_F(CurveFile, IsReadAsItWasWrittenAndNeverOverwritten) {
  const CurveKeys keys = Keys();
  ASSERT_TRUE(WriteCurveKeys(path_, keys).ok());
  struct stat about{};
  ASSERT_EQ(stat(path_.c_str(), &about), 0);
  EXPECT_EQ(about.st_mode & 0777, 0600u);
  const auto read = ReadCurveKeys(path_);
  ASSERT_TRUE(read.ok()) << read.error().message();
  EXPECT_EQ(read->public_key, keys.public_key);
  EXPECT_EQ(read->secret_key, keys.secret_key);
  EXPECT_EQ(WriteCurveKeys(path_, Keys()).error().code(), Code::kAlreadyExists);
}

TEST_F(CurveFile, ThatOthersMayReadIsRefused) {
  ASSERT_TRUE(WriteCurveKeys(path_, Keys()).ok());
  std::filesystem::permissions(path_, std::filesystem::perms::group_read, std::filesystem::perm_options::add);
  const auto read = ReadCurveKeys(path_);
  ASSERT_FALSE(read.ok());
  EXPECT_EQ(read.error().code(), Code::kPermission);
  EXPECT_THAT(read.error().message(), HasSubstr("chmod 600"));
}

TEST_F(CurveFile, OfAnythingElseIsRefused) {
  const CurveKeys keys = Keys();
  for (const std::string& text : {std::string(), std::string("public = x\nsecret = y\n"), "secret = " + keys.secret_key + "\n",
                                  "public = " + Keys().public_key + "\nsecret = " + keys.secret_key + "\n", std::string(10'000, 'x')}) {
    std::filesystem::remove(path_);
    std::ofstream(path_) << text;
    std::filesystem::permissions(path_, std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
    const auto read = ReadCurveKeys(path_);
    ASSERT_FALSE(read.ok()) << text;
    EXPECT_EQ(read.error().code(), Code::kInvalidArgument);
  }
  EXPECT_EQ(ReadCurveKeys(directory_.path() / "none").error().code(), Code::kNotFound);
}

}  // namespace
}  // namespace tributary::transport
