#include <algorithm>
#include <cmath>
#include <map>
#include <shared_mutex>

#include "local_store.h"
#include "manifest.h"
#include "shape.h"

namespace tributary::blob {
namespace {

struct Slot {
  SlotMeta meta;
  std::vector<std::byte> bytes;  // empty: absent, or on another shard
  bool elsewhere = false;        // on another shard, and its digest is here
};

struct Object {
  wire::ObjectSpec spec;
  ObjectShape shape;
  std::vector<Slot> slots;
  std::vector<std::string> pages;
  Manifest manifest;  // of a sealed one
  bool sealed() const { return !manifest.digest.empty(); }
};

class MemoryStore final : public LocalStore {
 public:
  MemoryStore(memory::Pool& pool, const Shard& shard) : LocalStore(pool), shard_(shard) {}

  Result<CreateOutcome> Create(const ObjectName& name, const wire::ObjectSpec& spec, bool replace) override {
    TRIBUTARY_TRY(CheckPath(name.str(), "object name"));
    TRIBUTARY_ASSIGN(ObjectShape shape, ObjectShape::Make(spec, shard_));
    {
      const std::unique_lock lock(mutex_);
      if (const auto it = objects_.find(name); it != objects_.end()) {
        if (it->second.spec == spec) return CreateOutcome{true, it->second.sealed()};
        if (it->second.sealed() || !replace) return OtherSpec(name, it->second.sealed());
        const bool chunks = std::ranges::any_of(it->second.slots, [](const Slot& slot) { return !slot.bytes.empty(); });
        if (it->second.spec.kind == wire::ObjectKind::kUpdate && chunks) return UpdateInUse(name);
        objects_.erase(it);
      }
      Object& object = objects_[name];
      object.spec = spec;
      object.slots.resize(shape.slots());
      object.shape = std::move(shape);
    }
    Changed();
    return CreateOutcome{};
  }

  Result<ObjectInfo> Stat(const ObjectName& name) override {
    const std::shared_lock lock(mutex_);
    TRIBUTARY_ASSIGN(const Object* object, Find(name));
    ObjectInfo info;
    info.name = name;
    info.kind = object->spec.kind;
    info.sealed = object->sealed();
    info.slots = object->shape.slots();
    info.bytes = object->shape.bytes();
    info.sample_count = object->spec.sample_count;
    info.digest = object->manifest.digest;
    double squares = 0;
    for (const Slot& slot : object->slots) {
      if (slot.bytes.empty()) continue;
      ++info.slots_present;
      info.bytes_present += slot.bytes.size();
      info.generation = std::max(info.generation, slot.meta.generation);
      if (info.sealed) squares += slot.meta.squares;
    }
    info.norm = std::sqrt(squares);
    return info;
  }

  Result<wire::ObjectSpec> Spec(const ObjectName& name) override {
    const std::shared_lock lock(mutex_);
    TRIBUTARY_ASSIGN(const Object* object, Find(name));
    return object->spec;
  }

  Result<std::vector<tensor::SlotRange>> Missing(const ObjectName& name, tensor::SlotRange range,
                                                 std::uint64_t generation) override {
    const std::shared_lock lock(mutex_);
    TRIBUTARY_ASSIGN(const Object* object, Find(name));
    TRIBUTARY_TRY(object->shape.CheckRange(name, range));
    std::vector<tensor::SlotRange> missing;
    for (std::uint64_t i = range.begin; i < range.end; ++i) {
      const Slot& slot = object->slots[i];
      if (!shard_.Has(i) || (!slot.bytes.empty() && slot.meta.generation >= generation)) continue;
      if (!missing.empty() && missing.back().end == i) {
        ++missing.back().end;
      } else {
        missing.push_back({i, i + 1});
      }
    }
    return missing;
  }

