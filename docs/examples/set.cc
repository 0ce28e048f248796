// Two sets of byte values that are equal whatever the order of their elements: they have one digest, so the second put sends nothing.
//
//   tributary-blob-store --data-dir /tmp/blobs &
//   build/bin/example-set tcp://127.0.0.1:7710
#include <fmt/core.h>

#include "tributary/blob_client/remote_store.h"
#include "tributary/objects/values.h"

using namespace tributary;

Status Run(const std::string& endpoint) {
  memory::Pool pool(8_MiB);
  blob_client::RemoteOptions remote;
  remote.endpoints = {endpoint};
  remote.instance = "example-set";
  TRIBUTARY_ASSIGN(const auto store, blob_client::ConnectStore(std::make_shared<transport::Context>(), pool, remote));

  const std::string a = "alpha", b = "beta", c = "gamma";
  const auto bytes = [](const std::string& text) { return std::as_bytes(std::span(text)); };
  TRIBUTARY_ASSIGN(const auto one, objects::SetSource({bytes(a), bytes(b), bytes(c)}));
  TRIBUTARY_ASSIGN(const auto other, objects::SetSource({bytes(c), bytes(a), bytes(b)}));
  TRIBUTARY_ASSIGN(const ObjectName name, ObjectName::Parse("examples/set"));
  objects::PutOptions put;
  put.replace = true;
  TRIBUTARY_ASSIGN(const objects::Outcome first, objects::Put(*store, name, *one, put));
  TRIBUTARY_ASSIGN(const objects::Outcome second, objects::Put(*store, name, *other));
  fmt::print("{}, again {} bytes moved\n", first.digest == second.digest ? "equal" : "different", second.bytes_moved);

  const auto sink = objects::EntrySink(1_MiB, [](objects::Container, const std::string& sha256, std::vector<std::byte> value) {
    fmt::print("{}… {}\n", sha256.substr(0, 8), std::string(reinterpret_cast<const char*>(value.data()), value.size()));
    return Ok();
  });
  return objects::Get(*store, name, *sink).status();
}

int main(int argc, char** argv) {
  const Status status = Run(argc > 1 ? argv[1] : "tcp://127.0.0.1:7710");
  if (!status.ok()) fmt::print(stderr, "{}\n", status.error().message());
  return status.ok() ? 0 : 1;
}
