// The directory of a run: who holds it, what job it belongs to, where things lie in it.
//
//   .lock  job.yaml  run/ (sockets)  logs/  sites/<seat>/  blob-store/  coordinator/  model/  model-best/  model-base/  events/  summary.json  *.csv
//
// A WorkDir holds the lock until destroyed. Errors name the directory and the remedy; nothing of another job is touched.
#pragma once

#include <functional>
#include <string>

#include "tributary/base/result.h"

namespace tributary::cli {

class WorkDir {
 public:
  // Makes the directory if absent and takes its lock. `job_text` must be the text of the job that began here (unless `restart`,
  // which removes what the earlier run left, or `other_rounds`, with which it may have another number of rounds). `admit` is asked, with the directory's path, before a run begins here, and not for
  // one that goes on; its error is passed up, and the next Open asks again.
  using Admit = std::function<Status(const std::string& directory)>;
  static Result<WorkDir> Open(const std::string& path, const std::string& job_text, bool restart, const Admit& admit = nullptr,
                              bool other_rounds = false);
  WorkDir(WorkDir&& other) noexcept;
  WorkDir& operator=(WorkDir&&) = delete;
  ~WorkDir();

  const std::string& path() const { return path_; }
  std::string File(const std::string& name) const { return path_ + "/" + name; }
  // "ipc://..." for a socket of this run. A path too long for a UNIX socket moves to a private directory under /tmp.
  std::string Endpoint(const std::string& name) const { return "ipc://" + sockets_ + "/" + name; }
  // What stands in job.yaml when this was opened: the text to submit, but for its number of rounds.
  const std::string& job_text() const { return job_text_; }
  // job.yaml has this text from now on: the run goes on to another number of rounds. What told of an end goes, and with `rewound` what was told of rounds.
  Status GoOn(const std::string& job_text, bool rewound) const;
  bool Completed() const;  // summary.json says so
  bool resumed() const { return resumed_; }

 private:
  WorkDir() = default;
  std::string path_;
  std::string job_text_;
  std::string sockets_;
  bool sockets_elsewhere_ = false;
  bool resumed_ = false;
  int lock_ = -1;
};

}  // namespace tributary::cli
