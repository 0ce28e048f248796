// A bucket of an S3 service, over HTTP with signatures of version 4; libcurl.
//
// Client is a blob::Bucket below a prefix of its own. Requests are signed with the SHA-256 of what they carry, so that the server refuses
// bytes that changed on their way. What may pass by itself (no connection, no progress for idle_timeout, HTTP 408, 429 and 5xx, a body cut off) is
// tried again with a growing, random pause, a bounded number of times; what is denied or wrong is not. Redirects are not followed.
// Memory: a connection's buffers for each call under way and for each one kept (a few hundred KB with TLS), never a value; what a server sends is
// read up to fixed bounds, whatever it claims. Thread-safe. Bytes, milliseconds.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include "tributary/base/units.h"
#include "tributary/blob/bucket.h"

namespace tributary::s3 {

struct Credentials {
  std::string access_key;
  std::string secret_key;
  std::string session_token;  // may be empty
};
// AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN of this process.
Result<Credentials> CredentialsFromEnvironment();
// Lines `aws_access_key_id = …`, `aws_secret_access_key = …`, `aws_session_token = …`, as the AWS tools write them; of several profiles,
// [default]. kPermission when others than the owner may read it.
Result<Credentials> CredentialsFromFile(const std::string& path);

struct ClientOptions {
  std::string endpoint = {};  // "https://s3.eu-central-1.amazonaws.com", "http://127.0.0.1:9000"
  std::string bucket = {};
  std::string prefix = {};    // of all keys, without '/' at its ends; may be empty
  std::string region = "us-east-1";
  bool path_style = false;  // endpoint/bucket/key instead of bucket.endpoint/key
  Credentials credentials = {};
  Duration connect_timeout{10'000};
  Duration idle_timeout{30'000};  // no byte moved for so long
  int attempts = 5;
  Duration first_pause{200};  // before the second attempt at most; doubles, up to 10 s
};
// Checks for flags, with texts that say what is expected.
Status CheckEndpoint(const std::string& endpoint);
Status CheckBucket(const std::string& bucket);
Status CheckPrefix(const std::string& prefix);

enum class Operation { kPut, kGet, kHead, kDelete, kList };
constexpr std::array<const char*, 5> kOperationNames = {"put", "get", "head", "delete", "list"};
// Of one attempt. Away: what is tried again. Failed: everything else.
enum class Outcome { kOk, kAbsent, kDenied, kAway, kFailed };
constexpr std::array<const char*, 5> kOutcomeNames = {"ok", "absent", "denied", "away", "failed"};

// Thread-safe.
struct Counters {
  std::array<std::array<std::atomic<std::uint64_t>, kOutcomeNames.size()>, kOperationNames.size()> requests{};
  std::atomic<std::uint64_t> bytes_in{0};   // of values that came back
  std::atomic<std::uint64_t> bytes_out{0};  // of values that were stored
  std::uint64_t Of(Operation operation, Outcome outcome) const {
    return requests[static_cast<std::size_t>(operation)][static_cast<std::size_t>(outcome)];
  }
};

class Client : public blob::Bucket {
 public:
  virtual const Counters& counters() const = 0;
};

// kInvalidArgument names what is wrong with the options; connects to nobody yet.
Result<std::unique_ptr<Client>> MakeClient(ClientOptions options);

}  // namespace tributary::s3
