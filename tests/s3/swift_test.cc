// The S3 back end against a real S3 service that verifies signatures: OpenStack Swift on loopback (swift_server.py).
#include <fcntl.h>
#include <gmock/gmock.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <sstream>

#include "libs/base/testing/sanitized.h"
#include "services/blob-store/tests/harness.h"
#include "tributary/memory/process_memory.h"
#include "tributary/s3/client.h"

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
using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr int kSkipped = 77;  // of swift_server.py

// A process with a pipe to its standard input and, if asked for, one from its standard output.
class Child {
 public:
  Child(std::vector<std::string> args, bool read_output) {
    int in[2];
    int out[2];
    if (pipe2(in, O_CLOEXEC) != 0 || pipe2(out, O_CLOEXEC) != 0) std::abort();
    pid_ = fork();
    if (pid_ == 0) {
      dup2(in[0], 0);
      if (read_output) dup2(out[1], 1);
      std::vector<char*> argv;
      for (std::string& arg : args) argv.push_back(arg.data());
      argv.push_back(nullptr);
      execv(argv[0], argv.data());
      _exit(127);
    }
    close(in[0]);
    close(out[1]);
    in_ = in[1];
    out_ = out[0];
  }
  ~Child() { End(); }
  Child(const Child&) = delete;

  std::string ReadLine() const {
    std::string line;
    for (char c; read(out_, &c, 1) == 1 && c != '\n';) line.push_back(c);
    return line;
  }
  pid_t pid() const { return pid_; }
  // `ended`: by itself.
  int End(bool ended = false) {
    if (pid_ < 0) return -1;
    close(in_);
    close(out_);
    int status = 0;
    // One that has ended, or is about to, keeps its own exit code.
    if (!ended) kill(pid_, SIGTERM);
    waitpid(std::exchange(pid_, -1), &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }

 private:
  pid_t pid_ = -1;
  int in_ = -1;
  int out_ = -1;
};

class SwiftStore : public ::testing::Test {
 protected:
  void SetUp() override {
    StartSwift();
    if (word_ != "ready") {
      ASSERT_EQ(swift_->End(/*ended=*/true), kSkipped) << "Swift did not start";
      GTEST_SKIP() << "needs OpenStack Swift (Debian: apt-get install python3-swift) and extended attributes in the temporary directory";
    }
    s3_.path_style = true;
    s3_.prefix = "site/a";
    s3_.first_pause = Duration(20);
    server_.Kill();
  }
  // Again: at the same port, over what it stored.
  void StartSwift() {
    std::vector<std::string> args = {"/usr/bin/python3", TRIBUTARY_SWIFT_SERVER, temp_.File("swift")};
    if (!s3_.endpoint.empty()) args.insert(args.end(), {"--port", s3_.endpoint.substr(s3_.endpoint.rfind(':') + 1)});
    swift_ = std::make_unique<Child>(args, true);
    std::istringstream line(swift_->ReadLine());
    line >> word_ >> s3_.endpoint >> s3_.bucket >> s3_.credentials.access_key >> s3_.credentials.secret_key >> s3_.region;
  }
  void StartStore(const char* directory) {
    server_.Kill();
    server_.spec().directory = temp_.path() / directory;
    server_.spec().s3 = s3_;
    server_.spec().s3_part_bytes = 300'000;
    server_.Start();
  }
  fs::path FileOf(const char* directory, const char* object, const char* file) const {
    return temp_.path() / directory / "objects" / object / file;
  }
  static void ExpectChunks(blob::BlobStore& store, const ObjectName& name, const wire::ObjectSpec& spec) {
    const auto layout = LayoutOf(spec);
    auto reader = store.Read(blob::SlotsOf(name, layout.all_slots()), {});
    ASSERT_TRUE(reader.ok());
    for (std::uint64_t slot = 0; slot < layout.slot_count(); ++slot) {
      auto chunk = (*reader)->Next();
      ASSERT_TRUE(chunk.ok()) << chunk.error().message();
      ASSERT_TRUE(std::ranges::equal((*chunk)->bytes, Pattern(layout.SlotBytes(slot), slot))) << slot;
    }
  }
  std::vector<std::string> KeysInTheBucket() {
    const auto client = s3::MakeClient(s3_);
    std::vector<std::string> all;
    for (std::string after;;) {
      const auto keys = (*client)->List("", after);
      EXPECT_TRUE(keys.ok()) << keys.error().message();
      if (!keys.ok() || keys->empty()) return all;
      all.insert(all.end(), keys->begin(), keys->end());
      after = all.back();
    }
  }

