// Fisher-Yates with our own generator: std::shuffle is not specified number by number.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "tributary/base/random.h"

namespace tributary::corpus {

template <class T>
void Shuffle(std::vector<T>& items, SplitMix64& random) {
  for (std::size_t i = items.size(); i > 1; --i) {
    std::swap(items[i - 1], items[random.NextBelow(i)]);
  }
}

}  // namespace tributary::corpus
