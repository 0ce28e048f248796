// Whether a sanitizer is compiled in: its shadow memory and its own malloc make figures of memory meaningless.
#pragma once

namespace tributary {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr bool kSanitized = true;
#else
inline constexpr bool kSanitized = false;
#endif

}  // namespace tributary
