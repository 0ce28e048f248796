// A device out of this process's memory, to be loaded by tests: it computes on the processor and refuses what a GPU refuses.
//
// Its tensors have a device of their own (PrivateUse1) and addresses that nothing can be read at: code that reaches for a device's memory
// ends the process, and an operation on tensors of two devices throws. Each operation runs on tensors of the processor over the same bytes.
#include <ATen/ATen.h>
#include <ATen/core/LegacyTypeDispatch.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/core/stack.h>
#include <c10/core/Allocator.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>
#include <torch/library.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <tuple>
#include <utility>
#include <vector>

namespace {

constexpr auto kStandIn = c10::DeviceType::PrivateUse1;
constexpr std::uintptr_t kNowhere = std::uintptr_t{1} << 62;  // no address of a process has this bit

std::atomic<std::int64_t> g_held{0};

void Report(std::int64_t bytes) {
  const std::int64_t held = g_held += bytes;
  c10::reportMemoryUsageToProfiler(nullptr, bytes, held, held, c10::Device(kStandIn, 0));
}

struct Held {
  at::Tensor tensor;  // whose bytes a storage of the stand-in has
  std::int64_t bytes = 0;
};

void Release(void* held) {
  Report(-static_cast<Held*>(held)->bytes);
  delete static_cast<Held*>(held);
}

void* Moved(const void* address, bool away) {
  const auto number = reinterpret_cast<std::uintptr_t>(address);
  return number == 0 ? nullptr : reinterpret_cast<void*>(away ? number | kNowhere : number & ~kNowhere);
}

void* BaseOf(const c10::Storage& storage) { return const_cast<void*>(static_cast<const void*>(storage.unsafeGetStorageImpl()->data_ptr().get())); }

at::Tensor TensorOf(const at::Tensor& shape, c10::Storage storage, c10::DispatchKey key) {
  at::Tensor tensor = at::detail::make_tensor<c10::TensorImpl>(std::move(storage), c10::DispatchKeySet(key), shape.dtype());
  tensor.unsafeGetTensorImpl()->set_sizes_and_strides(shape.sizes(), shape.strides());
  tensor.unsafeGetTensorImpl()->set_storage_offset(shape.storage_offset());
  return tensor;
}

// The tensors of one operation, on the stand-in and on the processor.
class Pairs {
 public:
  at::Tensor Down(const at::Tensor& theirs) {
    if (!theirs.defined() || theirs.device().type() != kStandIn) return theirs;
    for (const auto& [there, here] : pairs_) {
      if (there.unsafeGetTensorImpl() == theirs.unsafeGetTensorImpl()) return here;
    }
    const c10::Storage& storage = theirs.storage();
    c10::Storage same(c10::Storage::use_byte_size_t(), storage.nbytes(), c10::DataPtr(Moved(BaseOf(storage), false), c10::Device(at::kCPU)), nullptr, false);
    const at::Tensor here = TensorOf(theirs, std::move(same), c10::DispatchKey::CPU);
    pairs_.emplace_back(theirs, here);
    return here;
  }

  at::Tensor Up(const at::Tensor& ours) const {
    if (!ours.defined()) return ours;
    for (const auto& [there, here] : pairs_) {
      if (here.unsafeGetTensorImpl() == ours.unsafeGetTensorImpl()) {
        there.unsafeGetTensorImpl()->set_sizes_and_strides(ours.sizes(), ours.strides());
        return there;
      }
    }
    for (const auto& [there, here] : pairs_) {
      if (here.storage().unsafeGetStorageImpl() == ours.storage().unsafeGetStorageImpl()) {
        return TensorOf(ours, there.storage(), c10::DispatchKey::PrivateUse1);
      }
    }
    const auto bytes = static_cast<std::int64_t>(ours.storage().nbytes());
    auto* const held = new Held{ours, bytes};
    Report(bytes);
    c10::DataPtr pointer(Moved(BaseOf(ours.storage()), true), held, &Release, c10::Device(kStandIn, 0));
    return TensorOf(ours, c10::Storage(c10::Storage::use_byte_size_t(), ours.storage().nbytes(), std::move(pointer), nullptr, false),
                    c10::DispatchKey::PrivateUse1);
  }

