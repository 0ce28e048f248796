// Asks a remote site by name for an object that it offers, and writes it to a place here.
//
//   tributary-blob-store --data-dir /tmp/blobs &
//   tributary-coordinator --state-dir /tmp/state --blob-store tcp://127.0.0.1:7710 &
//   tributary-trainer --site hospital --offer scans=/srv/scans.tar &
//   build/bin/example-retriever tcp://127.0.0.1:7700 hospital scans ./scans.tar
#include <fmt/core.h>

#include "tributary/objects/files.h"
#include "tributary/retriever/retriever.h"

using namespace tributary;

Status Run(const std::string& coordinator, const std::string& site, const std::string& name, const std::string& to) {
  memory::Pool pool(8_MiB);  // outlives the context, whose threads may hold the last of its buffers
  const auto context = std::make_shared<transport::Context>();
  TRIBUTARY_ASSIGN(const auto offers, retriever::ListOffers(context, coordinator));
  for (const auto& offer : offers) fmt::print("{} offers {}\n", offer.site, offer.name);

  TRIBUTARY_ASSIGN(const auto sink, objects::WritePath(to, /*overwrite=*/false));
  retriever::RetrieveOptions options;
  options.coordinator = coordinator;
  options.site = site;
  options.name = name;
  options.waiting = [](const std::string& reason) { fmt::print(stderr, "waiting: {}\n", reason); };
  TRIBUTARY_ASSIGN(const objects::Outcome got, retriever::Retrieve(context, pool, options, *sink));
  fmt::print("{} {} bytes\n", got.digest, got.bytes);
  return Ok();
}

int main(int argc, char** argv) {
  if (argc != 5) {
    fmt::print(stderr, "usage: example-retriever COORDINATOR SITE NAME PATH\n");
    return 2;
  }
  const Status status = Run(argv[1], argv[2], argv[3], argv[4]);
  if (!status.ok()) fmt::print(stderr, "{}\n", status.error().message());
  return status.ok() ? 0 : 1;
}
