#include "services/cli/bench/pair.h"

#include "services/cli/bench/bench.h"
#include "services/cli/bench/forked.h"
#include "tributary/digest/digest.h"
#include "tributary/memory/malloc.h"

namespace tributary::cli {

Result<PairRun> RunPair(const std::string& endpoint, const transport::BarePair& pair, bool hashed) {
  const transport::OnBareMessage take = [hashed](std::span<const std::byte> message) {
    if (hashed) (void)digest::ComputeSha256(message);
  };
  TRIBUTARY_ASSIGN(auto router, Forked::Start("bare ROUTER", [&](const Forked::Tell& tell) -> Result<Json> {
    memory::TuneMalloc(64_MiB);
    TRIBUTARY_ASSIGN(const auto run, transport::RunBareRouter(endpoint, pair, tell, take));
    return Json(run.cpu_seconds);
  }));
  TRIBUTARY_ASSIGN(const std::string bound, router.Told());
  TRIBUTARY_ASSIGN(auto dealer, Forked::Start("bare DEALER", [&](const Forked::Tell&) -> Result<Json> {
    memory::TuneMalloc(64_MiB);
    TRIBUTARY_ASSIGN(const auto run, transport::RunBareDealer(bound, pair, take));
    return Json{{"seconds", run.seconds}, {"cpu", run.cpu_seconds}};
  }));
  TRIBUTARY_ASSIGN(const ForkedOutcome dealt, dealer.Finish());
  TRIBUTARY_ASSIGN(const ForkedOutcome routed, router.Finish());
  TRIBUTARY_ASSIGN(const double seconds, GetNumber(dealt.value, "seconds", "the bare DEALER's result"));
  TRIBUTARY_ASSIGN(const double cpu, GetNumber(dealt.value, "cpu", "the bare DEALER's result"));
  return PairRun{PerSecond(pair.messages * pair.message_bytes, seconds), cpu + routed.value.get<double>()};
}

}  // namespace tributary::cli
