// A dictionary of byte values, streamed into a blob-store and out of it again, entry by entry.
//
//   tributary-blob-store --data-dir /tmp/blobs &
//   build/bin/example-dict tcp://127.0.0.1:7710
#include <fmt/core.h>

#include "tributary/blob_client/remote_store.h"
#include "tributary/objects/values.h"

using namespace tributary;

Status Run(const std::string& endpoint) {
  memory::Pool pool(8_MiB);  // what may be under way, whatever the dictionary's size; outlives the store
  blob_client::RemoteOptions remote;
  remote.endpoints = {endpoint};
  remote.instance = "example-dict";
  TRIBUTARY_ASSIGN(const auto store, blob_client::ConnectStore(std::make_shared<transport::Context>(), pool, remote));

  // The values are spans: nothing is copied but into the chunks that are sent.
  const std::string weights(3'000'000, 'w');
  const std::string note = "trained on Tuesday";
  TRIBUTARY_ASSIGN(const auto source, objects::DictSource({{"weights", std::as_bytes(std::span(weights))},
                                                           {"note", std::as_bytes(std::span(note))}}));
  TRIBUTARY_ASSIGN(const ObjectName name, ObjectName::Parse("examples/dict"));
  objects::PutOptions put;
  put.replace = true;
  TRIBUTARY_ASSIGN(const objects::Outcome sent, objects::Put(*store, name, *source, put));

  // One whole value at a time comes back, each checked against the digest; larger ones than 16 MiB would be refused.
  const auto sink = objects::EntrySink(16_MiB, [](objects::Container, const std::string& key, std::vector<std::byte> value) {
    fmt::print("{}: {} bytes\n", key, value.size());
    return Ok();
  });
  objects::GetOptions get;
  get.digest = sent.digest;
  return objects::Get(*store, name, *sink, get).status();
}

int main(int argc, char** argv) {
  const Status status = Run(argc > 1 ? argv[1] : "tcp://127.0.0.1:7710");
  if (!status.ok()) fmt::print(stderr, "{}\n", status.error().message());
  return status.ok() ? 0 : 1;
}
