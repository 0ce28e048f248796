// What must hold before a run starts anything: the data is there, the disk has room.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "tributary/base/result.h"
#include "tributary/job/job.h"
#include "tributary/modeldir/directory.h"

namespace tributary::cli {

// What a run of the job puts on the disk at most, if what a round makes has `model_bytes`, and an imported directory `source_bytes`.
std::uint64_t StagedBytes(const job::Job& job, std::uint64_t model_bytes, std::uint64_t source_bytes = 0);
// What a round makes of a job that begins with these weights, at most: all of them in fp32, or adapters of every matrix.
std::uint64_t TrainedBytes(const job::Job& job, const std::vector<modeldir::StoredWeight>& weights);
// Name of data -> path, for the trainers: --data NAME=PATH wins over the job file's own path. kInvalidArgument for flags that
// the job has no use for, kNotFound where no text lies.
Result<std::map<std::string, std::string>> FindData(const job::Job& job, const std::vector<std::string>& data_flags);
// The directory that model.source names, with weights in it; errors name the key.
Result<modeldir::ModelDirectory> OpenSource(const job::Job& job);
// The file that model.script names; errors name the key.
struct ScriptPlace {
  std::string path;  // absolute
  std::uint64_t bytes = 0;
};
Result<ScriptPlace> FindScript(const job::Job& job);
// Whether next to nothing can be written below `directory`: why services that are in order end.
bool DiskIsFull(const std::string& directory);
// kResourceExhausted, with needed and free bytes, if `directory` has no room for `bytes`.
Status CheckRoom(const std::string& directory, std::uint64_t bytes);

}  // namespace tributary::cli
