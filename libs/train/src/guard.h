// Turns the exceptions of libtorch into errors, at the border of the module.
#pragma once

#include <c10/util/Exception.h>

#include <exception>
#include <new>
#include <string>
#include <string_view>
#include <utility>

#include "tributary/base/result.h"

namespace tributary::train {

// A refusal on its way through code that returns no Result (Network::Loss); Guarded gives its error.
struct Refusal : std::exception {
  explicit Refusal(Error e) : error(std::move(e)) {}
  const char* what() const noexcept override { return error.message().c_str(); }
  Error error;
};

// Runs `body`, which returns a Status or a Result; `doing` begins the error ("training").
template <class Body>
auto Guarded(std::string_view doing, Body body) -> decltype(body()) {
  try {
    return body();
  } catch (const Refusal& e) {
    return e.error.Wrap(doing);
  } catch (const c10::Error& e) {
    const std::string what = e.what_without_backtrace();
    // libtorch's allocator has no type of its own for this.
    const bool memory = what.find("not enough memory") != std::string::npos ||
                        what.find("can't allocate memory") != std::string::npos;
    return MakeError(memory ? Code::kResourceExhausted : Code::kInternal, "{}: libtorch: {}", doing,
                     what);
  } catch (const std::bad_alloc&) {
    return MakeError(Code::kResourceExhausted, "{}: no memory left", doing);
  } catch (const std::exception& e) {
    return MakeError(Code::kInternal, "{}: {}", doing, e.what());
  }
}

}  // namespace tributary::train