  Result<std::string> Seal(const ObjectName& name, std::uint64_t generation, bool) override {
    const std::unique_lock lock(mutex_);
    TRIBUTARY_ASSIGN(Object* object, Find(name));
    std::uint64_t missing = 0;
    std::uint64_t first = 0;
    std::uint64_t elsewhere = 0;
    std::uint64_t first_elsewhere = 0;
    for (std::uint64_t i = object->slots.size(); i-- > 0;) {
      if (!object->slots[i].bytes.empty() || object->slots[i].elsewhere) continue;
      ++(shard_.Has(i) ? missing : elsewhere);
      (shard_.Has(i) ? first : first_elsewhere) = i;
    }
    const std::uint64_t own = object->shape.own_slots();
    if (missing > 0) return SlotsMissing(name, missing, own, first);
    if (elsewhere > 0) return DigestsMissing(name, elsewhere, object->slots.size() - own, first_elsewhere);
    for (std::uint64_t i = 0; generation != 0 && i < object->slots.size(); ++i) {
      const std::uint64_t has = object->slots[i].meta.generation;
      if (object->slots[i].elsewhere && has == 0) continue;  // told for a seal that named none
      if (has != generation) return OtherGeneration(name, i, has, generation);
    }
    if (object->sealed()) return object->manifest.digest;
    std::vector<std::string> pages;
    ManifestBuilder builder([&](const std::string& page) {
      pages.push_back(page);
      return Ok();
    });
    for (const Slot& slot : object->slots) TRIBUTARY_TRY(builder.Add(slot.meta.digest, slot.meta.bytes));
    TRIBUTARY_ASSIGN(object->manifest, builder.Finish(object->spec));
    object->pages = std::move(pages);
    return object->manifest.digest;
  }

  Result<wire::ManifestRoot> Root(const ObjectName& name) override {
    const std::shared_lock lock(mutex_);
    TRIBUTARY_ASSIGN(const Object* object, Find(name));
    if (!object->sealed()) return MakeError(Code::kUnavailable, "object '{}' is not sealed yet", name.str());
    return wire::DecodeManifestRoot(std::as_bytes(std::span(object->manifest.root)));
  }

  Result<std::vector<wire::SlotDigest>> Page(const ObjectName& name, std::uint64_t page) override {
    const std::shared_lock lock(mutex_);
    TRIBUTARY_ASSIGN(const Object* object, Find(name));
    if (!object->sealed()) return MakeError(Code::kUnavailable, "object '{}' is not sealed yet", name.str());
    if (page >= object->pages.size()) {
      return MakeError(Code::kNotFound, "object '{}' has no page {}: it has {}", name.str(), page, object->pages.size());
    }
    return wire::DecodePage(std::as_bytes(std::span(object->pages[page])));
  }

  Status Remove(const ObjectName& name) override {
    {
      const std::unique_lock lock(mutex_);
      objects_.erase(name);
    }
    Changed();
    return Ok();
  }

  Result<std::vector<ObjectName>> List(const std::string& prefix, const std::string& after,
                                       std::uint32_t limit) override {
    const std::shared_lock lock(mutex_);
    std::vector<ObjectName> names;
    for (const auto& [name, object] : objects_) {
      if (names.size() >= limit) break;
      if (name.str() > after && name.str().starts_with(prefix)) names.push_back(name);
    }
    return names;
  }

  Result<SlotMeta> PutSlot(const ObjectName& name, std::uint64_t slot, std::uint64_t generation, std::span<const std::byte> bytes,
                           const digest::Xxh128* expected, const digest::Sha256* sha256) override {
    const wire::SlotDigest digest{sha256 != nullptr ? *sha256 : digest::ComputeSha256(bytes), digest::ComputeXxh128(bytes)};
    if (expected != nullptr && *expected != digest.xxh128) return DigestMismatch(name, slot, "as received");
    SlotMeta meta{generation, static_cast<std::uint32_t>(bytes.size()), digest};
    {
      const std::unique_lock lock(mutex_);
      TRIBUTARY_ASSIGN(Object* object, Find(name));
      TRIBUTARY_TRY(object->shape.CheckContent(name, slot, bytes));
      meta.squares = object->shape.Squares(slot, bytes);
      if (object->sealed()) return ObjectSealed(name);
      Slot& place = object->slots[slot];
      if (!place.bytes.empty() && place.meta.generation > generation) {
        return OlderGeneration(name, slot, generation, place.meta.generation);
      }
      if (!place.bytes.empty() && object->spec.kind == wire::ObjectKind::kUpdate && place.meta.digest != digest) {
        return OtherBytes(name, slot);
      }
      place.meta = meta;
      place.bytes.assign(bytes.begin(), bytes.end());
    }
    Changed();
    return meta;
  }

  Result<SlotMeta> StatSlot(const ObjectName& name, std::uint64_t slot, std::uint64_t min_generation) override {
    const std::shared_lock lock(mutex_);
    TRIBUTARY_ASSIGN(const Object* object, Find(name));
    TRIBUTARY_TRY(object->shape.CheckSlot(name, slot));
    const Slot& place = object->slots[slot];
    if (place.bytes.empty() || place.meta.generation < min_generation) return SlotAbsent(name, slot, min_generation);
    return place.meta;
  }

