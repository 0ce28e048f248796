#include "tributary/s3/client.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <random>
#include <vector>

#include "attempt.h"
#include "tributary/base/random.h"
#include "tributary/digest/digest.h"
#include "xml.h"

namespace tributary::s3 {
namespace {

constexpr std::size_t kHashStep = 64 * 1024;
constexpr std::size_t kMaxKeys = 1000;
constexpr std::size_t kMaxKeyBytes = 1024;
constexpr Duration kLongestPause{10'000};

const std::string& HexOfNothing() {
  static const std::string hex = digest::Hex(digest::ComputeSha256({}));
  return hex;
}

// For a query: the signature wants each '/' encoded, and keys hold nothing else that must be.
std::string ForQuery(const std::string& key) {
  std::string text;
  for (const char c : key) {
    if (c == '/') {
      text += "%2F";
    } else {
      text.push_back(c);
    }
  }
  return text;
}

Outcome OutcomeOf(const Reply& reply) {
  if (!reply.arrived) return reply.permanent ? Outcome::kFailed : Outcome::kAway;
  if (reply.overrun) return Outcome::kFailed;
  if (reply.status < 300) return Outcome::kOk;
  if (reply.status == 404) return Outcome::kAbsent;
  if (reply.status == 401 || reply.status == 403) return Outcome::kDenied;
  // The last two: what came was not what was sent.
  const bool again = reply.status >= 500 || reply.status == 429 || reply.status == 408 || reply.code == "RequestTimeout" ||
                     reply.code == "XAmzContentSHA256Mismatch" || reply.code == "BadDigest";
  return again ? Outcome::kAway : Outcome::kFailed;
}

class CurlClient final : public Client {
 public:
  explicit CurlClient(ClientOptions options) : options_(std::move(options)), attempts_(options_), random_(std::random_device()()) {
    const std::size_t host = options_.endpoint.find("//") + 2;
    base_ = options_.path_style ? options_.endpoint + "/" + options_.bucket
                                : options_.endpoint.substr(0, host) + options_.bucket + "." + options_.endpoint.substr(host);
    if (!options_.prefix.empty()) prefix_ = options_.prefix + "/";
  }

  Status Put(const std::string& key, std::uint64_t bytes, const Source& source) override {
    Request request = RequestFor(Operation::kPut, key);
    TRIBUTARY_ASSIGN(request.payload_sha256, HashOf(bytes, source));
    request.bytes = bytes;
    request.source = &source;
    TRIBUTARY_TRY(Run(request, key).status());
    counters_.bytes_out += bytes;
    return Ok();
  }

  Status Get(const std::string& key, std::uint64_t offset, std::span<std::byte> out) override {
    if (out.empty()) return Ok();
    Request request = RequestFor(Operation::kGet, key);
    request.offset = offset;
    request.out = out;
    TRIBUTARY_ASSIGN(const Reply reply, Run(request, key));
    // A server that knows no ranges gives all of it, from its beginning.
    if (reply.status != 206 && offset != 0) {
      return MakeError(Code::kProtocol, "{} was asked for a range and sent HTTP {}: it is no S3 service that this store can use", Where(key),
                       reply.status);
    }
    if (reply.received != out.size()) return CutOff(key, offset + out.size(), offset + reply.received);
    counters_.bytes_in += reply.received;
    return Ok();
  }

  Result<std::uint64_t> Size(const std::string& key) override {
    TRIBUTARY_ASSIGN(const Reply reply, Run(RequestFor(Operation::kHead, key), key));
    return reply.length;
  }

  Status Delete(const std::string& key) override {
    const auto reply = Run(RequestFor(Operation::kDelete, key), key);
    if (!reply.ok() && reply.error().code() == Code::kNotFound) return Ok();
    return reply.status();
  }

  Result<std::vector<std::string>> List(const std::string& prefix, const std::string& after) override {
    std::vector<std::string> keys;
    XmlTexts xml([&](std::string_view parent, std::string_view name, std::string_view text, bool cut) {
      if (parent != "Contents" || name != "Key" || cut || text.size() > kMaxKeyBytes || keys.size() >= kMaxKeys) return;
      if (!text.starts_with(prefix_)) return;
      text.remove_prefix(prefix_.size());
      if (text.starts_with(prefix) && text > std::string_view(after)) keys.emplace_back(text);
    });
    Request request = RequestFor(Operation::kList, "");
    // In this order, each with a value: libcurl signs a query as it stands.
    request.url = base_ + "/?list-type=2&max-keys=" + std::to_string(kMaxKeys) + "&prefix=" + ForQuery(prefix_ + prefix);
    if (!after.empty()) request.url += "&start-after=" + ForQuery(prefix_ + after);
    request.text = [&](std::string_view text) { xml.Feed(text); };
    TRIBUTARY_TRY(Run(request, prefix, [&] { keys.clear(); }).status());
    std::ranges::sort(keys);
    return keys;
  }

  std::string Place() const override {
    return fmt::format("s3://{}{}{} at {}", options_.bucket, options_.prefix.empty() ? "" : "/", options_.prefix, options_.endpoint);
  }
  void Cancel() override {
    attempts_.Cancel();
    const std::lock_guard lock(mutex_);
    changed_.notify_all();
  }
  const Counters& counters() const override { return counters_; }

 private:
  Request RequestFor(Operation operation, const std::string& key) const {
    Request request;
    request.operation = operation;
    request.url = base_ + "/" + prefix_ + key;
    request.payload_sha256 = HexOfNothing();
    return request;
  }

  Result<std::string> HashOf(std::uint64_t bytes, const Source& source) const {
    digest::Sha256Stream hash;
    std::vector<std::byte> buffer(static_cast<std::size_t>(std::min<std::uint64_t>(bytes, kHashStep)));
    for (std::uint64_t at = 0; at < bytes; at += buffer.size()) {
      if (attempts_.cancelled()) return Error(Code::kCancelled, "stopped while the bucket was written");
      const auto step = std::span(buffer).first(static_cast<std::size_t>(std::min<std::uint64_t>(buffer.size(), bytes - at)));
      TRIBUTARY_TRY(source(at, step));
      hash.Update(step);
    }
    return digest::Hex(hash.Finish());
  }

  std::string Where(const std::string& key) const {
    return fmt::format("s3://{}/{}{} at {}", options_.bucket, prefix_, key, options_.endpoint);
  }

  Error CutOff(const std::string& key, std::uint64_t wanted, std::uint64_t has) const {
    return MakeError(Code::kDataLoss, "{} ends after {} bytes where {} were expected: it is not what this store has put there", Where(key), has,
                     wanted);
  }

  Error Explain(const Request& request, const std::string& key, const Reply& reply, int attempts) {
    const char* const name = kOperationNames[static_cast<std::size_t>(request.operation)];
    if (reply.overrun) {
      return MakeError(Code::kProtocol, "S3 {} of {}: more came than was asked for; is that an S3 service?", name, Where(key));
    }
    std::string said = reply.arrived ? fmt::format("HTTP {}", reply.status) : reply.transport;
    if (!reply.code.empty()) said += " " + reply.code;
    if (!reply.message.empty()) said += fmt::format(" ('{}')", reply.message);
    if (reply.code == "NoSuchBucket") {
      return MakeError(Code::kInvalidArgument, "S3 {} of {}: the bucket does not exist; make it, or give another with --s3-bucket: {}", name,
                       Where(key), said);
    }
    switch (OutcomeOf(reply)) {
      case Outcome::kAbsent: return MakeError(Code::kNotFound, "S3 {} of {}: there is no such key: {}", name, Where(key), said);
      case Outcome::kDenied:
        return MakeError(Code::kPermission,
                         "S3 {} of {} was denied; check the credentials, their rights to this bucket, --s3-region and this machine's clock: {}",
                         name, Where(key), said);
      case Outcome::kAway:
        return MakeError(Code::kUnavailable,
                         "S3 {} of {} failed; is the service up, and --s3-endpoint right? It was tried {} times: {}", name, Where(key), attempts,
                         said);
      default:
        return MakeError(reply.status == 416 ? Code::kDataLoss : Code::kInvalidArgument,
                         "S3 {} of {} was refused; check --s3-endpoint, --s3-region and --s3-path-style: {}", name, Where(key), said);
    }
  }

  // `again` is called before each attempt after the first.
  Result<Reply> Run(const Request& request, const std::string& key, const std::function<void()>& again = nullptr) {
    for (int attempt = 1;; ++attempt) {
      Reply reply = attempts_.Run(request);
      if (reply.source_error) return *reply.source_error;
      if (reply.cancelled && !(reply.arrived && reply.status < 300)) return Cancelled(key);
      Outcome outcome = OutcomeOf(reply);
      ++counters_.requests[static_cast<std::size_t>(request.operation)][static_cast<std::size_t>(outcome)];
      if (outcome == Outcome::kOk) return reply;
      if (outcome != Outcome::kAway || attempt >= options_.attempts) return Explain(request, key, reply, attempt);
      if (!Pause(attempt)) return Cancelled(key);
      if (again) again();
    }
  }

  Error Cancelled(const std::string& key) const { return MakeError(Code::kCancelled, "stopped while {} was under way", Where(key)); }

  // Random, so that many who failed together do not come back together. False when cancelled.
  bool Pause(int attempt) {
    const Duration most = std::min(kLongestPause, options_.first_pause * (1 << std::min(attempt - 1, 16)));
    std::unique_lock lock(mutex_);
    const auto pause = std::chrono::duration_cast<Duration>(most * (0.5 + 0.5 * random_.NextUnit()));
    return !changed_.wait_for(lock, pause, [&] { return attempts_.cancelled(); });
  }

  const ClientOptions options_;
  Attempts attempts_;
  std::string base_;    // of URLs, without '/' at its end
  std::string prefix_;  // of keys, empty or with '/' at its end
  Counters counters_;

  std::mutex mutex_;
  std::condition_variable changed_;
  SplitMix64 random_;  // protected by mutex_
};

}  // namespace

Result<std::unique_ptr<Client>> MakeClient(ClientOptions options) {
  const auto check = [](const Status& status, const char* what) {
    return status.ok() ? Ok() : Status(MakeError(Code::kInvalidArgument, "{}: expected {}", what, status.error().message()));
  };
  TRIBUTARY_TRY(check(CheckEndpoint(options.endpoint), "--s3-endpoint"));
  TRIBUTARY_TRY(check(CheckBucket(options.bucket), "--s3-bucket"));
  TRIBUTARY_TRY(check(CheckPrefix(options.prefix), "--s3-prefix"));
  if (options.credentials.access_key.empty() || options.credentials.secret_key.empty()) {
    return Error(Code::kInvalidArgument, "S3 needs credentials: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or --s3-credentials-file");
  }
  return std::unique_ptr<Client>(std::make_unique<CurlClient>(std::move(options)));
}

}  // namespace tributary::s3
