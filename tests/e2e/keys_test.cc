// A federation with keys, between real processes: it works for those who are on the list, as who they are, and for nobody else.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <regex>

#include "tests/e2e/keyed_federation.h"

namespace tributary::e2e {
namespace {

using std::chrono::seconds;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

using Keys = KeyedFederation;

TEST_F(Keys, AreEachReadableByTheirOwnerAloneAndNeverMadeAnew) {
  for (const char* who : {"coordinator", "blob-store", "aggregator", "operator", "sites/a", "sites/b", "caches/near"}) {
    struct stat about{};
    ASSERT_EQ(stat(dir_.File(fmt::format("keys/{}/key", who)).c_str(), &about), 0) << who;
    EXPECT_EQ(about.st_mode & 0777, 0600u) << who;
  }
  const std::string before = ReadFile(dir_.File("keys/sites/a/key"));
  const Outcome again = Tributary({"keygen", dir_.File("keys"), "--site", "a", "--site", "c"});
  ASSERT_EQ(again.exit_code, 0) << again.err;
  EXPECT_EQ(ReadFile(dir_.File("keys/sites/a/key")), before);
  EXPECT_THAT(again.out, HasSubstr("1 keys made"));
  EXPECT_THAT(ReadFile(dir_.File("keys/peers")), HasSubstr("trainer c "));
  EXPECT_THAT(ReadFile(dir_.File("keys/servers")), AllOf(HasSubstr("cache near "), Not(HasSubstr("trainer"))));
  // A site that makes its own gives away its public half alone.
  const Outcome own = Tributary({"keygen", dir_.File("elsewhere/key"), "--own"});
  ASSERT_EQ(own.exit_code, 0) << own.err;
  const std::string key = own.out.substr(0, own.out.find('\n'));
  EXPECT_EQ(Tributary({"keygen", dir_.File("keys"), "--admit", "trainer/d=" + key}).exit_code, 0);
  EXPECT_THAT(ReadFile(dir_.File("keys/peers")), HasSubstr("trainer d " + key));
  EXPECT_FALSE(std::filesystem::exists(dir_.File("keys/sites/d")));
  // Who is revoked stays out, whatever is run again.
  EXPECT_EQ(Tributary({"keygen", dir_.File("keys"), "--revoke", "trainer/c", "--revoke", "aggregator/aggregator"}).exit_code, 0);
  const Outcome later = Tributary({"keygen", dir_.File("keys"), "--site", "c", "--site", "e"});
  EXPECT_EQ(later.exit_code, 0) << later.err;
  EXPECT_THAT(later.err, HasSubstr("trainer c was revoked and stays out"));
  EXPECT_THAT(ReadFile(dir_.File("keys/peers")), AllOf(Not(HasSubstr("trainer c ")), Not(HasSubstr("aggregator ")), HasSubstr("trainer e ")));
  EXPECT_EQ(Tributary({"keygen", dir_.File("keys"), "--revoke", "trainer/d"}).exit_code, 0);
  EXPECT_EQ(Tributary({"keygen", dir_.File("keys"), "--admit", "trainer/d=" + key}).exit_code, 2);
  EXPECT_EQ(Tributary({"keygen", dir_.File("k"), "--own", "--site", "x"}).exit_code, 2);
  EXPECT_EQ(Tributary({"keygen", dir_.File("keys"), "--revoke", "trainer/nobody"}).exit_code, 1);
  EXPECT_EQ(Tributary({"keygen", dir_.File("keys"), "--revoke", "coordinator/coordinator"}).exit_code, 2);
}

TEST_F(Keys, AJobRunsFromTheFirstModelToTheOneThatIsFetched) {
  workers_.push_back(Trainer("a", "a", {"--offer", "notes=" + dir_.File("keys/servers")}));
  workers_.push_back(Trainer("b", "b"));
  ASSERT_NO_FATAL_FAILURE(Submit("job", Synthetic("job", 2)));
  ExpectCompleted("job");
  const Outcome exported = Operate({"get", "jobs/job/models/2", dir_.File("model"), "--blob-store", store_at_});
  EXPECT_NE(exported.exit_code, 0);  // a model is no file: it says so, and is not refused
  EXPECT_THAT(exported.err, Not(HasSubstr("may not")));
  // What a site offers goes through the store, and is removed again.
  const Outcome got = Operate({"get", "--from", "a", "notes", dir_.File("notes"), "--coordinator", coordinator_at_, "--blob-store", store_at_});
  EXPECT_EQ(got.exit_code, 0) << got.err;
  EXPECT_EQ(ReadFile(dir_.File("notes")), ReadFile(dir_.File("keys/servers")));
  for (const Program* program : {store_.get(), coordinator_.get()}) EXPECT_THAT(program->ErrorSoFar(), Not(HasSubstr("may not")));
}

TEST_F(Keys, ACacheHasAKeyOfItsOwnAndServesTrainersWhatTheirTasksName) {
  Program cache(With({Binary("tributary-blob-store"), "--listen", "tcp://127.0.0.1:0", "--data-dir", dir_.File("cache"), "--upstream", store_at_}, "caches/near", "peers"), dir_);
  const std::string cache_at = Endpoint(cache);
  for (const char* site : {"a", "b"}) workers_.push_back(Trainer(site, site, {"--model-cache", cache_at}));
  ASSERT_NO_FATAL_FAILURE(Submit("job", Synthetic("job", 2)));
  ExpectCompleted("job");
  EXPECT_TRUE(std::filesystem::exists(dir_.File("cache/objects/jobs+job+broadcasts+1"))) << cache.ErrorSoFar();
  for (const Program* program : {store_.get(), coordinator_.get(), &cache}) EXPECT_THAT(program->ErrorSoFar(), Not(HasSubstr("may not")));
  // What a cache may do itself is to read models.
  EXPECT_EQ(As("caches/near", {"put", "shared/x", dir_.File("keys/servers"), "--blob-store", store_at_}).exit_code, 1);
  EXPECT_THAT(As("caches/near", {"list", "--coordinator", coordinator_at_}).err, HasSubstr("cache near may not send"));
  // It is not taken for the blob-store, whoever dials it as that.
  const Outcome posed = Operate({"ping", cache_at, "--service", "blob-store", "--timeout", "2s"});
  EXPECT_EQ(posed.exit_code, 1);
  EXPECT_THAT(posed.err, HasSubstr("its key is not"));
  const Outcome pinged = Operate({"ping", cache_at, "--service", "cache"});
  EXPECT_EQ(pinged.exit_code, 0) << pinged.err;
  const auto unknown = Trainer("a", "a", {"--model-cache", cache_at, "--model-cache-name", "far"});
  const Outcome refused = unknown->Wait(seconds(60));
  EXPECT_EQ(refused.exit_code, 2);
  EXPECT_THAT(refused.LastErrorLine(), HasSubstr("no 'cache far KEY'"));
}

TEST_F(Keys, ASitesKeyReadsAndWritesNothingWithoutATask) {
  ASSERT_NO_FATAL_FAILURE(Submit("job", Synthetic("job", 1)));
  workers_.push_back(Trainer("a", "a"));
  workers_.push_back(Trainer("b", "b"));
  ExpectCompleted("job");
  // By hand, with the key of a site that has just trained on it: neither the models nor its own update, and it puts nothing.
  for (const char* object : {"jobs/job/models/0", "jobs/job/broadcasts/0", "jobs/job/models/1", "jobs/job/rounds/1/updates/a/0"}) {
    const Outcome got = As("sites/a", {"get", object, dir_.File("got"), "--blob-store", store_at_});
    EXPECT_EQ(got.exit_code, 1) << object;
    EXPECT_THAT(got.err, HasSubstr(fmt::format("trainer a may not read '{}': it shows no grant of a task", object)));
    EXPECT_FALSE(std::filesystem::exists(dir_.File("got")));
  }
  const Outcome put = As("sites/a", {"put", "shared/mine", dir_.File("keys/servers"), "--blob-store", store_at_});
  EXPECT_EQ(put.exit_code, 1);
  EXPECT_THAT(put.err, HasSubstr("trainer a may not"));
}

TEST_F(Keys, NobodyDoesWhatIsNotHisRole) {
  std::ofstream(dir_.File("job.yaml")) << Synthetic("job", 1);
  // A site may neither submit nor fetch what operators put; an aggregator may not either.
  const Outcome submitted = As("sites/a", {"submit", dir_.File("job.yaml"), "--coordinator", coordinator_at_});
  EXPECT_EQ(submitted.exit_code, 1);
  EXPECT_THAT(submitted.err, HasSubstr("trainer a may not send submit messages"));
  ASSERT_EQ(Operate({"put", "shared/list", dir_.File("keys/servers"), "--blob-store", store_at_}).exit_code, 0);
  const Outcome got = As("sites/a", {"get", "shared/list", dir_.File("list"), "--blob-store", store_at_});
  EXPECT_EQ(got.exit_code, 1);
  EXPECT_THAT(got.err, HasSubstr("trainer a may not read 'shared/list'"));
  const Outcome taken = As("aggregator", {"get", "shared/list", dir_.File("list"), "--blob-store", store_at_});
  EXPECT_THAT(taken.err, HasSubstr("aggregator aggregator may not read 'shared/list'"));
  for (const char* verb : {"stop", "status"}) {
    EXPECT_THAT(As("aggregator", {verb, "job", "--coordinator", coordinator_at_}).err, HasSubstr("may not send")) << verb;
  }
  EXPECT_THAT(As("sites/a", {"list", "--coordinator", coordinator_at_}).err, HasSubstr("may not send list-jobs messages"));
  // A key of one site is no key of another.
  const auto impostor = Trainer("b", "a");
  const Outcome ended = impostor->Wait(seconds(60));
  EXPECT_EQ(ended.exit_code, 1);
  EXPECT_THAT(ended.LastErrorLine(), HasSubstr("trainer a may not work for site 'b'"));
  // Without keys nobody says anything.
  const Outcome naked = Tributary({"list", "--coordinator", coordinator_at_});
  EXPECT_EQ(naked.exit_code, 1);
  EXPECT_THAT(naked.err, HasSubstr("give --key and --peers"));
}

TEST_F(Keys, ARevokedSiteIsOutAtOnceAndTheJobGoesOn) {
  workers_.push_back(Trainer("a", "a"));
  auto out = Trainer("b", "b");
  ASSERT_NO_FATAL_FAILURE(Submit("first", Synthetic("first", 1)));
  ExpectCompleted("first");
  ASSERT_EQ(Tributary({"keygen", dir_.File("keys"), "--revoke", "trainer/b"}).exit_code, 0);
  EXPECT_TRUE(Says(*out, "refuses this process's key")) << out->ErrorSoFar();
  // The seat is free for another trainer of a site that is known.
  workers_.push_back(Worker("tributary-trainer", "sites/a", {"--site", "a", "--instance", "another", "--work-dir", dir_.File("work-another")}));
  ASSERT_NO_FATAL_FAILURE(Submit("second", Synthetic("second", 1)));
  ExpectCompleted("second");
  const Outcome status = Operate({"status", "second", "--coordinator", coordinator_at_});
  EXPECT_THAT(status.out, Not(HasSubstr("b/0")));
}

TEST_F(Keys, APortThatLeavesTheMachineWantsKeys) {
  const Outcome open = RunProgram({Binary("tributary-coordinator"), "--listen", "tcp://0.0.0.0:0", "--state-dir", dir_.File("other"), "--blob-store", store_at_}, dir_);
  EXPECT_EQ(open.exit_code, 2);
  EXPECT_THAT(open.LastErrorLine(), HasSubstr("leaves this machine"));
  EXPECT_THAT(open.LastErrorLine(), HasSubstr("--insecure"));
  std::filesystem::permissions(dir_.File("keys/sites/a/key"), std::filesystem::perms::others_read, std::filesystem::perm_options::add);
  const auto careless = Trainer("a", "a");
  const Outcome refused = careless->Wait(seconds(60));
  EXPECT_EQ(refused.exit_code, 2);
  EXPECT_THAT(refused.LastErrorLine(), HasSubstr("chmod 600"));
  const Outcome missing = RunProgram({Binary("tributary"), "list", "--coordinator", coordinator_at_, "--key", dir_.File("nokey"), "--peers", dir_.File("keys/servers")}, dir_);
  EXPECT_NE(missing.exit_code, 0);
  EXPECT_THAT(missing.err, HasSubstr("nokey"));
}

}  // namespace
}  // namespace tributary::e2e
