// A file or a directory, streamed into a blob-store and out of it to another place, in the memory of a few chunks whatever its size.
//
//   tributary-blob-store --data-dir /tmp/blobs &
//   build/bin/example-file tcp://127.0.0.1:7710 FROM TO
#include <fmt/core.h>

#include "tributary/blob_client/remote_store.h"
#include "tributary/objects/files.h"

using namespace tributary;

Status Run(const std::string& endpoint, const std::string& from, const std::string& to) {
  memory::Pool pool(8_MiB);
  blob_client::RemoteOptions remote;
  remote.endpoints = {endpoint};
  remote.instance = "example-file";
  TRIBUTARY_ASSIGN(const auto store, blob_client::ConnectStore(std::make_shared<transport::Context>(), pool, remote));

  TRIBUTARY_ASSIGN(const auto source, objects::ReadPath(from));
  TRIBUTARY_ASSIGN(const ObjectName name, ObjectName::Parse("examples/file"));
  objects::PutOptions put;
  put.resume = true;   // a put that was interrupted goes on where it was
  put.replace = true;  // another file of this name gives way
  TRIBUTARY_ASSIGN(const objects::Outcome sent, objects::Put(*store, name, *source, put));

  // Written beside `to` and renamed at the end: all of it, or nothing.
  TRIBUTARY_ASSIGN(const auto sink, objects::WritePath(to, /*overwrite=*/false));
  objects::GetOptions get;
  get.digest = sent.digest;
  TRIBUTARY_ASSIGN(const objects::Outcome got, objects::Get(*store, name, *sink, get));
  fmt::print("{} {} bytes\n", got.digest, got.bytes);
  return store->Remove(name);
}

int main(int argc, char** argv) {
  if (argc != 4) {
    fmt::print(stderr, "usage: example-file ENDPOINT FROM TO\n");
    return 2;
  }
  const Status status = Run(argv[1], argv[2], argv[3]);
  if (!status.ok()) fmt::print(stderr, "{}\n", status.error().message());
  return status.ok() ? 0 : 1;
}
