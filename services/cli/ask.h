// A command's question to the coordinator that --coordinator names.
//
// Each call opens a connection of its own and waits ten seconds for the answer. Errors name the endpoint, or are the coordinator's.
#pragma once

#include <memory>
#include <string>

#include "services/cli/connect.h"
#include "tributary/base/result.h"
#include "tributary/base/units.h"
#include "tributary/config/options.h"
#include "tributary/transport/control_client.h"
#include "tributary/wire/control.h"

namespace tributary::cli {

constexpr Duration kAnswerLimit{10'000};

// Options of a command that talks to a coordinator: --coordinator and the keys.
config::Options CoordinatorOptions(const char* program, const char* help);

Result<std::unique_ptr<transport::ControlClient>> ConnectCoordinator(const config::Options& options);

template <class Reply, class Request>
Result<Reply> Ask(const config::Options& options, const Request& request) {
  TRIBUTARY_ASSIGN(auto client, ConnectCoordinator(options));
  return client->template Call<Reply>(request, kAnswerLimit);
}

// The status with every finished round after `since`, however many frames they take.
Result<wire::JobStatus> FetchStatus(transport::ControlClient& client, const std::string& job, std::uint32_t since);
// `job`, or where it is empty the newest that runs (said on stderr where several do), or else the newest. kNotFound: there is none.
Result<std::string> ChooseJob(transport::ControlClient& client, const std::string& job);

// Prints "tributary COMMAND: …" on stderr; the exit code.
int FailCommand(const char* command, const Error& error);

}  // namespace tributary::cli
