// One sample of every message, each field set to something that is not its default.
#pragma once

#include <span>
#include <string>

#include "tributary/wire/codec.h"
#include "tributary/wire/control.h"
#include "tributary/wire/data.h"
#include "tributary/wire/grant.h"
#include "tributary/wire/object.h"

namespace tributary::wire {

constexpr std::uint64_t kSampleId = 7;

inline digest::Xxh128 SampleXxh128() {
  digest::Xxh128 digest;
  for (std::size_t i = 0; i < digest.size(); ++i) digest[i] = static_cast<std::byte>(0xA0 + i);
  return digest;
}

inline digest::Sha256 SampleSha256() {
  digest::Sha256 digest;
  for (std::size_t i = 0; i < digest.size(); ++i) digest[i] = static_cast<std::byte>(0xC0 + i);
  return digest;
}

inline std::vector<std::byte> SampleGrantBytes() { return {std::byte{0xde}, std::byte{0xad}, std::byte{0xbe}, std::byte{0xef}}; }

inline Grant SampleGrant() {
  return {"trainer", "site", "job-1", 2, {"jobs/job-1/broadcasts/2", "models/base"}, {"jobs/job-1/rounds/3/updates/site/1"}, 1'800'000'000};
}

inline TaskSpec SampleTaskSpec() {
  return {"job-1.r3.aggregate.0", 4, "job-1", 3, 2, "site/1", 1, "jobs/job-1/models/2", std::string(64, 'a'),
          "jobs/job-1/models/3", 10, 20, 2,
          {{"jobs/job-1/rounds/3/updates/a/0", 0.25, std::string(64, 'd')}, {"jobs/job-1/rounds/3/updates/b/1", 0.75, ""}}, {"old"},
          "jobs/job-1/broadcasts/3", std::string(64, 'e'), SampleGrantBytes()};
}
inline TaskReport SampleTaskReport() {
  return {"job-1.r3.train.1", 3, "train", 5, 10, "steps", 100, 200, {{"train_loss", 2.5}}, std::string(64, 'b'), 4, 6, "slow",
          std::string(64, 'f')};
}

// Calls f(sample) for every message type.
template <class F>
void ForEachSample(F&& f) {
  const std::string digest(64, 'c');
  f(ErrorBody{3, "no such job"});
  f(Ping{});
  f(Pong{"coordinator", "0.1.0"});
  f(Hello{1, "site", "trainer-0", 2, "0.1.0", {"imdb"}, {0, 2}, "00c0ffee", {"scans"}, 64u << 20});
  f(Welcome{"s-1", 500, {"tcp://store:7710"}, 2});
  f(Report{"s-1", {SampleTaskReport()}, {{"rss", 1e6}}, true});
  f(Assignment{"site/1", {SampleTaskSpec()}});
  f(GetJobText{"job-1"});
  f(JobText{"job-1", "name: job\n"});
  f(Submit{"job-1", "name: job\n", true});
  f(Submitted{"job-1", true});
  f(GetStatus{"job-1", 2});
  JobStatus status{"job-1", "running", "train", 3, 5, 12.5, "why", "jobs/job-1/models/2", digest, 6, 7, {}, {}};
  status.seats.push_back({"site/1", "trainer-0", "train", 3, 10, "steps", {{"train_loss", 1.5}}});
  status.finished.push_back({2, 9.5, {"site/0"}, {"site/1"}, {{"val_loss", 1.25}}, 11, 12, digest, {"no progress for 30m"}});
  f(status);
  f(ListJobs{});
  f(JobList{{{"job-1", "running", 3, 5}}});
  f(StopJob{"job-1"});
  f(Stopped{"job-1", "stopped"});
  f(GetLog{"job-1", 41});
  f(Log{"job-1", "running", {{42, 1700000000123, true, "seat site/1 is left out"}}});
  f(ResumeJob{"job-1", 9, 4});
  f(Resumed{"job-1", "queued", 3, 9});
  f(ListOffers{"site"});
  f(OfferList{{{"site", "scans", 2}}});
  f(Retrieve{"a1b2", "site", "scans", true});
  f(Retrieval{"a1b2", "failed", "offers/1", digest, {"tcp://store:7710", "tcp://other:7710"}, "trainer-0", 5, 10, 2, "it is gone"});

  f(StoreHello{"trainer-0", 1, SampleGrantBytes()});
  f(StoreWelcome{9, 1, 2, 1048576, 32});
  f(Create{"o", true});
  f(Created{"o", true, true});
  f(Stat{"o"});
  f(ObjectStatus{"o", 2, true, 10, 9, 3, 100, 4096, 2048, digest, 1.5});
  f(GetSpec{"o"});
  f(SpecBody{"o"});
  f(GetMissing{"o", 1, 100, 3});
  f(Missing{{1, 5, 7, 9}, 50});
  f(CreditRequest{1048576, 65536, 8388608});
  f(CreditGrant{524288});
  f(PutChunk{"o", 5, 3, 2, SampleXxh128()});
  f(PutAck{5});
  f(GetChunk{"o", 5, 3, 1000});
  f(Chunk{5, 3, 2, SampleXxh128()});
  f(CancelReads{});
  f(LinkChunk{"o", 5, 3, "base", 4096, SampleXxh128(), SampleSha256()});
  f(Seal{"o", 3, false});
  f(Sealed{"o", digest, 10});
  f(GetRoot{"o"});
  f(RootBody{"o"});
  f(GetPage{"o", 2});
  f(PageBody{2});
  f(GetDigests{"o", 2});
  f(PutDigests{"o", 2, 3});
  f(Remove{"o"});
  f(Removed{"o"});
  f(List{"jobs/", "jobs/a", 10});
  f(ObjectList{{"jobs/b", "jobs/c"}});
}

inline std::span<const std::byte> AsBytes(const std::string& text) { return std::as_bytes(std::span(text)); }

}  // namespace tributary::wire