  TempDirectory temp_;
  std::string word_;
  s3::ClientOptions s3_;
  std::unique_ptr<Child> swift_;
  Server server_;
  const wire::ObjectSpec spec_ = OneTensorSpec(1_MiB, 64_KiB);
};

TEST_F(SwiftStore, TheClientAndARealServiceAgree) {
  const auto client = s3::MakeClient(s3_);
  ASSERT_TRUE(client.ok()) << client.error().message();
  const auto value = Pattern(3_MiB, 1);
  const auto source = [&](std::uint64_t offset, std::span<std::byte> out) {
    std::copy_n(value.begin() + static_cast<std::ptrdiff_t>(offset), out.size(), out.begin());
    return Ok();
  };
  for (const char* key : {"a", "A.b_c/-0123456789abcdef/data-000000", "a/b/c-d/-root"}) {
    TRIBUTARY_ASSERT_OK((*client)->Put(key, value.size(), source));
    EXPECT_EQ(*(*client)->Size(key), value.size());
    std::vector<std::byte> part(70'001);
    TRIBUTARY_ASSERT_OK((*client)->Get(key, 1'000'003, part));
    EXPECT_TRUE(std::equal(part.begin(), part.end(), value.begin() + 1'000'003));
  }
  EXPECT_THAT(*(*client)->List("", ""), ::testing::ElementsAre("A.b_c/-0123456789abcdef/data-000000", "a", "a/b/c-d/-root"));
  EXPECT_THAT(*(*client)->List("a/", ""), ::testing::ElementsAre("a/b/c-d/-root"));
  EXPECT_THAT(*(*client)->List("", "A.b_c/-0123456789abcdef/data-000000"), ::testing::ElementsAre("a", "a/b/c-d/-root"));
  std::vector<std::byte> beyond(10);
  EXPECT_EQ(CodeOf((*client)->Get("a", value.size() - 5, beyond)), "data loss");
  EXPECT_EQ(CodeOf((*client)->Get("a", value.size(), beyond)), "data loss");
  TRIBUTARY_ASSERT_OK((*client)->Delete("a"));
  TRIBUTARY_ASSERT_OK((*client)->Delete("a"));
  EXPECT_EQ(CodeOf((*client)->Get("a", 0, beyond)), "not found");
  EXPECT_EQ(CodeOf((*client)->Size("a")), "not found");
  // Bytes that are not what was signed are refused by the service: the source changes its mind.
  int reads = 0;
  const Status changed = (*client)->Put("changed", 100, [&](std::uint64_t, std::span<std::byte> out) {
    std::ranges::fill(out, static_cast<std::byte>(reads++));
    return Ok();
  });
  EXPECT_FALSE(changed.ok());
  EXPECT_EQ(CodeOf((*client)->Size("changed")), "not found");
}

TEST_F(SwiftStore, AnObjectsWholeLife) {
  const ObjectName name = Object("jobs/j-1/rounds/1/model");
  server_.spec().s3_cache_bytes = 1;
  StartStore("one");
  Client client(server_.endpoint());
  TRIBUTARY_ASSERT_OK(client->Create(name, spec_, false));
  TRIBUTARY_ASSERT_OK(PutAll(*client, name, LayoutOf(spec_)));
  const auto digest = client->Seal(name, 0, true);
  TRIBUTARY_ASSERT_OK(digest);
  EXPECT_FALSE(fs::exists(FileOf("one", "jobs+j-1+rounds+1+model", "data"))) << "evicted";
  ExpectChunks(*client, name, spec_);

  // An empty directory.
  StartStore("two");
  EXPECT_EQ(client->Stat(name)->digest, *digest);
  ExpectChunks(*client, name, spec_);

  // A wrong secret: the service starts with it no more.
  server_.Kill();
  auto wrong = server_.spec();
  wrong.s3->credentials.secret_key += "x";
  const auto denied = BlobStoreService::Start(wrong);
  ASSERT_EQ(CodeOf(denied), "permission");
  EXPECT_THAT(denied.error().message(), AllOf(HasSubstr("SignatureDoesNotMatch"), HasSubstr("HTTP 403"), HasSubstr(s3_.bucket), HasSubstr(s3_.endpoint)));
  wrong = server_.spec();
  wrong.s3->bucket = "no-such-bucket";
  const auto absent = BlobStoreService::Start(wrong);
  ASSERT_FALSE(absent.ok());
  EXPECT_THAT(absent.error().message(), AllOf(HasSubstr("NoSuchBucket"), HasSubstr("--s3-bucket")));
  server_.Start();

  // The service goes away: what is on the disk goes on.
  const ObjectName open = Object("jobs/j-1/rounds/2/model");
  TRIBUTARY_ASSERT_OK(client->Create(open, spec_, false));
  swift_->End();
  const auto gone = GetOne(*client, name, 0);
  ASSERT_EQ(CodeOf(gone), "i/o");
  EXPECT_THAT(gone.error().message(), AllOf(HasSubstr(s3_.endpoint), HasSubstr("--s3-endpoint")));
  TRIBUTARY_ASSERT_OK(PutAll(*client, open, LayoutOf(spec_)));
  ExpectChunks(*client, open, spec_);
  EXPECT_EQ(CodeOf(client->Seal(open, 0, true)), "unavailable");
  EXPECT_FALSE(client->Stat(open)->sealed);
  EXPECT_EQ(CodeOf(client->Remove(name)), "i/o");

  // And comes back.
  StartSwift();
  ASSERT_EQ(word_, "ready");
  TRIBUTARY_ASSERT_OK(client->Seal(open, 0, true));
  ExpectChunks(*client, open, spec_);
  ExpectChunks(*client, name, spec_);
  TRIBUTARY_ASSERT_OK(client->Remove(name));
  TRIBUTARY_ASSERT_OK(client->Remove(open));
  EXPECT_THAT(KeysInTheBucket(), ::testing::ElementsAre("format"));
}

// The real binary, its flags and its memory. TRIBUTARY_S3_TEST_BYTES: how large an object (default 64MiB).
TEST_F(SwiftStore, TheProcessStaysSmallWhileAnObjectGoesAndComesBack) {
  const char* wanted = std::getenv("TRIBUTARY_S3_TEST_BYTES");
  const std::uint64_t bytes = wanted == nullptr ? 64_MiB : ParseBytes(wanted).value();
  const auto spec = OneTensorSpec(bytes, 1_MiB);
  const auto layout = LayoutOf(spec);
  const std::string endpoint = "ipc://" + temp_.File("socket");
  const std::string credentials =
      temp_.Write("credentials", fmt::format("[default]\naws_access_key_id = {}\naws_secret_access_key = {}\n", s3_.credentials.access_key,
                                             s3_.credentials.secret_key));
  fs::permissions(credentials, fs::perms(0600));
  Child store({TRIBUTARY_BLOB_STORE_BINARY, "--listen", endpoint, "--data-dir", temp_.File("data"), "--memory-budget", "8MiB", "--metrics-address", "off",
               "--s3-endpoint", s3_.endpoint, "--s3-bucket", s3_.bucket, "--s3-prefix", "process", "--s3-path-style", "--s3-credentials-file",
               credentials, "--s3-cache-bytes", "1"},
              false);
  using Clock = std::chrono::steady_clock;
  Client client(endpoint);
  TRIBUTARY_ASSERT_OK(client->Create(Object("big"), spec, false));
  TRIBUTARY_ASSERT_OK(PutAll(*client, Object("big"), layout));
  const auto peak = [&] { return memory::ReadProcessMemory(store.pid())->rss_peak; };
  const std::uint64_t put_peak = peak();
  const auto t0 = Clock::now();
  TRIBUTARY_ASSERT_OK(client->Seal(Object("big"), 0, true));
  const auto t1 = Clock::now();
  const std::uint64_t seal_peak = peak();
  EXPECT_FALSE(fs::exists(FileOf("data", "big", "data")));
  ExpectChunks(*client, Object("big"), spec);
  const auto t2 = Clock::now();
  const auto speed = [&](auto duration) { return static_cast<double>(bytes >> 20) / std::chrono::duration<double>(duration).count(); };
  std::printf("%s, memory budget 8 MiB: seal with upload %.0f MiB/s, get from the bucket %.0f MiB/s; peak RSS after put %s, seal %s, get %s\n",
              FormatBytes(bytes).c_str(), speed(t1 - t0), speed(t2 - t1), FormatBytes(put_peak).c_str(), FormatBytes(seal_peak).c_str(),
              FormatBytes(peak()).c_str());
  if (!kSanitized) {
    EXPECT_LE(peak(), 40_MiB);
  }
  EXPECT_EQ(store.End(), 0);
}

}  // namespace
}  // namespace tributary::service::testing