 private:
  std::vector<std::pair<at::Tensor, at::Tensor>> pairs_;
};

void RequireThere(const c10::OperatorHandle& op, const at::Tensor& tensor) {
  // As on a GPU a single number may come from the processor.
  TORCH_CHECK(!tensor.defined() || tensor.device().type() == kStandIn || tensor.dim() == 0, "Expected all tensors to be on the same device, but ",
              op.schema().name(), " found one on ", tensor.device());
}

template <class Fn>
c10::IValue Each(const c10::IValue& value, Fn fn) {
  if (value.isTensor()) return fn(value.toTensor());
  if (value.isTensorList()) {
    c10::List<at::Tensor> list;
    for (const at::Tensor& tensor : value.toTensorVector()) list.push_back(fn(tensor));
    return list;
  }
  if (value.isOptionalTensorList()) {
    c10::List<c10::optional<at::Tensor>> list;
    for (const auto& tensor : value.toOptionalTensorVector()) list.push_back(tensor ? c10::optional<at::Tensor>(fn(*tensor)) : c10::nullopt);
    return list;
  }
  return value;
}

void Compute(const c10::OperatorHandle& op, torch::jit::Stack* stack) {
  const at::AutoDispatchBelowADInplaceOrView below;
  Pairs pairs;
  const std::size_t count = op.schema().arguments().size();
  for (std::size_t i = stack->size() - count; i < stack->size(); ++i) {
    c10::IValue& value = (*stack)[i];
    if (value.isDevice()) {
      if (value.toDevice().type() == kStandIn) value = c10::Device(at::kCPU);
      continue;
    }
    value = Each(value, [&](const at::Tensor& tensor) {
      RequireThere(op, tensor);
      return pairs.Down(tensor);
    });
  }
  op.callBoxed(stack);
  for (std::size_t i = stack->size() - op.schema().returns().size(); i < stack->size(); ++i) {
    (*stack)[i] = Each((*stack)[i], [&](const at::Tensor& tensor) { return pairs.Up(tensor); });
  }
}

// The one operation that has tensors of both.
at::Tensor CopyFrom(const at::Tensor& from, const at::Tensor& to, bool) {
  const at::AutoDispatchBelowADInplaceOrView below;
  Pairs pairs;
  pairs.Down(to).copy_(pairs.Down(from));
  return to;
}

// Convolutions ask each device by operations of their own.
using Sizes = at::IntArrayRef;

at::Tensor Convolve(const at::Tensor& input, const at::Tensor& weight, const c10::optional<at::Tensor>& bias, Sizes stride, Sizes padding, Sizes dilation,
                    bool transposed, Sizes output_padding, std::int64_t groups) {
  const at::AutoDispatchBelowADInplaceOrView below;
  Pairs pairs;
  const c10::optional<at::Tensor> offset = bias ? c10::optional<at::Tensor>(pairs.Down(*bias)) : c10::nullopt;
  return pairs.Up(at::convolution(pairs.Down(input), pairs.Down(weight), offset, stride, padding, dilation, transposed, output_padding, groups));
}

std::tuple<at::Tensor, at::Tensor, at::Tensor> ConvolveBack(const at::Tensor& slope, const at::Tensor& input, const at::Tensor& weight, Sizes stride, Sizes padding,
                                                            Sizes dilation, bool transposed, Sizes output_padding, std::int64_t groups,
                                                            std::array<bool, 3> wanted) {
  const at::AutoDispatchBelowADInplaceOrView below;
  Pairs pairs;
  const auto [to_input, to_weight, to_bias] = at::convolution_backward(pairs.Down(slope), pairs.Down(input), pairs.Down(weight), c10::nullopt, stride, padding,
                                                                       dilation, transposed, output_padding, groups, wanted);
  return {pairs.Up(to_input), pairs.Up(to_weight), pairs.Up(to_bias)};
}

class Guard final : public c10::impl::DeviceGuardImplInterface {
 public:
  c10::DeviceType type() const override { return kStandIn; }
  c10::Device exchangeDevice(c10::Device) const override { return getDevice(); }
  c10::Device getDevice() const override { return c10::Device(kStandIn, 0); }
  void setDevice(c10::Device) const override {}
  void uncheckedSetDevice(c10::Device) const noexcept override {}
  c10::Stream getStream(c10::Device) const noexcept override { return c10::Stream(c10::Stream::DEFAULT, getDevice()); }
  c10::Stream getDefaultStream(c10::Device) const override { return getStream(getDevice()); }
  c10::Stream exchangeStream(c10::Stream) const noexcept override { return getStream(getDevice()); }
  c10::DeviceIndex deviceCount() const noexcept override { return 1; }
  // What is asked for is done: there is nothing to wait for.
  void record(void**, const c10::Stream&, c10::DeviceIndex, c10::EventFlag) const override {}
  void block(void*, const c10::Stream&) const override {}
  bool queryEvent(void*) const override { return true; }
  void destroyEvent(void*, c10::DeviceIndex) const noexcept override {}
  bool queryStream(const c10::Stream&) const override { return true; }
  void synchronizeStream(const c10::Stream&) const override {}
};

C10_REGISTER_GUARD_IMPL(PrivateUse1, Guard);

TORCH_LIBRARY_IMPL(_, PrivateUse1, m) { m.fallback(torch::CppFunction::makeFromBoxedFunction<&Compute>()); }
TORCH_LIBRARY_IMPL(aten, PrivateUse1, m) {
  m.impl("_copy_from", TORCH_FN(CopyFrom));
  m.impl("convolution_overrideable", TORCH_FN(Convolve));
  m.impl("convolution_backward_overrideable", TORCH_FN(ConvolveBack));
}

}  // namespace

// What the hook of the training module is given.
extern "C" int TributaryStandInDeviceType() { return static_cast<int>(kStandIn); }
