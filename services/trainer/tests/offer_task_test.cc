#include "services/trainer/offer_task.h"

#include <gmock/gmock.h>

#include "libs/blob/testing/store_testing.h"
#include "task_fixture.h"
#include "tributary/objects/files.h"

namespace tributary::trainer {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::Not;

class OfferTask : public TaskFixture {
 protected:
  OfferTask() { std::ofstream(temp_.path() / "scans") << std::string(3 << 20, 's'); }
  Result<session::TaskResult> Send(const std::string& name, const std::string& object = "offers/x-1") {
    wire::TaskSpec spec = Task(wire::TaskKind::kOffer);
    spec.job.clear();
    spec.base = name;
    spec.output = object;
    return Run(spec, "");
  }
};

TEST_F(OfferTask, PutsWhatIsListedSealedAndTellsItsDigest) {
  identity_.offers = {{"scans", (temp_.path() / "scans").string()}};
  const auto sent = Send("scans");
  ASSERT_TRUE(sent.ok()) << sent.error().message();
  EXPECT_EQ(progress_.phases.back(), "offer");
  EXPECT_EQ(progress_.total, 3u << 20);
  EXPECT_EQ(progress_.done, 3u << 20);
  const auto info = store_->Stat(ObjectName::Trusted("offers/x-1"));
  ASSERT_TRUE(info.ok());
  EXPECT_TRUE(info->sealed);
  EXPECT_EQ(info->digest, sent->digest);

  wire::TaskSpec remove = Task(wire::TaskKind::kRemove);
  remove.objects = {"offers/x-1"};
  ASSERT_TRUE(Run(remove, "").ok());
  EXPECT_EQ(store_->Stat(ObjectName::Trusted("offers/x-1")).error().code(), Code::kNotFound);
}

TEST_F(OfferTask, GoesOnWhereAnEarlierProcessWasKilled) {
  identity_.offers = {{"scans", (temp_.path() / "scans").string()}};
  const auto source = *objects::ReadPath(identity_.offers["scans"]);
  wire::ObjectSpec spec;
  spec.kind = wire::ObjectKind::kOther;
  spec.tensors = source->Entries();
  spec.info = source->Info();
  const ObjectName object = ObjectName::Trusted("offers/x-1");
  ASSERT_TRUE(store_->Create(object, spec, false).ok());
  const std::vector<std::byte> slot(spec.chunk_bytes, std::byte{'s'});
  ASSERT_TRUE(blob::testing::PutOne(*store_, object, 0, slot).ok());
  const auto sent = Send("scans");
  ASSERT_TRUE(sent.ok()) << sent.error().message();
  EXPECT_TRUE(store_->Stat(object)->sealed);
}

TEST_F(OfferTask, GivesNothingThatIsNotListed) {
  identity_.offers = {{"scans", (temp_.path() / "scans").string()}};
  identity_.data = {{"imdb", (temp_.path() / "scans").string()}};
  for (const std::string name : {"notes", "imdb", "../scans", "/etc/hostname", ""}) {
    const auto sent = Send(name);
    EXPECT_EQ(sent.error().code(), Code::kNotFound) << name;
    EXPECT_THAT(sent.error().message(), HasSubstr("site 'local' offers no '")) << name;
  }
  // Nor puts it elsewhere, nor removes what is others'.
  EXPECT_EQ(Send("scans", "jobs/j/models/1").error().code(), Code::kPermission);
  wire::TaskSpec remove = Task(wire::TaskKind::kRemove);
  remove.objects = {"jobs/j/models/0"};
  EXPECT_EQ(Run(remove, "").error().code(), Code::kPermission);
}

TEST_F(OfferTask, WhatIsGoneOrCannotBeSentIsToldWithoutItsPath) {
  const std::string secret = temp_.path().string();
  identity_.offers = {{"scans", secret + "/none"}, {"links", secret + "/tree"}};
  const auto gone = Send("scans");
  EXPECT_EQ(gone.error().code(), Code::kNotFound);
  EXPECT_THAT(gone.error().message(), HasSubstr("offers as 'scans' is not there any more"));
  EXPECT_THAT(gone.error().message(), Not(HasSubstr(secret)));
  fs::create_directory(temp_.path() / "tree");
  fs::create_symlink("/etc/passwd", temp_.path() / "tree/link");
  const auto link = Send("links");
  EXPECT_EQ(link.error().code(), Code::kInvalidArgument);
  EXPECT_THAT(link.error().message(), HasSubstr("links/link is neither a file nor a directory"));
  EXPECT_THAT(link.error().message(), Not(HasSubstr(secret)));
}

}  // namespace
}  // namespace tributary::trainer
