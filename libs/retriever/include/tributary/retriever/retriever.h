// Asks a remote site by name for an object that it offers, and streams it into a sink.
//
// The coordinator relays the wish to a connected trainer of the site, which puts what its administrator listed under that name
// (tributary-trainer --offer NAME=PATH) into the blob-store; from there it comes as objects::Get brings it, every byte checked against the
// digest that the trainer's put gave. Afterwards it is removed, by this client, or by a trainer if this client dies. Bytes never
// pass the coordinator, and nobody holds more than a window of chunks. One thread calls; a second one, of the library's own, tells the
// coordinator while bytes come that they are still wanted. The pool outlives the call. Bytes, milliseconds.
// Failures: kNotFound (no such offer: the message lists those that there are), kUnavailable (no trainer of the site is connected),
// kDeadline (no progress for `patience`: who, how far), kDataLoss (the object changed while it was read), kCancelled, and
// what trainer, store and sink say.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <stop_token>
#include <string>
#include <vector>

#include "tributary/base/result.h"
#include "tributary/base/units.h"
#include "tributary/memory/pool.h"
#include "tributary/objects/stream.h"
#include "tributary/transport/context.h"
#include "tributary/wire/control.h"

namespace tributary::retriever {

// What the connected sites offer, in order of site and name; of one site if one is named.
Result<std::vector<wire::OfferSummary>> ListOffers(std::shared_ptr<transport::Context> context, const std::string& coordinator,
                                                   const std::string& site = "", Duration timeout = Duration(10'000));

struct RetrieveOptions {
  std::string coordinator;  // endpoint
  std::vector<std::string> blob_stores;  // endpoints by shard, as seen from here; empty: as the coordinator tells them
  std::uint32_t connections = 1;  // to each
  std::string site;
  std::string name;
  std::string digest;       // hex; the object must have this one; empty: any
  Duration patience{60'000};
  // The site's bytes into the store, and the store's to here.
  std::function<void(std::uint64_t done, std::uint64_t total)> sending;
  std::function<void(std::uint64_t done, std::uint64_t total)> receiving;
  // What is waited for, each time that it changes.
  std::function<void(const std::string& reason)> waiting;
  std::stop_token stop;
};

Result<objects::Outcome> Retrieve(std::shared_ptr<transport::Context> context, memory::Pool& pool, const RetrieveOptions& options,
                                  objects::Sink& sink);

}  // namespace tributary::retriever
