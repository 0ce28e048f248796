// TFRecord: records one after the other, each with its length and two checksums.
//
//   u64 little-endian  length
//   u32 little-endian  masked CRC-32C of the length
//   bytes              the record
//   u32 little-endian  masked CRC-32C of the record
//
// Pure functions, any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace tributary::tfevents {

std::uint32_t Crc32c(std::string_view bytes);
// As checksums stand in files: a checksum of checksums would else be weak.
std::uint32_t MaskedCrc32c(std::string_view bytes);

std::string MakeRecord(std::string_view bytes);

struct Records {
  std::vector<std::string_view> records;  // within the text
  std::size_t whole = 0;                  // bytes of the text up to the first record that is torn or damaged; all of it: none is
};
Records ReadRecords(std::string_view text);

}  // namespace tributary::tfevents
