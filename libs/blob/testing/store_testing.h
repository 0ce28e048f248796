// What tests of blob-stores share: small specs, chunks of known bytes, one-chunk puts and gets.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <span>
#include <string>
#include <vector>

#include "tributary/blob/store.h"
#include "tributary/digest/digest.h"

namespace tributary::blob::testing {

inline ObjectName Object(const std::string& text) { return ObjectName::Trusted(text); }

// Two sections: F32 in slots 0 to 4 (the last one short) and I64 in slots 5 and 6.
inline wire::ObjectSpec SmallSpec() {
  wire::ObjectSpec spec;
  spec.tensors = {{"a", tensor::DType::kF32, {1024, 4}}, {"n", tensor::DType::kI64, {700}}, {"b", tensor::DType::kF32, {100}}};
  spec.chunk_bytes = 4096;
  spec.sample_count = 17;
  spec.info = "{\"k\": 1}";
  return spec;
}
inline wire::ObjectSpec OneTensorSpec(std::uint64_t bytes, std::uint64_t chunk_bytes) {
  wire::ObjectSpec spec;
  spec.tensors = {{"t", tensor::DType::kU8, {bytes}}};
  spec.chunk_bytes = chunk_bytes;
  return spec;
}
inline tensor::Layout LayoutOf(const wire::ObjectSpec& spec) {
  return wire::MakeLayout(spec).value();
}

// Bytes that depend on slot and salt alone.
inline std::vector<std::byte> Pattern(std::size_t bytes, std::uint64_t slot, std::uint64_t salt = 0) {
  std::vector<std::byte> data(bytes);
  std::uint64_t x = slot * 0x9E3779B97F4A7C15u + salt * 0xD1B54A32D192ED03u + 1;
  for (std::byte& b : data) {
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    b = static_cast<std::byte>(x & 0xFF);
  }
  return data;
}

inline Status PutBytes(ChunkWriter& writer, const ObjectName& name, std::uint64_t slot, std::span<const std::byte> bytes) {
  TRIBUTARY_ASSIGN(auto buffer, writer.Allocate(bytes.size()));
  std::copy(bytes.begin(), bytes.end(), buffer->payload().begin());
  return writer.Put(name, slot, std::move(buffer));
}
// One chunk with a writer of its own, acknowledged.
inline Status PutOne(BlobStore& store, const ObjectName& name, std::uint64_t slot, std::span<const std::byte> bytes,
                     std::uint64_t generation = 0) {
  WriteOptions options;
  options.generation = generation;
  TRIBUTARY_ASSIGN(auto writer, store.Write(options));
  const Status put = PutBytes(*writer, name, slot, bytes);
  const Status flushed = writer->Flush();
  return put.ok() ? flushed : put;
}
inline Status PutAll(BlobStore& store, const ObjectName& name, const tensor::Layout& layout, std::uint64_t salt = 0,
                     std::uint64_t generation = 0) {
  WriteOptions options;
  options.generation = generation;
  TRIBUTARY_ASSIGN(auto writer, store.Write(options));
  for (std::uint64_t slot = 0; slot < layout.slot_count(); ++slot) {
    TRIBUTARY_TRY(PutBytes(*writer, name, slot, Pattern(layout.SlotBytes(slot), slot, salt)));
  }
  return writer->Flush();
}
inline Result<std::vector<std::byte>> GetOne(BlobStore& store, const ObjectName& name, std::uint64_t slot,
                                             const ReadOptions& options = {}) {
  TRIBUTARY_ASSIGN(auto reader, store.Read(SlotsOf(name, {slot, slot + 1}), options));
  TRIBUTARY_ASSIGN(auto chunk, reader->Next());
  if (!chunk) return MakeError(Code::kInternal, "the reader ended without a chunk");
  return std::vector<std::byte>(chunk->bytes.begin(), chunk->bytes.end());
}

// Status and Result alike: "ok" or the name of the error's code.
template <class R>
std::string CodeOf(const R& result) {
  return result.ok() ? "ok" : std::string(CodeName(result.error().code()));
}
#define TRIBUTARY_ASSERT_OK(expression)                                              \
  do {                                                                               \
    const auto& assert_ok_result = (expression);                                     \
    ASSERT_TRUE(assert_ok_result.ok()) << assert_ok_result.error().message();        \
  } while (false)

}  // namespace tributary::blob::testing
