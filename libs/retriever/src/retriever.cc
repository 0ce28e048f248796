#include "tributary/retriever/retriever.h"

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <utility>

#include "tributary/base/clock.h"
#include "tributary/base/log.h"
#include "tributary/base/names.h"
#include "tributary/base/random.h"
#include "tributary/blob_client/remote_store.h"
#include "tributary/transport/control_client.h"

namespace tributary::retriever {
namespace {

constexpr Duration kAsk{500};         // between two questions while the site sends
constexpr Duration kStillWanted{5'000};
constexpr Duration kAnswer{5'000};
constexpr Duration kGoodbye{2'000};

// Until `duration` is over or a stop is asked for; false then.
bool Sleep(Duration duration, std::stop_token stop) {
  std::mutex mutex;
  std::condition_variable_any never;
  std::unique_lock lock(mutex);
  never.wait_for(lock, stop, duration, [] { return false; });
  return !stop.stop_requested();
}

// Tells the coordinator now and then that the object is still wanted.
class StillWanted {
 public:
  StillWanted(std::shared_ptr<transport::Context> context, std::string endpoint, wire::Retrieve request)
      : thread_([context = std::move(context), endpoint = std::move(endpoint), request = std::move(request)](std::stop_token stop) {
          const auto client = transport::ControlClient::Connect(context, endpoint);
          // A coordinator that is away forgets nothing; one that was started anew knows nothing, and its store's rule removes the object.
          while (client.ok() && Sleep(kStillWanted, stop)) {
            if (const auto said = (*client)->Call<wire::Retrieval>(request, Duration(1'000)); !said.ok()) log::Debug("{}", said.error().message());
          }
        }) {}

 private:
  std::jthread thread_;
};

class Request {
 public:
  Request(std::shared_ptr<transport::Context> context, const RetrieveOptions& options, transport::ControlClient& control)
      : context_(std::move(context)), options_(options), control_(control) {
    request_.request = NewLife() + NewLife();
    request_.site = options.site;
    request_.name = options.name;
  }

  // Until the site has put it into the store.
  Result<wire::Retrieval> AwaitSent() {
    Deadline deadline(Clock::Steady(), options_.patience);
    wire::Retrieval last;
    bool accepted = false;
    std::string reason;
    for (;;) {
      const auto answer = control_.Call<wire::Retrieval>(request_, std::min(kAnswer, options_.patience));
      std::string now_reason;
      if (answer.ok()) {
        accepted = true;
        if (answer->state == "done") return *answer;
        if (answer->state == "failed") return Error(CodeFromInt(answer->code), answer->message);
        const bool moved = answer->state != last.state || answer->trainer != last.trainer || answer->done != last.done;
        if (moved) deadline.Renew();
        last = *answer;
        now_reason = answer->message;
        if (answer->state == "sending" && options_.sending && answer->total > 0) options_.sending(answer->done, answer->total);
      } else {
        // A coordinator that was started anew is asked again, until the site's trainers have found it too.
        const Code code = answer.error().code();
        const bool again = code == Code::kDeadline || (accepted && (code == Code::kUnavailable || code == Code::kNotFound));
        if (!again) return answer.error();
        now_reason = answer.error().message();
      }
      if (now_reason != reason && options_.waiting && !now_reason.empty()) options_.waiting(now_reason);
      reason = now_reason;
      if (deadline.Expired()) {
        return MakeError(Code::kDeadline, "no progress for {}: {}", FormatDuration(options_.patience),
                         !reason.empty() ? reason
                                         : fmt::format("trainer {} has sent {} of {}; see its log", last.trainer, FormatBytes(last.done),
                                                       FormatBytes(last.total)));
      }
      if (!Sleep(kAsk, options_.stop)) return MakeError(Code::kCancelled, "stopped");
    }
  }

  Result<objects::Outcome> Fetch(memory::Pool& pool, const wire::Retrieval& sent, objects::Sink& sink) {
    TRIBUTARY_ASSIGN(const ObjectName object, ObjectName::Parse(sent.object));
    if (!options_.digest.empty() && options_.digest != sent.digest) {
      return MakeError(Code::kDataLoss, "it has the digest {}, not {}", sent.digest, options_.digest);
    }
    blob_client::RemoteOptions remote;
    remote.endpoints = options_.blob_stores.empty() ? sent.blob_stores : options_.blob_stores;
    remote.connections = options_.connections;
    remote.instance = "retriever";
    remote.request_timeout = remote.connect_timeout = remote.read_timeout = options_.patience;
    remote.stop = options_.stop;
    const StillWanted still(context_, options_.coordinator, request_);
    TRIBUTARY_ASSIGN(const auto store, blob_client::ConnectStore(context_, pool, remote));
    objects::GetOptions get;
    get.digest = sent.digest;
    get.progress = options_.receiving;
    get.stop = options_.stop;
    auto outcome = objects::Get(*store, object, sink, get);
    if (!outcome.ok()) return outcome;
    // Its holder removes it too, once it is told that this is over; whoever comes second finds nothing.
    if (const Status removed = store->Remove(object); !removed.ok()) log::Warning("removing {}: {}", object.str(), removed.error().message());
    return outcome;
  }

  void Over() {
    request_.over = true;
    if (const auto said = control_.Call<wire::Retrieval>(request_, kGoodbye); !said.ok()) log::Debug("{}", said.error().message());
  }

 private:
  const std::shared_ptr<transport::Context> context_;
  const RetrieveOptions& options_;
  transport::ControlClient& control_;
  wire::Retrieve request_;
};

}  // namespace

Result<std::vector<wire::OfferSummary>> ListOffers(std::shared_ptr<transport::Context> context, const std::string& coordinator,
                                                   const std::string& site, Duration timeout) {
  TRIBUTARY_ASSIGN(const auto client, transport::ControlClient::Connect(std::move(context), coordinator));
  TRIBUTARY_ASSIGN(auto list, client->Call<wire::OfferList>(wire::ListOffers{site}, timeout));
  return std::move(list.offers);
}

Result<objects::Outcome> Retrieve(std::shared_ptr<transport::Context> context, memory::Pool& pool, const RetrieveOptions& options,
                                  objects::Sink& sink) {
  const auto named = [&](const Error& error) { return error.Wrap(fmt::format("'{}' of site '{}'", options.name, options.site)); };
  TRIBUTARY_ASSIGN(const auto control, transport::ControlClient::Connect(context, options.coordinator));
  Request request(context, options, *control);
  const auto sent = request.AwaitSent();
  if (!sent.ok()) {
    request.Over();
    return named(sent.error());
  }
  auto outcome = request.Fetch(pool, *sent, sink);
  request.Over();
  if (!outcome.ok()) return named(outcome.error());
  return outcome;
}

}  // namespace tributary::retriever
