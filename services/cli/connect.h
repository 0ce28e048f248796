// The keys of a command that dials, and the context that it dials with.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "tributary/base/result.h"
#include "tributary/config/options.h"
#include "tributary/transport/context.h"

namespace tributary::cli {

// `options` has --key, --peers and --insecure (config::AddKeyOptions). kInvalidArgument where one of `endpoints` leaves this machine and there are no keys.
Result<std::shared_ptr<transport::Context>> OpenContext(const config::Options& options, const std::vector<std::string>& endpoints, std::uint32_t connections = 1);

}  // namespace tributary::cli