  Result<SlotMeta> GetSlot(const ObjectName& name, std::uint64_t slot, std::span<std::byte> out) override {
    const std::shared_lock lock(mutex_);
    TRIBUTARY_ASSIGN(const Object* object, Find(name));
    TRIBUTARY_TRY(object->shape.CheckChunk(name, slot, out.size()));
    const Slot& place = object->slots[slot];
    if (place.bytes.empty()) return SlotAbsent(name, slot, 0);
    std::copy(place.bytes.begin(), place.bytes.end(), out.begin());
    return place.meta;
  }

  Status PutDigests(const ObjectName& name, std::uint64_t page, std::uint64_t generation, std::span<const wire::SlotDigest> digests) override {
    const std::unique_lock lock(mutex_);
    TRIBUTARY_ASSIGN(Object* object, Find(name));
    TRIBUTARY_TRY(object->shape.CheckDigests(name, page, digests));
    if (object->sealed()) return ObjectSealed(name);
    const tensor::SlotRange slots = object->shape.PageSlots(page);
    for (std::uint64_t i = slots.begin; i < slots.end; ++i) {
      Slot& slot = object->slots[i];
      if (shard_.Has(i) && (slot.bytes.empty() || slot.meta.digest != digests[i - slots.begin])) return SlotChanged(name, i);
      if (shard_.Has(i)) continue;
      slot.meta = {generation, static_cast<std::uint32_t>(object->shape.SlotBytes(i)), digests[i - slots.begin]};
      slot.elsewhere = true;
    }
    return Ok();
  }

  Result<std::uint64_t> DocumentBytes(const ObjectName& name, Document document, std::uint64_t page) override {
    TRIBUTARY_ASSIGN(const std::string text, Text(name, document, page));
    return std::uint64_t{text.size()};
  }

  Status ReadDocument(const ObjectName& name, Document document, std::uint64_t page, std::span<std::byte> out) override {
    TRIBUTARY_ASSIGN(const std::string text, Text(name, document, page));
    if (text.size() != out.size()) return MakeError(Code::kUnavailable, "object '{}' was replaced; ask again", name.str());
    std::ranges::copy(std::as_bytes(std::span(text)), out.begin());
    return Ok();
  }

 private:
  Result<std::string> Text(const ObjectName& name, Document document, std::uint64_t page) {
    if (document == Document::kSpec) {
      TRIBUTARY_ASSIGN(const wire::ObjectSpec spec, Spec(name));
      return wire::EncodeObjectSpec(spec);
    }
    if (document == Document::kRoot) {
      TRIBUTARY_ASSIGN(const wire::ManifestRoot root, Root(name));
      return wire::EncodeManifestRoot(root);
    }
    TRIBUTARY_ASSIGN(const std::vector<wire::SlotDigest> digests, document == Document::kPage ? Page(name, page) : Digests(name, page));
    return wire::EncodePage(digests);
  }

  Result<std::vector<wire::SlotDigest>> Digests(const ObjectName& name, std::uint64_t page) {
    const std::shared_lock lock(mutex_);
    TRIBUTARY_ASSIGN(const Object* object, Find(name));
    TRIBUTARY_TRY(object->shape.CheckPage(name, page));
    const tensor::SlotRange slots = object->shape.PageSlots(page);
    std::vector<wire::SlotDigest> digests(slots.size());
    std::uint64_t missing = 0;
    std::uint64_t first = 0;
    for (std::uint64_t i = slots.end; i-- > slots.begin;) {
      if (!shard_.Has(i)) continue;
      digests[i - slots.begin] = object->slots[i].meta.digest;
      if (!object->slots[i].bytes.empty()) continue;
      ++missing;
      first = i;
    }
    if (missing > 0) return PageIncomplete(name, page, missing, first);
    return digests;
  }

  Result<Object*> Find(const ObjectName& name) {
    const auto it = objects_.find(name);
    if (it == objects_.end()) return NoSuchObject(name);
    return &it->second;
  }

  const Shard shard_;
  std::shared_mutex mutex_;
  std::map<ObjectName, Object> objects_;  // protected by mutex_
};

}  // namespace

std::unique_ptr<SlotStore> MakeMemoryStore(memory::Pool& pool, const Shard& shard) {
  return std::make_unique<MemoryStore>(pool, shard);
}

}  // namespace tributary::blob
