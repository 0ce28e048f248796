#include "tributary/base/random.h"

#include <fmt/core.h>

#include <random>

namespace tributary {

std::string NewLife() {
  std::random_device device;
  return fmt::format("{:08x}{:08x}", device(), device());
}

}  // namespace tributary
