// Files that a trainer keeps of one job from round to round: DIRECTORY/JOB/ORDINAL.rROUND.
//
// What the optimizer's state and an update's residual have in common. Plain functions on file descriptors of the caller; one thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "tributary/base/result.h"

namespace tributary::trainer {

// Makes the job's folder and removes those of all other jobs. Its path.
Result<std::string> OpenJobFolder(const std::string& directory, const std::string& job);
// Names in a folder, in no order; none where it cannot be read.
std::vector<std::string> NamesIn(const std::string& folder);

std::string SeatFileName(std::uint32_t ordinal, std::uint64_t round);
// The round in such a name; none for other names and the files of other seats.
std::optional<std::uint64_t> RoundOf(const std::string& name, std::uint32_t ordinal);

// All of it at `offset`. `path` is for the error.
Status WriteAll(int file, const void* data, std::size_t bytes, std::uint64_t offset, const std::string& path);
Status ReadAll(int file, void* data, std::size_t bytes, std::uint64_t offset, const std::string& path);

}  // namespace tributary::trainer
