#include "services/cli/connect.h"

#include "tributary/blob_client/remote_store.h"
#include "tributary/config/service.h"

namespace tributary::cli {

Result<std::shared_ptr<transport::Context>> OpenContext(const config::Options& options, const std::vector<std::string>& endpoints, std::uint32_t connections) {
  const auto keys = config::GetKeySettings(options);
  TRIBUTARY_ASSIGN(auto keyring, transport::OpenKeyring({keys.key, keys.peers, keys.insecure}, "the endpoint", endpoints));
  return std::make_shared<transport::Context>(blob_client::IoThreads(connections), std::move(keyring));
}

}  // namespace tributary::cli
