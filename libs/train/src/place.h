// Where a model computes: on the processor, or on a device with memory of its own.
//
// On the processor the weights are the bytes that travel. On a device they are copies of them (weights.h): transfers see host memory alone.
// Which device it is is chosen when a model is made. Thread-safe but for PlaceAllOn, a hook of tests. May throw libtorch's exceptions where it
// moves tensors.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/util/ThreadLocalDebugInfo.h>

#include <cstdint>
#include <optional>

#include "tributary/base/result.h"
#include "tributary/train/module.h"

namespace tributary::train {

struct Place {
  at::Device device = at::kCPU;
  bool apart = false;  // weights are copies of the bytes that travel
};

// kUnavailable where CUDA was asked for and is not there.
Result<Place> ChoosePlace(Device wish);

// Memory of this process for `shape`, to be filled and then given to Moved: where it goes to a GPU, memory that the GPU reads by itself.
at::Tensor HostRoom(at::IntArrayRef shape, at::ScalarType type, const Place& place);
// On the place's device; the copy may be under way still, in the order of what is computed there.
at::Tensor Moved(const at::Tensor& room, const Place& place);

// Watches what libtorch holds of the place's device, for as long as it lives and on this thread and those of a backward pass.
class DeviceMemoryWatch {
 public:
  explicit DeviceMemoryWatch(const Place& place);

 private:
  c10::DebugInfoGuard guard_;
};
// The most that a watch has seen in this process.
std::uint64_t DevicePeakBytes();

// From here on every model is made on `device`, with weights apart from those that travel even if it is the processor; none: as it wishes again.
void PlaceAllOn(std::optional<at::Device> device);

}  // namespace tributary::train
