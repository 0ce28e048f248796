#include "services/blob-store/upstream_cache.h"

#include <algorithm>
#include <fstream>
#include <utility>

#include "tributary/base/log.h"

namespace tributary::service {
namespace {

namespace fs = std::filesystem;

constexpr std::uint32_t kListStep = 200;

std::string Joined(const std::vector<std::string>& endpoints) {
  std::string text;
  for (const std::string& endpoint : endpoints) text += (text.empty() ? "" : ", ") + endpoint;
  return text;
}

Error NotYet(const ObjectName& name) { return MakeError(Code::kUnavailable, "object '{}' is not here yet", name.str()); }

}  // namespace

UpstreamCache::UpstreamCache(UpstreamOptions options, blob::DiskStore& local)
    : options_(std::move(options)), name_(Joined(options_.endpoints)), local_(local), pool_(options_.memory_budget) {}

UpstreamCache::~UpstreamCache() { Stop(); }

Status UpstreamCache::Start(Events events) {
  events_ = std::move(events);
  std::error_code error;
  fs::remove_all(options_.directory, error);
  fs::create_directories(options_.directory, error);
  if (error) return ErrnoError(error.value(), "making " + options_.directory.string());
  // What is complete is served at once; what is not is looked at when somebody asks for it.
  for (std::string after;;) {
    TRIBUTARY_ASSIGN(const auto names, local_.List("", after, kListStep));
    for (const Name& name : names) {
      const auto info = local_.Stat(name);
      if (!info.ok() || !info->sealed) continue;
      Object& object = objects_[name];
      object.complete = true;
      object.info = *info;
    }
    if (names.empty()) break;
    after = names.back().str();
  }
  log::Info("a cache of the blob-store at {}: {} objects are here", name_, objects_.size());
  manifests_ = std::jthread([this](std::stop_token stop) { RunManifests(stop); });
  chunks_ = std::jthread([this](std::stop_token stop) { RunChunks(stop); });
  return Ok();
}

void UpstreamCache::Stop() {
  manifests_.request_stop();
  chunks_.request_stop();
  if (manifests_.joinable()) manifests_.join();
  if (chunks_.joinable()) chunks_.join();
}

Error UpstreamCache::ReadOnly() const {
  return MakeError(Code::kPermission, "this blob-store is a cache that is only read; dial {} to write, remove or list", name_);
}

std::string UpstreamCache::Why() const {
  return counters_.away ? fmt::format(": the blob-store at {}, of which this is a cache, does not answer", name_) : std::string();
}

void UpstreamCache::Ask(const Name& name) {
  if (const auto wait = not_before_.find(name); wait != not_before_.end() && Clock::now() < wait->second) return;
  if (!in_question_.insert(name).second) return;
  asked_.push_back(name);
  changed_.notify_all();
}

void UpstreamCache::Nudge(const Name& name) {
  const std::lock_guard lock(mutex_);
  if (!objects_.contains(name)) Ask(name);
}

Status UpstreamCache::Known(const Name& name, bool validated, bool* complete) {
  const std::lock_guard lock(mutex_);
  const auto found = objects_.find(name);
  if (found == objects_.end()) {
    Ask(name);
    return NotYet(name);
  }
  Object& object = found->second;
  object.used = Clock::now();
  // Another object may have the name by now. While upstream is away, what is here has to do.
  if (validated && object.complete && object.used - object.checked > options_.revalidate) {
    Ask(name);
    if (!counters_.away && in_question_.contains(name)) return NotYet(name);
  }
  if (complete != nullptr) *complete = object.complete;
  return Ok();
}

void UpstreamCache::Forget(const Name& name) {
  {
    const std::lock_guard lock(mutex_);
    objects_.erase(name);
  }
  if (const Status removed = local_.Remove(name); !removed.ok()) log::Warning("removing {}: {}", name.str(), removed.error().message());
  std::error_code ignored;
  fs::remove_all(SideDirectory(name), ignored);
}

bool UpstreamCache::TryForget(const Name& name) {
  {
    const std::lock_guard lock(mutex_);
    if (!in_question_.insert(name).second) return false;
  }
  Forget(name);
  const std::lock_guard lock(mutex_);
  in_question_.erase(name);
  return true;
}

Result<blob::ObjectInfo> UpstreamCache::Stat(const Name& name) {
  TRIBUTARY_TRY(Known(name, true));
  const std::lock_guard lock(mutex_);
  const auto found = objects_.find(name);
  if (found == objects_.end()) return NotYet(name);
  return found->second.info;
}

Result<wire::ObjectSpec> UpstreamCache::Spec(const Name& name) {
  TRIBUTARY_TRY(Known(name, false));
  return local_.Spec(name);
}

Result<std::vector<tensor::SlotRange>> UpstreamCache::Missing(const Name& name, tensor::SlotRange range, std::uint64_t) {
  bool complete = false;
  TRIBUTARY_TRY(Known(name, false, &complete));
  const std::lock_guard lock(mutex_);
  const auto found = objects_.find(name);
  if (found == objects_.end()) return NotYet(name);
  if (range.begin > range.end || range.end > found->second.info.slots) {
    return MakeError(Code::kNotFound, "object '{}' has {} slots", name.str(), found->second.info.slots);
  }
  // It is sealed upstream: none.
  return std::vector<tensor::SlotRange>();
}

Result<wire::ManifestRoot> UpstreamCache::Root(const Name& name) {
  TRIBUTARY_ASSIGN(const std::uint64_t bytes, DocumentBytes(name, blob::Document::kRoot, 0));
  std::vector<std::byte> text(bytes);
  TRIBUTARY_TRY(ReadDocument(name, blob::Document::kRoot, 0, text));
  return wire::DecodeManifestRoot(text);
}

Result<std::vector<wire::SlotDigest>> UpstreamCache::Page(const Name& name, std::uint64_t page) {
  TRIBUTARY_ASSIGN(const std::uint64_t bytes, DocumentBytes(name, blob::Document::kPage, page));
  std::vector<std::byte> text(bytes);
  TRIBUTARY_TRY(ReadDocument(name, blob::Document::kPage, page, text));
  return wire::DecodePage(text);
}

Result<blob::SlotMeta> UpstreamCache::StatSlot(const Name& name, std::uint64_t slot, std::uint64_t min_generation) {
  TRIBUTARY_TRY(Known(name, false));
  const auto meta = local_.StatSlot(name, slot, 0);
  if (meta.ok()) {
    if (meta->generation >= min_generation) return meta;
    return MakeError(Code::kConflict, "slot {} of object '{}' is of generation {} and sealed, not {}", slot, name.str(), meta->generation,
                     min_generation);
  }
  if (meta.error().code() != Code::kUnavailable) {
    // Removed between the two calls; or its records are damaged, and it is fetched anew.
    if (meta.error().code() == Code::kDataLoss) TryForget(name);
    const std::lock_guard lock(mutex_);
    if (!objects_.contains(name) || meta.error().code() == Code::kDataLoss) return NotYet(name);
    return meta;
  }
  const std::lock_guard lock(mutex_);
  const auto found = objects_.find(name);
  if (found != objects_.end() && !found->second.complete && slot < found->second.coming.size() && !found->second.coming[slot]) {
    found->second.urgent.push_back(slot);
    changed_.notify_all();
  }
  return NotYet(name);
}

Result<blob::SlotMeta> UpstreamCache::GetSlot(const Name& name, std::uint64_t slot, std::span<std::byte> out) {
  auto got = local_.GetSlot(name, slot, out);
  if (got.ok() || got.error().code() == Code::kUnavailable) return got;
  if (got.error().code() == Code::kDataLoss) {
    log::LogError("{}; it is fetched anew from {}", got.error().message(), name_);
    TryForget(name);
    return NotYet(name);
  }
  const std::lock_guard lock(mutex_);
  if (objects_.contains(name)) return got;
  return NotYet(name);
}

Result<std::uint64_t> UpstreamCache::DocumentBytes(const Name& name, blob::Document document, std::uint64_t page) {
  if (document == blob::Document::kDigests) return ReadOnly();
  bool complete = false;
  TRIBUTARY_TRY(Known(name, false, &complete));
  if (complete || document == blob::Document::kSpec) return local_.DocumentBytes(name, document, page);
  std::error_code error;
  const auto bytes = fs::file_size(Side(name, document, page), error);
  if (!error) return bytes;
  bool now_complete = false;  // sealed here meanwhile
  TRIBUTARY_TRY(Known(name, false, &now_complete));
  if (now_complete) return local_.DocumentBytes(name, document, page);
  return MakeError(Code::kNotFound, "the manifest of object '{}' has no page {}", name.str(), page);
}

Status UpstreamCache::ReadDocument(const Name& name, blob::Document document, std::uint64_t page, std::span<std::byte> out) {
  if (document == blob::Document::kDigests) return ReadOnly();
  bool complete = false;
  TRIBUTARY_TRY(Known(name, false, &complete));
  if (complete || document == blob::Document::kSpec) return local_.ReadDocument(name, document, page, out);
  std::ifstream file(Side(name, document, page), std::ios::binary);
  if (file.read(reinterpret_cast<char*>(out.data()), static_cast<std::streamsize>(out.size()))) return Ok();
  return NotYet(name);
}

fs::path UpstreamCache::SideDirectory(const Name& name) const {
  std::string text = name.str();
  std::replace(text.begin(), text.end(), '/', '+');
  return options_.directory / text;
}

fs::path UpstreamCache::Side(const Name& name, blob::Document document, std::uint64_t page) const {
  return SideDirectory(name) / (document == blob::Document::kRoot ? std::string("root") : fmt::format("page.{}", page));
}

}  // namespace tributary::service
