#include "attempt.h"

#include <curl/curl.h>

#include <algorithm>
#include <cstring>
#include <span>

#include "xml.h"

namespace tributary::s3 {
namespace {

constexpr std::size_t kMaxIdle = 8;
constexpr std::size_t kMaxErrorBody = 64 * 1024;  // looked at
constexpr std::size_t kMaxListBody = 16u << 20;
constexpr std::size_t kMaxShown = 200;

// What a server says, as a part of a line in a log.
std::string Printable(std::string_view text) {
  std::string shown(text.substr(0, kMaxShown));
  std::ranges::replace_if(shown, [](char c) { return c < ' ' || c >= 0x7F; }, '?');
  return shown;
}

bool IsPermanent(CURLcode code) {
  switch (code) {
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_URL_MALFORMAT:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_ENGINE_NOTFOUND:
    case CURLE_NOT_BUILT_IN:
    case CURLE_OUT_OF_MEMORY: return true;
    default: return false;
  }
}

}  // namespace

struct Attempts::Handle {
  CURL* curl = nullptr;
  ~Handle() { curl_easy_cleanup(curl); }
};

// What the callbacks of one request share.
struct Attempts::Flight {
  const Attempts& attempts;
  const Request& request;
  Reply& reply;
  CURL* curl;
  std::uint64_t sent = 0;
  std::size_t body = 0;
  XmlTexts error;

  bool Succeeded() const {
    long status = 0;
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    return status >= 200 && status < 300;
  }

