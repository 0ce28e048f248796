// A list of byte values, streamed into a blob-store and out of it again, element by element.
//
//   tributary-blob-store --data-dir /tmp/blobs &
//   build/bin/example-list tcp://127.0.0.1:7710
#include <fmt/core.h>

#include "tributary/blob_client/remote_store.h"
#include "tributary/objects/values.h"

using namespace tributary;

Status Run(const std::string& endpoint) {
  memory::Pool pool(8_MiB);
  blob_client::RemoteOptions remote;
  remote.endpoints = {endpoint};
  remote.instance = "example-list";
  TRIBUTARY_ASSIGN(const auto store, blob_client::ConnectStore(std::make_shared<transport::Context>(), pool, remote));

  // A hundred elements of growing length, the first one empty: small ones share a chunk, large ones take several.
  std::vector<std::vector<std::byte>> losses(100);
  for (std::size_t i = 0; i < losses.size(); ++i) losses[i].resize(i * 1000, std::byte(i));
  TRIBUTARY_ASSIGN(const auto source, objects::ListSource({losses.begin(), losses.end()}));
  TRIBUTARY_ASSIGN(const ObjectName name, ObjectName::Parse("examples/list"));
  objects::PutOptions put;
  put.replace = true;
  TRIBUTARY_TRY(objects::Put(*store, name, *source, put).status());

  std::size_t count = 0;
  std::size_t bytes = 0;
  const auto sink = objects::EntrySink(1_MiB, [&](objects::Container, const std::string&, std::vector<std::byte> value) {
    if (value != losses[count]) return Status(MakeError(Code::kDataLoss, "element {} is another one", count));
    ++count;
    bytes += value.size();
    return Ok();
  });
  TRIBUTARY_TRY(objects::Get(*store, name, *sink).status());
  fmt::print("{} elements, {} bytes\n", count, bytes);
  return Ok();
}

int main(int argc, char** argv) {
  const Status status = Run(argc > 1 ? argv[1] : "tcp://127.0.0.1:7710");
  if (!status.ok()) fmt::print(stderr, "{}\n", status.error().message());
  return status.ok() ? 0 : 1;
}
