// Errors as values, with a cause chain.
//
// A function that can fail returns Status (nothing else to return) or Result<T>. An Error carries a
// code from a short closed set, one sentence that names the place, the cause and, where there is
// one, the remedy; each layer that passes an error up may put its own sentence in front (Error::Wrap).
// Exceptions do not cross library borders. All types here are values; no threads, no I/O.
#pragma once

#include <fmt/core.h>

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

namespace tributary {

// The closed set, used in process and on the wire (wire::ErrorBody carries the number).
// kUnknown is what a reader makes of a number that a newer peer sent.
enum class Code : int {
  kUnknown = 0,
  kInvalidArgument = 1,    // the caller's words are wrong; do not retry
  kNotFound = 2,           // no such object, job, file
  kAlreadyExists = 3,      // exists and differs
  kConflict = 4,           // stale generation, sealed object, lost lease
  kUnavailable = 5,        // not there yet, or the peer is away; retry
  kDeadline = 6,           // no progress for as long as the deadline allows
  kResourceExhausted = 7,  // budget, quota, disk
  kDataLoss = 8,           // bytes are not what their digest says
  kIo = 9,                 // the operating system refused
  kProtocol = 10,          // the peer speaks another version or breaks the rules
  kPermission = 11,        // not allowed
  kCancelled = 12,         // asked to stop
  kInternal = 13,          // a bug of ours
};

std::string_view CodeName(Code code);
// Maps a number from the wire; anything outside the set becomes kUnknown.
Code CodeFromInt(int number);

class [[nodiscard]] Error {
 public:
  Error(Code code, std::string message) : code_(code), message_(std::move(message)) {}

  Code code() const { return code_; }
  const std::string& message() const { return message_; }

  // "sentence: message", the code kept.
  Error Wrap(std::string_view sentence) const {
    return Error(code_, std::string(sentence) + ": " + message_);
  }

 private:
  Code code_;
  std::string message_;
};

template <class... Args>
Error MakeError(Code code, fmt::format_string<Args...> format, Args&&... args) {
  return Error(code, fmt::format(format, std::forward<Args>(args)...));
}
// "what: strerror(errno_value)". ENOSPC and EDQUOT become kResourceExhausted, ENOENT kNotFound,
// EACCES and EPERM kPermission, the rest kIo.
Error ErrnoError(int errno_value, std::string_view what);

class [[nodiscard]] Status {
 public:
  Status() = default;
  Status(Error error) : error_(std::move(error)) {}  // NOLINT: implicit on purpose

  bool ok() const { return !error_.has_value(); }
  // REQUIRES: !ok()
  const Error& error() const { return *error_; }

 private:
  std::optional<Error> error_;
};

inline Status Ok() { return Status(); }

template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}      // NOLINT
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}  // NOLINT

  bool ok() const { return state_.index() == 0; }
  // REQUIRES: ok()
  T& value() & { return std::get<0>(state_); }
  const T& value() const& { return std::get<0>(state_); }
  T&& value() && { return std::get<0>(std::move(state_)); }
  T* operator->() { return &std::get<0>(state_); }
  const T* operator->() const { return &std::get<0>(state_); }
  T& operator*() & { return std::get<0>(state_); }
  const T& operator*() const& { return std::get<0>(state_); }
  T&& operator*() && { return std::get<0>(std::move(state_)); }
  // REQUIRES: !ok()
  const Error& error() const { return std::get<1>(state_); }
  Status status() const { return ok() ? Status() : Status(error()); }

 private:
  std::variant<T, Error> state_;
};

}  // namespace tributary

#define TRIBUTARY_CONCAT_INNER(a, b) a##b
#define TRIBUTARY_CONCAT(a, b) TRIBUTARY_CONCAT_INNER(a, b)

// TRIBUTARY_TRY(expression): leaves the function with the error if the Status or Result is one.
#define TRIBUTARY_TRY(expression)                                  \
  do {                                                             \
    if (auto try_status = (expression); !try_status.ok())          \
      return try_status.error();                                   \
  } while (false)

// TRIBUTARY_ASSIGN(auto x, expression): x is the value, or the function ends with the error.
#define TRIBUTARY_ASSIGN(declaration, expression)                                  \
  auto TRIBUTARY_CONCAT(try_result_, __LINE__) = (expression);                     \
  if (!TRIBUTARY_CONCAT(try_result_, __LINE__).ok())                               \
    return TRIBUTARY_CONCAT(try_result_, __LINE__).error();                        \
  declaration = std::move(TRIBUTARY_CONCAT(try_result_, __LINE__)).value()
