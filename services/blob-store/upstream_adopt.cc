// Manifests of objects that are asked for and not here: the UpstreamCache's first thread.
#include <algorithm>
#include <fstream>
#include <utility>

#include "services/blob-store/upstream_cache.h"
#include "tributary/base/log.h"
#include "tributary/digest/digest.h"

namespace tributary::service {
namespace {

namespace fs = std::filesystem;

constexpr std::chrono::milliseconds kAgain{500};  // between two looks at one object that could not be had
constexpr std::size_t kMaxRemembered = 4096;

bool IsAway(Code code) { return code == Code::kDeadline || code == Code::kUnavailable || code == Code::kIo || code == Code::kCancelled; }

std::string HexOf(const std::string& text) { return digest::Hex(digest::ComputeSha256(std::as_bytes(std::span(text)))); }

Status WriteText(const fs::path& path, const std::string& text) {
  std::ofstream file(path, std::ios::binary);
  file << text;
  file.close();
  if (file) return Ok();
  return MakeError(Code::kResourceExhausted, "{} cannot be written; is the disk full?", path.string());
}

}  // namespace

void UpstreamCache::RunManifests(std::stop_token stop) {
  blob_client::RemoteOptions remote;
  remote.endpoints = options_.endpoints;
  remote.instance = "cache";
  remote.request_timeout = remote.connect_timeout = options_.answer_timeout;
  remote.stop = stop;
  const auto store = blob_client::ConnectStore(context_, pool_, remote);
  if (!store.ok()) return log::LogError("--upstream: {}", store.error().message());
  for (;;) {
    Name name;
    bool seal = false;
    {
      std::unique_lock lock(mutex_);
      if (!changed_.wait(lock, stop, [this] { return !asked_.empty() || !to_seal_.empty(); })) return;
      auto& queue = to_seal_.empty() ? asked_ : to_seal_;
      seal = !to_seal_.empty();
      name = std::move(queue.front());
      queue.pop_front();
    }
    if (seal) {
      Complete(name);
      continue;
    }
    Adopt(**store, name);
    {
      const std::lock_guard lock(mutex_);
      in_question_.erase(name);
    }
    // After it: whoever looks again must not find it in question.
    if (!stop.stop_requested()) events_.changed(name);
  }
}

void UpstreamCache::Adopt(blob::BlobStore& remote, const Name& name) {
  const auto later = [&] {
    const std::lock_guard lock(mutex_);
    if (not_before_.size() >= kMaxRemembered) not_before_.clear();
    not_before_[name] = Clock::now() + kAgain;
  };
  const auto info = remote.Stat(name);
  const bool away = !info.ok() && IsAway(info.error().code());
  if (counters_.away.exchange(away) != away) {
    if (away) {
      log::Warning("{}; what is complete here is served, others wait", info.error().message());
    } else {
      log::Info("the blob-store at {} answers again", name_);
    }
  }
  if (away) {
    later();
    return;
  }
  std::string here;
  {
    const std::lock_guard lock(mutex_);
    const auto found = objects_.find(name);
    if (found != objects_.end()) here = found->second.info.digest;
    if (info.ok() && info->sealed && here == info->digest) {
      found->second.checked = Clock::now();
      return;
    }
  }
  if (!here.empty()) {
    log::Info("object '{}' is another one upstream by now: removed here", name.str());
    Forget(name);
  }
  if (!info.ok()) {
    later();
    events_.failed(name, info.error(), true);
    return;
  }
  if (!info->sealed) {
    later();
    events_.failed(name,
                   MakeError(Code::kUnavailable, "object '{}' is open at {}, {} of {} slots are there: a cache has what is sealed", name.str(),
                             name_, info->slots_present, info->slots),
                   false);
    return;
  }
  if (const Status fetched = Fetch(remote, name, *info); !fetched.ok()) {
    log::Warning("object '{}': {}", name.str(), fetched.error().message());
    later();
    if (!IsAway(fetched.error().code())) events_.failed(name, fetched.error(), true);
  }
}

Status UpstreamCache::Fetch(blob::BlobStore& remote, const Name& name, const blob::ObjectInfo& info) {
  wire::ObjectSpec spec;
  TRIBUTARY_TRY(FetchManifest(remote, name, info, spec));
  TRIBUTARY_ASSIGN(std::vector<bool> have, Open(name, info, spec));
  const bool sealed = have.empty() && info.slots > 0;
  {
    const std::lock_guard lock(mutex_);
    Object& object = objects_[name];
    object.info = info;
    object.complete = sealed;
    object.used = object.checked = Clock::now();
    object.coming = have;
    object.missing = sealed ? 0 : static_cast<std::uint64_t>(std::count(have.begin(), have.end(), false));
    object.have = std::move(have);
    if (!sealed && object.missing == 0) to_seal_.push_back(name);
    changed_.notify_all();
  }
  log::Info("object '{}' is fetched from {}: {}", name.str(), name_, FormatBytes(info.bytes));
  return Ok();
}

Status UpstreamCache::FetchManifest(blob::BlobStore& remote, const Name& name, const blob::ObjectInfo& info, wire::ObjectSpec& spec) {
  const auto lost = [&](const char* what) {
    return MakeError(Code::kDataLoss, "{} of object '{}' at {} is not what its digest {} says", what, name.str(), name_, info.digest);
  };
  TRIBUTARY_ASSIGN(const wire::ManifestRoot root, remote.Root(name));
  const std::string text = wire::EncodeManifestRoot(root);
  if (HexOf(text) != info.digest || root.slots != info.slots) return lost("the manifest");
  // How it is kept is no part of the manifest, and the store's own word.
  TRIBUTARY_ASSIGN(spec, remote.Spec(name));
  const bool repetitive = std::exchange(spec.repetitive, root.spec.repetitive);
  if (spec != root.spec) return lost("the spec");
  spec.repetitive = repetitive;
  std::error_code error;
  fs::create_directories(SideDirectory(name), error);
  if (error) return ErrnoError(error.value(), "making " + SideDirectory(name).string());
  TRIBUTARY_TRY(WriteText(Side(name, blob::Document::kRoot, 0), text));
  for (std::uint64_t number = 0; number < root.pages.size(); ++number) {
    TRIBUTARY_ASSIGN(const auto page, remote.Page(name, number));
    const std::string page_text = wire::EncodePage(page);
    if (digest::ComputeSha256(std::as_bytes(std::span(page_text))) != root.pages[number]) return lost("a page of the manifest");
    TRIBUTARY_TRY(WriteText(Side(name, blob::Document::kPage, number), page_text));
  }
  return Ok();
}

Result<std::vector<bool>> UpstreamCache::Open(const Name& name, const blob::ObjectInfo& info, const wire::ObjectSpec& spec) {
  if (const std::uint64_t quota = local_.Use().quota; quota > 0 && info.bytes > quota) {
    return MakeError(Code::kResourceExhausted, "object '{}' has {}, more than this cache's --quota of {}; raise it", name.str(),
                     FormatBytes(info.bytes), FormatBytes(quota));
  }
  bool existed = false;
  for (;;) {
    const auto created = local_.Create(name, spec, /*replace=*/false);
    if (created.ok() && created->sealed) {
      TRIBUTARY_ASSIGN(const auto here, local_.Stat(name));
      if (here.digest == info.digest) return std::vector<bool>();  // complete
      TRIBUTARY_TRY(local_.Remove(name));
    } else if (created.ok()) {
      existed = created->existed;
      break;
    } else if (created.error().code() == Code::kResourceExhausted) {
      TRIBUTARY_TRY(MakeRoom(name, created.error()));
    } else if (created.error().code() == Code::kAlreadyExists || created.error().code() == Code::kDataLoss) {
      TRIBUTARY_TRY(local_.Remove(name));
    } else {
      return created.error();
    }
  }
  std::vector<bool> have(info.slots, false);
  if (!existed) return have;
  // Of an earlier process: what is there need not come again, if it is what is sealed upstream now.
  have.assign(info.slots, true);
  TRIBUTARY_ASSIGN(const auto missing, local_.Missing(name, {0, info.slots}, 0));
  for (const auto& range : missing) std::fill(have.begin() + static_cast<std::ptrdiff_t>(range.begin), have.begin() + static_cast<std::ptrdiff_t>(range.end), false);
  std::vector<wire::SlotDigest> page;
  for (std::uint64_t slot = 0; slot < info.slots; ++slot) {
    if (slot % wire::kPageDigests == 0) {
      TRIBUTARY_ASSIGN(page, SidePage(name, slot / wire::kPageDigests));
    }
    if (!have[slot]) continue;
    const auto meta = local_.StatSlot(name, slot, 0);
    // A slot that is open may be put again.
    have[slot] = meta.ok() && slot % wire::kPageDigests < page.size() && meta->digest.sha256 == page[slot % wire::kPageDigests].sha256;
  }
  return have;
}

Result<std::vector<wire::SlotDigest>> UpstreamCache::SidePage(const Name& name, std::uint64_t page) const {
  std::ifstream file(Side(name, blob::Document::kPage, page), std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  return wire::DecodePage(std::as_bytes(std::span(text)));
}

Status UpstreamCache::MakeRoom(const Name& wanted, const Error& why) {
  Name victim;
  {
    const std::lock_guard lock(mutex_);
    // Parts of what nobody asked for since this process began go first.
    TRIBUTARY_ASSIGN(const auto names, local_.List("", "", 200));
    for (const Name& name : names) {
      if (name != wanted && !objects_.contains(name)) victim = name;
    }
    auto least = Clock::now() - options_.in_use;
    for (const auto& [name, object] : objects_) {
      if (!victim.empty() || name == wanted || object.used > least) continue;
      least = object.used;
    }
    for (const auto& [name, object] : objects_) {
      if (victim.empty() && name != wanted && object.used <= least) victim = name;
    }
  }
  if (victim.empty()) {
    return Error(why.code(), why.message() + "; everything else in this cache is being read: raise --quota or make room on the disk");
  }
  log::Info("object '{}' makes room for '{}'", victim.str(), wanted.str());
  if (!TryForget(victim)) return MakeError(Code::kUnavailable, "object '{}', which is to make room, is being looked at", victim.str());
  ++counters_.evicted;
  events_.changed(victim);
  return Ok();
}

void UpstreamCache::Complete(const Name& name) {
  const auto digest = local_.Seal(name, 0, /*durable=*/true);
  {
    const std::lock_guard lock(mutex_);
    const auto found = objects_.find(name);
    if (found == objects_.end()) return;
    if (digest.ok() && *digest == found->second.info.digest) {
      Object& object = found->second;
      object.complete = true;
      object.have = object.coming = {};
      object.urgent.clear();
    }
  }
  if (digest.ok()) {
    std::error_code ignored;
    fs::remove_all(SideDirectory(name), ignored);
    log::Info("object '{}' is complete", name.str());
  } else {
    log::LogError("sealing '{}': {}; it is fetched anew", name.str(), digest.error().message());
    Forget(name);
  }
  events_.changed(name);
}

}  // namespace tributary::service
