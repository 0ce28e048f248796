// Private: numbers out of and into chunks, which may lie anywhere in a frame. memcpy compiles to a plain (unaligned) move.
#pragma once

#include <cstddef>
#include <cstring>

namespace tributary::encoding {

template <class T>
inline T Load(const std::byte* p, std::size_t i) {
  T value;
  std::memcpy(&value, p + i * sizeof(T), sizeof(T));
  return value;
}
template <class T>
inline void Put(std::byte* p, std::size_t i, T value) {
  std::memcpy(p + i * sizeof(T), &value, sizeof(T));
}

}  // namespace tributary::encoding
