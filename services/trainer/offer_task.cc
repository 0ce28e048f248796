#include "services/trainer/offer_task.h"

#include <filesystem>

#include "tributary/base/log.h"
#include "tributary/objects/files.h"

namespace tributary::trainer {
namespace {

using session::TaskContext;
using session::TaskResult;

constexpr std::string_view kUnder = "offers/";

// Where it lies at this site is nobody else's business.
Error WithoutPath(const Error& error, const std::string& path, const std::string& name) {
  std::error_code ec;
  const std::string canonical = std::filesystem::canonical(path, ec).string();
  std::string text = error.message();
  for (const std::string& secret : {path, canonical}) {
    for (std::size_t at = 0; !secret.empty() && (at = text.find(secret, at)) != std::string::npos;) {
      text.replace(at, secret.size(), name);
      at += name.size();
    }
  }
  return Error(error.code(), std::move(text));
}

Result<ObjectName> Offered(const std::string& text) {
  TRIBUTARY_ASSIGN(ObjectName object, ObjectName::Parse(text));
  if (object.str().starts_with(kUnder)) return object;
  return MakeError(Code::kPermission, "a trainer puts and removes objects under '{}' for others, not {}", kUnder, object.str());
}

}  // namespace

Result<TaskResult> SendOffer(blob::BlobStore& store, const TaskContext& context, const Identity& identity) {
  const std::string& name = context.spec.base;
  TRIBUTARY_ASSIGN(const ObjectName object, Offered(context.spec.output));
  const auto offer = identity.offers.find(name);
  if (offer == identity.offers.end()) {
    return MakeError(Code::kNotFound, "site '{}' offers no '{}' here; its administrator lists it with --offer {}=PATH", identity.site,
                     name.substr(0, 64), name.substr(0, 64));
  }
  const std::string& path = offer->second;
  context.progress.Phase("offer", 0, "bytes");
  const auto source = objects::ReadPath(path);
  if (!source.ok()) {
    log::Warning("offer '{}': {}", name, source.error().message());
    if (source.error().code() != Code::kNotFound) return WithoutPath(source.error(), path, name);
    return MakeError(Code::kNotFound, "what site '{}' offers as '{}' is not there any more; its administrator must put it back", identity.site,
                     name);
  }
  std::uint64_t total = 0;
  for (const auto& entry : (*source)->Entries()) total += entry.shape.front();
  context.progress.Phase("offer", total, "bytes");
  objects::PutOptions put;
  // A trainer that was started anew goes on where the one before it was killed.
  put.resume = true;
  put.replace = true;
  put.stop = context.stop;
  put.progress = [&](std::uint64_t done, std::uint64_t) {
    context.progress.Done(done);
    context.progress.Bytes(done, 0);
  };
  const auto outcome = objects::Put(store, object, **source, put);
  if (!outcome.ok()) {
    log::Warning("offer '{}': {}", name, outcome.error().message());
    return WithoutPath(outcome.error(), path, name);
  }
  log::Info("offer '{}' is sent as {}: {}", name, object.str(), FormatBytes(outcome->bytes));
  TaskResult result;
  result.digest = outcome->digest;
  return result;
}

Result<TaskResult> RemoveOffered(blob::BlobStore& store, const TaskContext& context) {
  for (const std::string& text : context.spec.objects) {
    TRIBUTARY_ASSIGN(const ObjectName object, Offered(text));
    TRIBUTARY_TRY(store.Remove(object));
  }
  return TaskResult{};
}

}  // namespace tributary::trainer
