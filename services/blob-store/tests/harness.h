// What the tests of the service share: a store on a free port with a directory of its own, and clients of it.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "libs/blob/testing/store_testing.h"
#include "libs/base/testing/temp_directory.h"
#include "services/blob-store/blob_store_service.h"
#include "tributary/blob_client/remote_store.h"

namespace tributary::service::testing {

class Server {
 public:
  explicit Server(std::uint64_t budget = 8_MiB, std::string listen = "tcp://127.0.0.1:0") {
    spec_.listen = std::move(listen);
    if (spec_.listen == "ipc") spec_.listen = "ipc://" + (directory_.path() / "socket").string();
    spec_.directory = directory_.path() / "store";
    spec_.memory_budget = budget;
    spec_.credit_idle = Duration(60'000);
    Start();
  }
  // One of several shards.
  Server(std::uint32_t shard, std::uint32_t shards) {
    spec_.listen = "tcp://127.0.0.1:0";
    spec_.directory = directory_.path() / "store";
    spec_.memory_budget = 8_MiB;
    spec_.shard = shard;
    spec_.shards = shards;
    spec_.io_threads = 2;
    Start();
  }
  BlobStoreService::Spec& spec() { return spec_; }
  // From now on at the same endpoint.
  void Start() {
    auto service = BlobStoreService::Start(spec_);
    if (!service.ok()) throw std::runtime_error(service.error().message());
    service_ = *std::move(service);
    spec_.listen = service_->endpoint();
  }
  void Kill() { service_.reset(); }
  BlobStoreService& operator*() { return *service_; }
  BlobStoreService* operator->() { return service_.get(); }
  std::string endpoint() const { return spec_.listen; }
  const std::filesystem::path& path() const { return directory_.path(); }

 private:
  TempDirectory directory_;
  BlobStoreService::Spec spec_;
  std::unique_ptr<BlobStoreService> service_;
};

// A process's worth of client: pool, context, store.
class Client {
 public:
  explicit Client(const std::string& endpoint, std::uint64_t budget = 8_MiB, Duration timeout = Duration(30'000))
      : Client(std::vector{endpoint}, 1, budget, timeout) {}
  Client(const std::vector<std::string>& shards, std::uint32_t connections, std::uint64_t budget, Duration timeout = Duration(30'000))
      : pool_(budget) {
    blob_client::RemoteOptions options;
    options.endpoints = shards;
    options.connections = connections;
    options.instance = "test";
    options.request_timeout = timeout;
    options.connect_timeout = timeout;
    options.read_timeout = timeout;
    options.write_timeout = timeout;
    options.ack_timeout = timeout;
    auto store = blob_client::ConnectStore(context_, pool_, options);
    if (!store.ok()) throw std::runtime_error(store.error().message());
    store_ = *std::move(store);
  }
  blob_client::RemoteStore& operator*() { return *store_; }
  blob_client::RemoteStore* operator->() { return store_.get(); }
  memory::Pool& pool() { return pool_; }

 private:
  memory::Pool pool_;
  std::shared_ptr<transport::Context> context_ = std::make_shared<transport::Context>();
  std::unique_ptr<blob_client::RemoteStore> store_;
};

// The shards of one store.
class Shards {
 public:
  explicit Shards(std::uint32_t count) {
    for (std::uint32_t shard = 0; shard < count; ++shard) servers_.push_back(std::make_unique<Server>(shard, count));
  }
  Server& operator[](std::size_t shard) { return *servers_[shard]; }
  std::vector<std::string> endpoints() const {
    std::vector<std::string> endpoints;
    for (const auto& server : servers_) endpoints.push_back(server->endpoint());
    return endpoints;
  }

 private:
  std::vector<std::unique_ptr<Server>> servers_;
};

}  // namespace tributary::service::testing