  static std::size_t OnBody(char* data, std::size_t, std::size_t count, void* self) {
    Flight& flight = *static_cast<Flight*>(self);
    flight.body += count;
    if (!flight.Succeeded()) {
      if (flight.body <= kMaxErrorBody) flight.error.Feed({data, count});
      return flight.body <= kMaxErrorBody ? count : 0;
    }
    if (flight.request.text) {
      flight.reply.overrun = flight.body > kMaxListBody;
      if (flight.reply.overrun) return 0;
      flight.request.text({data, count});
      return count;
    }
    const std::span<std::byte> out = flight.request.out;
    if (flight.request.operation != Operation::kGet) return count;
    if (count > out.size() - flight.reply.received) {
      flight.reply.overrun = true;
      return 0;
    }
    std::memcpy(out.data() + flight.reply.received, data, count);
    flight.reply.received += count;
    return count;
  }
  static std::size_t OnSend(char* data, std::size_t size, std::size_t count, void* self) {
    Flight& flight = *static_cast<Flight*>(self);
    const std::size_t bytes = static_cast<std::size_t>(std::min<std::uint64_t>(size * count, flight.request.bytes - flight.sent));
    if (bytes == 0) return 0;
    const Status got = (*flight.request.source)(flight.sent, std::as_writable_bytes(std::span(data, bytes)));
    if (!got.ok()) {
      flight.reply.source_error = got.error();
      return CURL_READFUNC_ABORT;
    }
    flight.sent += bytes;
    return bytes;
  }
  // A connection that was kept and is dead by now: libcurl begins anew on another.
  static int OnSeek(void* self, curl_off_t offset, int origin) {
    if (origin != SEEK_SET) return CURL_SEEKFUNC_CANTSEEK;
    static_cast<Flight*>(self)->sent = static_cast<std::uint64_t>(offset);
    return CURL_SEEKFUNC_OK;
  }
  static int OnProgress(void* self, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
    return static_cast<Flight*>(self)->attempts.cancelled() ? 1 : 0;
  }
};

Attempts::Attempts(const ClientOptions& options) : options_(options) {
  static const CURLcode once = curl_global_init(CURL_GLOBAL_ALL);
  static_cast<void>(once);
}

Attempts::~Attempts() = default;

std::unique_ptr<Attempts::Handle> Attempts::Take() {
  {
    const std::lock_guard lock(mutex_);
    if (!idle_.empty()) {
      auto handle = std::move(idle_.back());
      idle_.pop_back();
      curl_easy_reset(handle->curl);
      return handle;
    }
  }
  auto handle = std::make_unique<Handle>();
  handle->curl = curl_easy_init();
  return handle;
}

void Attempts::Keep(std::unique_ptr<Handle> handle) {
  const std::lock_guard lock(mutex_);
  if (idle_.size() < kMaxIdle) idle_.push_back(std::move(handle));
}

Reply Attempts::Run(const Request& request) {
  Reply reply;
  auto handle = Take();
  CURL* const curl = handle->curl;
  if (curl == nullptr) {
    reply.transport = "libcurl has no memory for a connection";
    return reply;
  }
  Flight flight{*this, request, reply, curl, 0, 0, XmlTexts([&](std::string_view, std::string_view name, std::string_view text, bool) {
                  if (name == "Code") reply.code = Printable(text);
                  if (name == "Message") reply.message = Printable(text);
                })};
  const auto set = [curl](CURLoption option, auto value) { curl_easy_setopt(curl, option, value); };
  set(CURLOPT_URL, request.url.c_str());
  set(CURLOPT_PROTOCOLS_STR, "http,https");
  set(CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
  set(CURLOPT_FOLLOWLOCATION, 0L);  // a signature is for one host
  set(CURLOPT_NOSIGNAL, 1L);
  set(CURLOPT_TCP_KEEPALIVE, 1L);
  set(CURLOPT_BUFFERSIZE, 128L * 1024);
  set(CURLOPT_UPLOAD_BUFFERSIZE, 128L * 1024);
  set(CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(options_.connect_timeout.count()));
  set(CURLOPT_LOW_SPEED_LIMIT, 1L);
  set(CURLOPT_LOW_SPEED_TIME, std::max(1L, static_cast<long>(options_.idle_timeout.count() / 1000)));
  // Two settings: of "key:secret" in one the first colon would end the key.
  set(CURLOPT_USERNAME, options_.credentials.access_key.c_str());
  set(CURLOPT_PASSWORD, options_.credentials.secret_key.c_str());
  const std::string signature = "aws:amz:" + options_.region + ":s3";
  set(CURLOPT_AWS_SIGV4, signature.c_str());
  curl_slist* headers = curl_slist_append(nullptr, ("x-amz-content-sha256: " + request.payload_sha256).c_str());
  if (!options_.credentials.session_token.empty()) {
    headers = curl_slist_append(headers, ("x-amz-security-token: " + options_.credentials.session_token).c_str());
  }
  set(CURLOPT_HTTPHEADER, headers);
  set(CURLOPT_NOPROGRESS, 0L);
  set(CURLOPT_XFERINFOFUNCTION, &Flight::OnProgress);
  set(CURLOPT_XFERINFODATA, &flight);
  set(CURLOPT_WRITEFUNCTION, &Flight::OnBody);
  set(CURLOPT_WRITEDATA, &flight);
  std::string range;
  switch (request.operation) {
    case Operation::kPut:
      set(CURLOPT_UPLOAD, 1L);
      set(CURLOPT_INFILESIZE_LARGE, static_cast<curl_off_t>(request.bytes));
      set(CURLOPT_READFUNCTION, &Flight::OnSend);
      set(CURLOPT_READDATA, &flight);
      set(CURLOPT_SEEKFUNCTION, &Flight::OnSeek);
      set(CURLOPT_SEEKDATA, &flight);
      break;
    case Operation::kGet:
      range = fmt::format("{}-{}", request.offset, request.offset + request.out.size() - 1);
      set(CURLOPT_RANGE, range.c_str());
      break;
    case Operation::kHead: set(CURLOPT_NOBODY, 1L); break;
    case Operation::kDelete: set(CURLOPT_CUSTOMREQUEST, "DELETE"); break;
    case Operation::kList: break;
  }
  const CURLcode code = cancelled_ ? CURLE_ABORTED_BY_CALLBACK : curl_easy_perform(curl);
  curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &reply.status);
  curl_off_t length = 0;
  if (curl_easy_getinfo(curl, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length) == CURLE_OK && length > 0) {
    reply.length = static_cast<std::uint64_t>(length);
  }
  curl_slist_free_all(headers);
  reply.cancelled = cancelled_;
  // A refusal whose explanation is endless, or which ends the connection under an upload, is a refusal.
  const bool refused = reply.status >= 300;
  reply.arrived = code == CURLE_OK || refused || reply.overrun;
  if (!reply.arrived) {
    reply.transport = curl_easy_strerror(code);
    reply.permanent = IsPermanent(code);
  }
  if (code == CURLE_OK) Keep(std::move(handle));
  return reply;
}

}  // namespace tributary::s3
