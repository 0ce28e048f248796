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

inline bool Has(std::string_view text, std::string_view part) { return text.find(part) != std::string_view::npos; }

// libtorch's allocators have no type of their own for this in every version; of a device libtorch's text begins with its kind.
inline bool IsOutOfDeviceMemory(std::string_view what) {
  // The last two are how its libraries say so.
  return Has(what, "CUDA out of memory") || Has(what, "CUDA error: out of memory") || Has(what, "CUBLAS_STATUS_ALLOC_FAILED") || Has(what, "CUDNN_STATUS_ALLOC_FAILED");
}
inline bool IsOutOfMemory(std::string_view what) {
  return IsOutOfDeviceMemory(what) || Has(what, "not enough memory") || Has(what, "allocate memory");
}

// One line of libtorch's several.
inline Error OutOfDeviceMemory(std::string_view what) {
  const auto begin = what.find("CUDA");
  std::string_view told = what.substr(begin == std::string_view::npos ? 0 : begin);
  told = told.substr(0, told.find('\n'));
  if (const auto end = told.find(". See documentation"); end != std::string_view::npos) told = told.substr(0, end);
  if (const auto end = told.find(" If reserved"); end != std::string_view::npos) told = told.substr(0, end);
  return MakeError(Code::kResourceExhausted,
                   "the GPU's memory does not suffice; in training lower train.batch_size (and raise train.gradient_accumulation to keep the step's size), or set "
                   "train.gradient_checkpointing: true; a model that alone is too large wants train.device: cpu or a 4-bit base (libtorch: {})",
                   told);
}

// Runs `body`, which returns a Status or a Result; `doing` begins the error ("training").
template <class Body>
auto Guarded(std::string_view doing, Body body) -> decltype(body()) {
  try {
    return body();
  } catch (const Refusal& e) {
    return e.error.Wrap(doing);
  } catch (const c10::Error& e) {
    const std::string what = e.what_without_backtrace();
    if (IsOutOfDeviceMemory(what)) return OutOfDeviceMemory(what).Wrap(doing);
    return MakeError(IsOutOfMemory(what) ? Code::kResourceExhausted : Code::kInternal, "{}: libtorch: {}", doing, what);
  } catch (const std::bad_alloc&) {
    return MakeError(Code::kResourceExhausted, "{}: no memory left", doing);
  } catch (const std::exception& e) {
    return MakeError(Code::kInternal, "{}: {}", doing, e.what());
  }
}

}  // namespace tributary::train
