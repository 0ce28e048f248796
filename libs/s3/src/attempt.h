// Private: one HTTP request and its reply, with libcurl. The only file pair that includes its header.
//
// Attempts keeps the connections of finished requests for the next ones. Thread-safe; a request belongs to the thread that runs it.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tributary/s3/client.h"

namespace tributary::s3 {

struct Request {
  Operation operation = Operation::kGet;
  std::string url;
  std::string payload_sha256;  // hex
  // Of a put.
  std::uint64_t bytes = 0;
  const blob::Bucket::Source* source = nullptr;
  // Of a get: the range, and where it goes.
  std::uint64_t offset = 0;
  std::span<std::byte> out;
  // Of a list: its body as it comes.
  std::function<void(std::string_view)> text;
};

struct Reply {
  bool arrived = false;   // with a status
  std::string transport;  // if not: what libcurl says
  bool permanent = false; // not worth another attempt: a certificate that is not trusted, a URL that is none
  long status = 0;
  std::uint64_t length = 0;    // Content-Length of a head
  std::uint64_t received = 0;  // bytes of `out` that came
  bool overrun = false;        // more came than was asked for
  std::string code;            // of the S3 error
  std::string message;
  std::optional<Error> source_error;
  bool cancelled = false;
};

class Attempts {
 public:
  explicit Attempts(const ClientOptions& options);
  ~Attempts();
  Reply Run(const Request& request);
  void Cancel() { cancelled_ = true; }
  bool cancelled() const { return cancelled_; }

 private:
  struct Handle;
  struct Flight;
  std::unique_ptr<Handle> Take();
  void Keep(std::unique_ptr<Handle> handle);

  const ClientOptions& options_;
  std::atomic<bool> cancelled_{false};
  std::mutex mutex_;
  std::vector<std::unique_ptr<Handle>> idle_;  // protected by mutex_
};

}  // namespace tributary::s3
