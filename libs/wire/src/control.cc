#include "tributary/wire/control.h"

#include <algorithm>
#include <string_view>
#include <type_traits>

#include "fields.h"
#include "tributary/digest/digest.h"
#include "tributary/wire/grant.h"

namespace tributary::wire {

template <class V>
void Fields(V& v, ErrorBody& m) {
  v("code", m.code);
  v("message", m.message);
}
template <class V>
void Fields(V&, Ping&) {}
template <class V>
void Fields(V& v, Pong& m) {
  v("service", m.service);
  v("version", m.version);
}
template <class V>
void Fields(V& v, Hello& m) {
  v("role", m.role);
  v("site", m.site);
  v("instance", m.instance);
  v("ordinal", m.ordinal);
  v("version", m.version);
  v("data", m.data);
  v("encodings", m.encodings);
  v("life", m.life);
  v("offers", m.offers);
  v("memory_budget", m.memory_budget);
}
template <class V>
void Fields(V& v, Welcome& m) {
  v("session", m.session);
  v("heartbeat_ms", m.heartbeat_ms);
  v("blob_stores", m.blob_stores);
  v("blob_store_shards", m.blob_store_shards);
}

// Inputs as they stand on the wire: in columns, names without what they have in common. A thousand of them fit a control
// frame with their digests only so.
struct InputColumns {
  std::string under;
  std::vector<std::string> names;
  std::vector<double> weights;
  std::vector<digest::Sha256> digests;  // zeros: not told
};
template <class V>
void Fields(V& v, InputColumns& m) {
  v("under", m.under);
  v("names", m.names);
  v("weights", m.weights);
  v("digests", m.digests);
}

namespace {

constexpr std::size_t kMaxUnder = 255;  // as an object's name: it is repeated for each input

InputColumns ColumnsOf(const std::vector<Input>& inputs) {
  InputColumns columns;
  if (inputs.empty()) return columns;
  std::string_view common = inputs.front().object;
  for (const Input& input : inputs) {
    const auto end = std::mismatch(common.begin(), common.end(), input.object.begin(), input.object.end()).first;
    common = common.substr(0, static_cast<std::size_t>(end - common.begin()));
  }
  // Up to a segment's end; npos + 1 is 0.
  common = common.substr(0, std::min(common.rfind('/') + 1, kMaxUnder));
  columns.under = common;
  for (const Input& input : inputs) {
    columns.names.push_back(input.object.substr(common.size()));
    columns.weights.push_back(input.weight);
    const auto digest = digest::ParseSha256(input.digest);
    columns.digests.push_back(digest.ok() ? *digest : digest::Sha256{});
  }
  return columns;
}

// Throws msgpack::type_error if the columns are no table.
std::vector<Input> InputsOf(const InputColumns& columns) {
  const std::size_t count = columns.names.size();
  if (columns.weights.size() != count || columns.digests.size() != count || columns.under.size() > kMaxUnder) {
    throw msgpack::type_error();
  }
  std::vector<Input> inputs(count);
  for (std::size_t i = 0; i < count; ++i) {
    inputs[i].object = columns.under + columns.names[i];
    inputs[i].weight = columns.weights[i];
    if (columns.digests[i] != digest::Sha256{}) inputs[i].digest = digest::Hex(columns.digests[i]);
  }
  return inputs;
}

}  // namespace

template <class V>
void Fields(V& v, TaskSpec& m) {
  v("task", m.task);
  v("kind", m.kind);
  v("job", m.job);
  v("round", m.round);
  v("generation", m.generation);
  v("seat", m.seat);
  v("ordinal", m.ordinal);
  v("base", m.base);
  v("base_digest", m.base_digest);
  v("output", m.output);
  v("first_slot", m.first_slot);
  v("end_slot", m.end_slot);
  v("encoding", m.encoding);
  InputColumns updates;
  if constexpr (std::is_same_v<V, Pack>) updates = ColumnsOf(m.inputs);
  v("updates", updates);
  if constexpr (std::is_same_v<V, Unpack>) m.inputs = InputsOf(updates);
  v("objects", m.objects);
  v("broadcast", m.broadcast);
  v("trained_from", m.trained_from);
  // Left out where there is none: aggregations fill their frame.
  if (std::is_same_v<V, Unpack> || !m.grant.empty()) v("grant", m.grant, kMaxGrantBytes);
}
template <class V>
void Fields(V& v, TaskReport& m) {
  v("task", m.task);
  v("state", m.state);
  v("phase", m.phase);
  v("done", m.done);
  v("total", m.total);
  v("unit", m.unit);
  v("bytes_up", m.bytes_up);
  v("bytes_down", m.bytes_down);
  v("metrics", m.metrics);
  v("digest", m.digest);
  v("slots", m.slots);
  v("code", m.code);
  v("message", m.message);
  v("broadcast_digest", m.broadcast_digest);
}
template <class V>
void Fields(V& v, Report& m) {
  v("session", m.session);
  v("tasks", m.tasks);
  v("samples", m.samples);
  v("leaving", m.leaving);
}
template <class V>
void Fields(V& v, Assignment& m) {
  v("seat", m.seat);
  v("tasks", m.tasks);
}
template <class V>
void Fields(V& v, GetJobText& m) {
  v("job", m.job);
}
template <class V>
void Fields(V& v, JobText& m) {
  v("job", m.job);
  v("text", m.text);
}
template <class V>
void Fields(V& v, Submit& m) {
  v("name", m.name);
  v("text", m.text);
  v("resume", m.resume);
}
template <class V>
void Fields(V& v, Submitted& m) {
  v("job", m.job);
  v("resumed", m.resumed);
}
template <class V>
void Fields(V& v, GetStatus& m) {
  v("job", m.job);
  v("since_round", m.since_round);
}
template <class V>
void Fields(V& v, RoundStatus& m) {
  v("round", m.round);
  v("seconds", m.seconds);
  v("participants", m.participants);
  v("dropped", m.dropped);
  v("metrics", m.metrics);
  v("bytes_up", m.bytes_up);
  v("bytes_down", m.bytes_down);
  v("digest", m.digest);
  v("dropped_because", m.dropped_because);
}
template <class V>
void Fields(V& v, SeatStatus& m) {
  v("seat", m.seat);
  v("instance", m.instance);
  v("state", m.state);
  v("done", m.done);
  v("total", m.total);
  v("unit", m.unit);
  v("metrics", m.metrics);
}
template <class V>
void Fields(V& v, JobStatus& m) {
  v("job", m.job);
  v("state", m.state);
  v("phase", m.phase);
  v("round", m.round);
  v("rounds", m.rounds);
  v("seconds", m.seconds);
  v("message", m.message);
  v("model", m.model);
  v("model_digest", m.model_digest);
  v("slots_done", m.slots_done);
  v("slots_total", m.slots_total);
  v("seats", m.seats);
  v("finished", m.finished);
}
template <class V>
void Fields(V&, ListJobs&) {}
template <class V>
void Fields(V& v, JobSummary& m) {
  v("job", m.job);
  v("state", m.state);
  v("round", m.round);
  v("rounds", m.rounds);
}
template <class V>
void Fields(V& v, JobList& m) {
  v("jobs", m.jobs);
}
template <class V>
void Fields(V& v, StopJob& m) {
  v("job", m.job);
}
template <class V>
void Fields(V& v, Stopped& m) {
  v("job", m.job);
  v("state", m.state);
}
template <class V>
void Fields(V& v, GetLog& m) {
  v("job", m.job);
  v("since", m.since);
}
template <class V>
void Fields(V& v, LogLine& m) {
  v("number", m.number);
  v("time_ms", m.time_ms);
  v("warning", m.warning);
  v("text", m.text);
}
template <class V>
void Fields(V& v, Log& m) {
  v("job", m.job);
  v("state", m.state);
  v("lines", m.lines);
}
template <class V>
void Fields(V& v, ResumeJob& m) {
  v("job", m.job);
  v("rounds", m.rounds);
  v("from_round", m.from_round);
}
template <class V>
void Fields(V& v, Resumed& m) {
  v("job", m.job);
  v("state", m.state);
  v("round", m.round);
  v("rounds", m.rounds);
}
template <class V>
void Fields(V& v, ListOffers& m) {
  v("site", m.site);
}
template <class V>
void Fields(V& v, OfferSummary& m) {
  v("site", m.site);
  v("name", m.name);
  v("trainers", m.trainers);
}
template <class V>
void Fields(V& v, OfferList& m) {
  v("offers", m.offers);
}
template <class V>
void Fields(V& v, Retrieve& m) {
  v("request", m.request);
  v("site", m.site);
  v("name", m.name);
  v("over", m.over);
}
template <class V>
void Fields(V& v, Retrieval& m) {
  v("request", m.request);
  v("state", m.state);
  v("object", m.object);
  v("digest", m.digest);
  v("blob_stores", m.blob_stores);
  v("trainer", m.trainer);
  v("done", m.done);
  v("total", m.total);
  v("code", m.code);
  v("message", m.message);
}

TRIBUTARY_WIRE_MESSAGE(ErrorBody);
TRIBUTARY_WIRE_MESSAGE(Ping);
TRIBUTARY_WIRE_MESSAGE(Pong);
TRIBUTARY_WIRE_MESSAGE(Hello);
TRIBUTARY_WIRE_MESSAGE(Welcome);
TRIBUTARY_WIRE_MESSAGE(Report);
TRIBUTARY_WIRE_MESSAGE(Assignment);
TRIBUTARY_WIRE_MESSAGE(GetJobText);
TRIBUTARY_WIRE_MESSAGE(JobText);
TRIBUTARY_WIRE_MESSAGE(Submit);
TRIBUTARY_WIRE_MESSAGE(Submitted);
TRIBUTARY_WIRE_MESSAGE(GetStatus);
TRIBUTARY_WIRE_MESSAGE(JobStatus);
TRIBUTARY_WIRE_MESSAGE(ListJobs);
TRIBUTARY_WIRE_MESSAGE(JobList);
TRIBUTARY_WIRE_MESSAGE(StopJob);
TRIBUTARY_WIRE_MESSAGE(Stopped);
TRIBUTARY_WIRE_MESSAGE(GetLog);
TRIBUTARY_WIRE_MESSAGE(Log);
TRIBUTARY_WIRE_MESSAGE(ResumeJob);
TRIBUTARY_WIRE_MESSAGE(Resumed);
TRIBUTARY_WIRE_MESSAGE(ListOffers);
TRIBUTARY_WIRE_MESSAGE(OfferList);
TRIBUTARY_WIRE_MESSAGE(Retrieve);
TRIBUTARY_WIRE_MESSAGE(Retrieval);

Error ErrorOf(const FrameView& frame) {
  auto body = DecodeBody<ErrorBody>(frame.body);
  if (!body.ok()) return body.error();
  return Error(CodeFromInt(body->code), body->message);
}

std::string EncodeError(std::uint64_t id, const Error& error) {
  // A frame has room for a sentence, not for a novel that a caller wrapped.
  return EncodeFrame(id, ErrorBody{static_cast<std::int32_t>(error.code()), error.message().substr(0, 4096)});
}

}  // namespace tributary::wire
