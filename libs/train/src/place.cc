#include "place.h"

#include <ATen/ATen.h>
#include <ATen/Context.h>
#include <c10/core/Allocator.h>
#include <torch/csrc/api/include/torch/cuda.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <optional>
#include <tuple>

namespace tributary::train {
namespace {

std::optional<at::Device>& AllOn() {
  static std::optional<at::Device> device;
  return device;
}

std::atomic<std::uint64_t>& Peak() {
  static std::atomic<std::uint64_t> peak{0};
  return peak;
}

template <class Method>
struct ArgumentsOf;
template <class Class, class... Arguments>
struct ArgumentsOf<void (Class::*)(Arguments...)> {
  using Types = std::tuple<Arguments...>;
};
// int64_t in older libtorch, size_t in newer.
using Total = std::tuple_element_t<2, ArgumentsOf<decltype(&c10::MemoryReportingInfoBase::reportMemoryUsage)>::Types>;

// What a profiler of memory would be told. It needs no header of CUDA, which a machine that builds may lack.
class PeakKeeper final : public c10::MemoryReportingInfoBase {
 public:
  explicit PeakKeeper(at::DeviceType type) : type_(type) {}
  void reportMemoryUsage(void*, std::int64_t, Total allocated, Total reserved, c10::Device device) override {
    if (device.type() != type_) return;
    // What the allocator took of the device counts, used or not: it is that which must be there.
    const auto held = static_cast<std::uint64_t>(std::max(allocated, reserved));
    std::uint64_t before = Peak().load(std::memory_order_relaxed);
    while (before < held && !Peak().compare_exchange_weak(before, held, std::memory_order_relaxed)) {
    }
  }
  bool memoryProfilingEnabled() const override { return true; }

 private:
  at::DeviceType type_;
};

}  // namespace

Result<Place> ChoosePlace(Device wish) {
  if (AllOn()) return Place{*AllOn(), true};
  if (wish == Device::kCpu) return Place{};
  if (torch::cuda::is_available()) {
    at::globalContext().setDeterministicCuDNN(true);
    // fp32 means fp32: by default convolutions would round to ten bits of mantissa (TF32).
    at::globalContext().setAllowTF32CuDNN(false);
    at::globalContext().setAllowTF32CuBLAS(false);
    return Place{at::Device(at::kCUDA, 0), true};
  }
  if (wish == Device::kAuto) return Place{};
#ifdef TRIBUTARY_TORCH_CUDA
  return MakeError(Code::kUnavailable,
                   "train.device is cuda, and libtorch finds no GPU here (a driver that is missing or too old, or CUDA_VISIBLE_DEVICES); set train.device: cpu or auto");
#else
  return MakeError(Code::kUnavailable, "train.device is cuda, and this trainer computes on the processor alone; set train.device: cpu or auto");
#endif
}

at::Tensor HostRoom(at::IntArrayRef shape, at::ScalarType type, const Place& place) {
  return at::empty(shape, at::TensorOptions(type).pinned_memory(place.device.is_cuda()));
}

at::Tensor Moved(const at::Tensor& room, const Place& place) { return room.to(place.device, room.scalar_type(), /*non_blocking=*/true); }

DeviceMemoryWatch::DeviceMemoryWatch(const Place& place)
    : guard_(c10::DebugInfoKind::PROFILER_STATE,
             place.apart ? std::static_pointer_cast<c10::DebugInfoBase>(std::make_shared<PeakKeeper>(place.device.type())) : nullptr) {}

std::uint64_t DevicePeakBytes() { return Peak().load(std::memory_order_relaxed); }

void PlaceAllOn(std::optional<at::Device> device) { AllOn() = device; }

}  // namespace tributary::train
