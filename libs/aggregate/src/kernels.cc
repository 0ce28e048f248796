#include "kernels.h"

#include <vector>

#include "tributary/encoding/encoding.h"
#include "tributary/encoding/half.h"

#if defined(__x86_64__) && defined(__GNUC__)
#define TRIBUTARY_X86 1
// Intrinsics of 512 bits begin from registers left as they are, of which g++ 12 warns where it inlines them.
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#include <immintrin.h>
#endif

namespace tributary::aggregate {
namespace {

constexpr std::size_t kBlock = encoding::kBlock;

namespace baseline {
#include "kernels.inc"
}

#if defined(TRIBUTARY_X86)
#pragma GCC push_options
#pragma GCC target("avx2,f16c")
#define TRIBUTARY_AVX2 1
namespace avx2 {
#include "kernels.inc"
}
#undef TRIBUTARY_AVX2
#pragma GCC pop_options

// Its fused operations stay unused: -ffp-contract=off.
#pragma GCC push_options
#pragma GCC target("avx2,f16c,avx512f,avx512vl,avx512bw,avx512dq,prefer-vector-width=512")
#define TRIBUTARY_AVX512 1
namespace avx512 {
#include "kernels.inc"
}
#undef TRIBUTARY_AVX512
#pragma GCC pop_options
#endif

std::vector<Kernels> Supported() {
  std::vector<Kernels> kernels;
#if defined(TRIBUTARY_X86)
  __builtin_cpu_init();
  const bool has_avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("f16c");
  if (has_avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512dq")) {
    kernels.push_back({"avx512", avx512::AddFloats, avx512::AddDifferences, avx512::StoreInPlace});
  }
  if (has_avx2) kernels.push_back({"avx2", avx2::AddFloats, avx2::AddDifferences, avx2::StoreInPlace});
#endif
  kernels.push_back({"baseline", baseline::AddFloats, baseline::AddDifferences, baseline::StoreInPlace});
  return kernels;
}

}  // namespace

std::span<const Kernels> SupportedKernels() {
  static const std::vector<Kernels> kernels = Supported();
  return kernels;
}

}  // namespace tributary::aggregate
