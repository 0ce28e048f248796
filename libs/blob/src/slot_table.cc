#include "slot_table.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

namespace tributary::blob {
namespace {

constexpr std::uint32_t kPresent = 0x544F4C53;  // "SLOT"
constexpr std::size_t kChecksumOffset = 112;
constexpr std::size_t kScanRecords = 512;

using Record = std::array<std::byte, kSlotRecordBytes>;

template <class T>
void PutInt(std::byte* out, T value) {
  for (std::size_t i = 0; i < sizeof(T); ++i) out[i] = static_cast<std::byte>((value >> (8 * i)) & 0xFF);
}
template <class T>
T GetInt(const std::byte* in) {
  T value = 0;
  for (std::size_t i = 0; i < sizeof(T); ++i) value |= static_cast<T>(static_cast<T>(in[i]) << (8 * i));
  return value;
}

Record Encode(std::uint64_t slot, const SlotRecord& meta) {
  Record record{};
  PutInt<std::uint32_t>(record.data(), kPresent);
  PutInt<std::uint32_t>(record.data() + 4, meta.bytes);
  PutInt<std::uint64_t>(record.data() + 8, meta.generation);
  PutInt<std::uint64_t>(record.data() + 16, slot);
  std::memcpy(record.data() + 24, meta.digest.sha256.data(), meta.digest.sha256.size());
  std::memcpy(record.data() + 56, meta.digest.xxh128.data(), meta.digest.xxh128.size());
  PutInt<std::uint64_t>(record.data() + 72, meta.location);
  PutInt<std::uint64_t>(record.data() + 80, std::bit_cast<std::uint64_t>(meta.squares));
  PutInt<std::uint32_t>(record.data() + 88, meta.elsewhere ? 1 : 0);
  const auto sum = digest::ComputeXxh128(std::span(record).first(kChecksumOffset));
  std::memcpy(record.data() + kChecksumOffset, sum.data(), sum.size());
  return record;
}

std::optional<SlotRecord> Decode(std::uint64_t slot, const std::byte* record) {
  if (GetInt<std::uint32_t>(record) != kPresent || GetInt<std::uint64_t>(record + 16) != slot) return std::nullopt;
  const auto sum = digest::ComputeXxh128({record, kChecksumOffset});
  if (std::memcmp(sum.data(), record + kChecksumOffset, sum.size()) != 0) return std::nullopt;
  SlotRecord meta;
  meta.bytes = GetInt<std::uint32_t>(record + 4);
  meta.generation = GetInt<std::uint64_t>(record + 8);
  std::memcpy(meta.digest.sha256.data(), record + 24, meta.digest.sha256.size());
  std::memcpy(meta.digest.xxh128.data(), record + 56, meta.digest.xxh128.size());
  meta.location = GetInt<std::uint64_t>(record + 72);
  meta.squares = std::bit_cast<double>(GetInt<std::uint64_t>(record + 80));
  meta.elsewhere = GetInt<std::uint32_t>(record + 88) != 0;
  return meta;
}

}  // namespace

Result<std::optional<SlotRecord>> ReadRecord(const Fd& table, std::uint64_t slot, const std::filesystem::path& path) {
  Record record{};
  TRIBUTARY_ASSIGN(const std::size_t got, ReadAt(table, record, slot * kSlotRecordBytes, path));
  if (got < record.size()) return std::optional<SlotRecord>();
  return Decode(slot, record.data());
}

Status WriteRecord(const Fd& table, std::uint64_t slot, const SlotRecord& record, const std::filesystem::path& path) {
  return WriteAt(table, Encode(slot, record), slot * kSlotRecordBytes, path);
}

Status ClearRecord(const Fd& table, std::uint64_t slot, const std::filesystem::path& path) {
  return WriteAt(table, Record{}, slot * kSlotRecordBytes, path);
}

Status RewriteRecords(const Fd& table, tensor::SlotRange range, const std::filesystem::path& path,
                      const std::function<bool(std::uint64_t, std::optional<SlotRecord>&)>& change) {
  std::vector<std::byte> records(std::min<std::uint64_t>(range.size(), kScanRecords) * kSlotRecordBytes);
  for (std::uint64_t first = range.begin; first < range.end; first += kScanRecords) {
    const std::uint64_t count = std::min<std::uint64_t>(kScanRecords, range.end - first);
    const auto window = std::span(records).first(count * kSlotRecordBytes);
    TRIBUTARY_ASSIGN(const std::size_t got, ReadAt(table, window, first * kSlotRecordBytes, path));
    std::ranges::fill(window.subspan(got), std::byte{0});
    bool changed = false;
    for (std::uint64_t i = 0; i < count; ++i) {
      std::optional<SlotRecord> record = Decode(first + i, window.data() + i * kSlotRecordBytes);
      if (!change(first + i, record)) continue;
      changed = true;
      const Record bytes = record ? Encode(first + i, *record) : Record{};
      std::ranges::copy(bytes, window.begin() + static_cast<std::ptrdiff_t>(i * kSlotRecordBytes));
    }
    if (changed) TRIBUTARY_TRY(WriteAt(table, window, first * kSlotRecordBytes, path));
  }
  return Ok();
}

Status ScanRecords(const Fd& table, tensor::SlotRange range, const std::filesystem::path& path,
                   const std::function<Status(std::uint64_t, const SlotRecord*)>& visit) {
  std::vector<std::byte> records(std::min<std::uint64_t>(range.size(), kScanRecords) * kSlotRecordBytes);
  for (std::uint64_t slot = range.begin; slot < range.end;) {
    const std::uint64_t count = std::min<std::uint64_t>(kScanRecords, range.end - slot);
    const auto window = std::span(records).first(count * kSlotRecordBytes);
    TRIBUTARY_ASSIGN(const std::size_t got, ReadAt(table, window, slot * kSlotRecordBytes, path));
    for (std::uint64_t i = 0; i < count; ++i, ++slot) {
      std::optional<SlotRecord> meta;
      if ((i + 1) * kSlotRecordBytes <= got) meta = Decode(slot, records.data() + i * kSlotRecordBytes);
      TRIBUTARY_TRY(visit(slot, meta ? &*meta : nullptr));
    }
  }
  return Ok();
}

}  // namespace tributary::blob
