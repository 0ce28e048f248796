#include "services/cli/store.h"

#include <utility>

#include "services/cli/connect.h"
#include "tributary/blob_client/remote_store.h"
#include "tributary/config/service.h"

namespace tributary::cli {

Result<std::unique_ptr<blob::BlobStore>> OpenStore(const config::Options& options, memory::Pool& pool) {
  blob_client::RemoteOptions remote;
  const auto address = config::GetStoreAddress(options);
  remote.endpoints = address.endpoints;
  remote.connections = address.connections;
  remote.instance = "cli";
  remote.derived = {true, true, true, true};
  TRIBUTARY_ASSIGN(auto context, OpenContext(options, remote.endpoints, remote.connections));
  TRIBUTARY_ASSIGN(auto store, blob_client::ConnectStore(std::move(context), pool, remote));
  return std::unique_ptr<blob::BlobStore>(std::move(store));
}

Status CheckKept(blob::BlobStore& store, const std::string& job, std::uint32_t round) {
  TRIBUTARY_ASSIGN(const auto name, ObjectName::Parse(fmt::format("jobs/{}/models/{}", job, round)));
  const auto info = store.Stat(name);
  if (info.ok() && info->sealed) return Ok();
  if (!info.ok() && info.error().code() != Code::kNotFound) return info.error();
  return MakeError(Code::kNotFound, "the blob-store has no model of round {} of job {}: checkpoint.every and checkpoint.keep say which stay", round, job);
}

}  // namespace tributary::cli
