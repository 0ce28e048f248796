// Objects of the blob-store as they travel and lie on disk: the spec they open with, and the manifest they seal to.
//
// A spec is unchangeable after Create. A manifest has two levels: a small root and pages of at most kPageDigests digests. The digest
// of an object is the SHA-256 of its root, which holds nothing of the object's name or time: equal content, equal
// digest. Plain values and pure functions; every decoder bounds what it allocates by the bytes it was given.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "tributary/base/result.h"
#include "tributary/digest/digest.h"
#include "tributary/tensor/layout.h"

namespace tributary::wire {

enum class ObjectKind : std::uint32_t { kModel = 1, kUpdate = 2, kOther = 3 };

struct ObjectSpec {
  ObjectKind kind = ObjectKind::kModel;
  std::vector<tensor::TensorSpec> tensors;
  std::uint64_t chunk_bytes = tensor::kDefaultChunkBytes;
  tensor::Cut cut = tensor::Cut::kChunks;
  tensor::Encoding encoding = tensor::Encoding::kNative;
  std::uint64_t sample_count = 0;   // updates: what FedAvg weights by
  std::string base_digest;          // hex; updates: the model it was trained from
  bool delta = false;               // updates: encoded sections hold differences to the base (docs/encodings.md)
  std::string info;                 // opaque to the store: a model's config.json; at most 64 KiB
  // How a store keeps it, and so no part of the manifest: many chunks are equal, as in made-up models. Equal ones are stored once, and
  // room is taken as chunks come instead of when the object is created.
  bool repetitive = false;

  bool operator==(const ObjectSpec&) const = default;
};

Result<tensor::Layout> MakeLayout(const ObjectSpec& spec);

std::string EncodeObjectSpec(const ObjectSpec& spec);
// Checks everything that Layout::Make checks, too.
Result<ObjectSpec> DecodeObjectSpec(std::span<const std::byte> bytes);

// Both digests of one slot, as they stand in a page: 48 bytes.
struct SlotDigest {
  digest::Sha256 sha256{};
  digest::Xxh128 xxh128{};
  bool operator==(const SlotDigest&) const = default;
};
constexpr std::size_t kSlotDigestBytes = 48;
constexpr std::uint64_t kPageDigests = 4096;

struct ManifestRoot {
  ObjectSpec spec;
  std::uint64_t slots = 0;
  std::uint64_t bytes = 0;                // of all chunks as encoded
  std::vector<digest::Sha256> pages;      // SHA-256 of each page's bytes
};
// Without spec.repetitive: equal content, equal digest, however it is kept.
std::string EncodeManifestRoot(const ManifestRoot& root);
Result<ManifestRoot> DecodeManifestRoot(std::span<const std::byte> bytes);

std::string EncodePage(std::span<const SlotDigest> digests);
Result<std::vector<SlotDigest>> DecodePage(std::span<const std::byte> bytes);

}  // namespace tributary::wire
