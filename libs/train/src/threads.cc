#include "threads.h"

#include <ATen/Parallel.h>
#include <dlfcn.h>

#include <algorithm>

namespace tributary::train {

void SetComputeThreads(std::uint32_t threads) {
  const int count = static_cast<int>(std::clamp<std::uint32_t>(threads, 1, 256));
  at::set_num_threads(count);
  // OpenBLAS with its own threads does not hear of OpenMP's number, and would take every core.
  if (void* blas = dlopen("libopenblas.so.0", RTLD_NOW | RTLD_NOLOAD); blas != nullptr) {
    using SetThreads = void (*)(int);
    if (const auto set = reinterpret_cast<SetThreads>(dlsym(blas, "openblas_set_num_threads"));
        set != nullptr) {
      set(count);
    }
    dlclose(blas);
  }
}

}  // namespace tributary::train
