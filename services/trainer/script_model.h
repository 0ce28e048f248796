// Jobs with model.script: which TorchScript file a trainer runs.
//
// A TorchScript file is code, so its path is the job's alone: a config.json that comes with an object tells the digest that the file
// must have, and neither brings a script to a job without one nor names another file. Pure but for reading the file.
#pragma once

#include <string>

#include "tributary/base/result.h"
#include "tributary/job/job.h"

namespace tributary::trainer {

// The config.json of a first model: of the job's script as it lies here, or of its family.
Result<std::string> FirstConfig(const job::Model& model);
// The config.json to make a model from on this machine, where `config_json` came with an object.
Result<std::string> LocalConfig(const std::string& config_json, const job::Model& model);
// Whether it asks for a script to be run.
bool IsScriptConfig(const std::string& config_json);

}  // namespace tributary::trainer
