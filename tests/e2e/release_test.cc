// Programs that meet a server of another release, which speaks another protocol: each ends at once, with a line that says what to change.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>

#include "tests/e2e/support.h"
#include "tributary/transport/frame_server.h"
#include "tributary/wire/codec.h"
#include "tributary/wire/control.h"

namespace tributary::e2e {
namespace {

using testing::HasSubstr;

// Answers everything as a server of protocol 2 does: in protocol 2.
class OtherRelease final : public transport::Handler {
 public:
  OtherRelease() {
    transport::ServerOptions options;
    options.endpoint = "tcp://127.0.0.1:0";
    options.max_frame_bytes = wire::kMaxDataFrame;
    auto started = transport::FrameServer::Start(std::make_shared<transport::Context>(), options, *this);
    EXPECT_TRUE(started.ok());
    server_ = std::move(*started);
    running_ = server_.get();
  }
  ~OtherRelease() override { server_->Stop(); }
  void OnFrame(const transport::PeerId& peer, transport::InFrame frame) override {
    running_.wait(nullptr);
    ++asked;
    const wire::ErrorBody body{static_cast<std::int32_t>(Code::kProtocol), "2 here"};
    running_.load()->Send(peer, {wire::MakeHeader(wire::Type::kError, frame.view().id, wire::EncodeBody(body), false, 2), nullptr});
  }
  const std::string& endpoint() const { return server_->endpoint(); }
  std::atomic<int> asked = 0;

 private:
  std::unique_ptr<transport::FrameServer> server_;
  std::atomic<transport::FrameServer*> running_ = nullptr;
};

TEST(OtherRelease, EndsWhoMeetsItWithALineThatSaysWhatToChange) {
  const TempDirectory dir;
  OtherRelease server;
  WriteFile(dir.File("file"), "text");
  const std::string at = server.endpoint();
  const std::vector<std::pair<std::string, std::vector<std::string>>> programs = {
      {"coordinator", {"tributary", "list", "--coordinator", at}},
      {"coordinator", {"tributary", "submit", SourceFile("deploy/jobs/synthetic.yaml"), "--coordinator", at}},
      {"coordinator", {"tributary", "status", "job", "--watch", "--coordinator", at}},
      {"coordinator", {"tributary", "ping", at}},
      {"blob-store", {"tributary", "ping", at, "--service", "blob-store"}},
      {"blob-store", {"tributary", "put", "shared/file", dir.File("file"), "--blob-store", at}},
      {"blob-store", {"tributary", "get", "shared/file", dir.File("other"), "--blob-store", at}},
      {"coordinator", {"tributary-aggregator", "--coordinator", at, "--instance", "a", "--metrics-address", "off"}},
      {"coordinator", {"tributary-trainer", "--coordinator", at, "--site", "s", "--instance", "t", "--work-dir", dir.File("work"), "--metrics-address", "off"}},
  };
  for (auto [role, words] : programs) {
    const std::string name = words[0] + " " + words[1];
    words[0] = Binary(words[0]);
    const int before = server.asked;
    const Outcome outcome = RunProgram(words, dir, std::chrono::seconds(30));
    EXPECT_EQ(outcome.exit_code, 1) << name << outcome.err;
    EXPECT_THAT(outcome.LastErrorLine(), HasSubstr(fmt::format("the {} at {} speaks protocol 2, this program {}; install the same release on both sides, or images of the same tag", role, at,
                                                               wire::kProtocol)))
        << name;
    EXPECT_GT(server.asked, before) << name;
    EXPECT_LT(server.asked, before + 4) << name << ": what will not change is not asked again and again";
  }
}

}  // namespace
}  // namespace tributary::e2e
