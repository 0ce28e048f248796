#include "tributary/config/serve.h"

#include <time.h>

namespace tributary::config {

Signals::Signals() {
  sigemptyset(&set_);
  sigaddset(&set_, SIGINT);
  sigaddset(&set_, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &set_, nullptr);
}

std::optional<const char*> Signals::Take(Duration limit) const {
  const timespec wait{limit.count() / 1000, limit.count() % 1000 * 1'000'000};
  const int signal = sigtimedwait(&set_, nullptr, &wait);
  if (signal <= 0) return std::nullopt;
  return signal == SIGTERM ? "SIGTERM" : "SIGINT";
}

}  // namespace tributary::config
