#include "services/cli/work_dir.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <utility>
#include <vector>

#include "services/cli/files.h"
#include "tributary/job/job.h"
#include "tributary/json/json.h"

namespace tributary::cli {
namespace {

namespace fs = std::filesystem;

// sun_path has 108 bytes; the longest socket name and a zero follow the directory.
constexpr std::size_t kMaxSocketDirectory = 85;

// job.yaml last: a removal that was interrupted still shows whose files these are, and is refused or repeated.
constexpr const char* kOurs[] = {"summary.json", "model", "model-best", "model-base", "model.tmp", "model-best.tmp", "model-base.tmp", "run", "logs", "sites",
                                 "coordinator", "blob-store", "memory.csv", "cpu.csv", "events", "report.html", "job.yaml"};

Error Unusable(int error, const std::string& directory) {
  const Error cause = ErrnoError(error, "making the work directory " + directory);
  return Error(cause.code(), cause.message() + "; choose another --work-dir");
}

// Written whole or not at all: a torn job.yaml would look like another job.
Status WriteJob(const std::string& path, const std::string& text) {
  std::ofstream out(path + ".tmp", std::ios::binary | std::ios::trunc);
  out << text;
  out.close();
  if (!out) return ErrnoError(errno != 0 ? errno : EIO, "writing " + path);
  std::error_code ec;
  fs::rename(path + ".tmp", path, ec);
  return ec ? Status(ErrnoError(ec.value(), "writing " + path)) : Ok();
}

bool SameButForRounds(const std::string& a, const std::string& b) {
  const std::vector<job::Override> without{{"rounds", "null"}};
  const auto left = job::MergeOverrides(a, "job", without);
  const auto right = job::MergeOverrides(b, "job", without);
  return left.ok() && right.ok() && *left == *right;
}

}  // namespace

Result<WorkDir> WorkDir::Open(const std::string& path, const std::string& job_text, bool restart, const Admit& admit, bool other_rounds) {
  std::error_code ec;
  WorkDir dir;
  dir.path_ = fs::absolute(path, ec).lexically_normal().string();
  fs::create_directories(dir.path_, ec);
  if (ec) return Unusable(ec.value(), dir.path_);
  dir.lock_ = open(dir.File(".lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (dir.lock_ < 0) return Unusable(errno, dir.path_);
  if (flock(dir.lock_, LOCK_EX | LOCK_NB) != 0) {
    return MakeError(Code::kUnavailable, "{} is in use by another 'tributary run'; wait for it or choose another --work-dir",
                     dir.path_);
  }
  // Only where a run began: another directory's model/ or logs/ are somebody else's.
  if (restart && fs::exists(dir.File("job.yaml"))) {
    for (const char* name : kOurs) {
      fs::remove_all(dir.File(name), ec);
      if (ec) return ErrnoError(ec.value(), "removing " + dir.File(name));
    }
  }
  if (fs::exists(dir.File("job.yaml"))) {
    TRIBUTARY_ASSIGN(const std::string before, ReadTextFile(dir.File("job.yaml")));
    const bool same = before == job_text || (other_rounds && SameButForRounds(before, job_text));
    if (!same) {
      return MakeError(Code::kConflict,
                       "{} holds the run of another job (its job.yaml differs from this one); choose another --work-dir, or "
                       "--restart to throw that run away",
                       dir.path_);
    }
    dir.resumed_ = true;
    dir.job_text_ = before;
  } else {
    // job.yaml is what makes a run begun, so nobody is asked after it.
    if (admit) TRIBUTARY_TRY(admit(dir.path_));
    TRIBUTARY_TRY(WriteJob(dir.File("job.yaml"), job_text));
    dir.job_text_ = job_text;
  }
  for (const char* name : {"run", "logs", "sites"}) {
    fs::create_directories(dir.File(name), ec);
    if (ec) return Unusable(ec.value(), dir.File(name));
  }
  dir.sockets_ = dir.File("run");
  if (dir.sockets_.size() > kMaxSocketDirectory) {
    std::string name = "/tmp/tributary-XXXXXX";
    if (mkdtemp(name.data()) == nullptr) return ErrnoError(errno, "making a directory for sockets under /tmp");
    dir.sockets_ = name;
    dir.sockets_elsewhere_ = true;
  }
  fs::permissions(dir.sockets_, fs::perms::owner_all, ec);
  return dir;
}

WorkDir::WorkDir(WorkDir&& other) noexcept
    : path_(std::move(other.path_)),
      job_text_(std::move(other.job_text_)),
      sockets_(std::move(other.sockets_)),
      sockets_elsewhere_(std::exchange(other.sockets_elsewhere_, false)),
      resumed_(other.resumed_),
      lock_(std::exchange(other.lock_, -1)) {}

WorkDir::~WorkDir() {
  std::error_code ec;
  if (sockets_elsewhere_) fs::remove_all(sockets_, ec);
  if (lock_ >= 0) close(lock_);
}

Status WorkDir::GoOn(const std::string& job_text, bool rewound) const {
  for (const char* name : {"summary.json", "events"}) {
    std::error_code ec;
    if (name != std::string("events") || rewound) fs::remove_all(File(name), ec);
    if (ec) return ErrnoError(ec.value(), "removing " + File(name));
  }
  return job_text == job_text_ ? Ok() : WriteJob(File("job.yaml"), job_text);
}

bool WorkDir::Completed() const {
  const auto summary = ReadJsonFile(File("summary.json"));
  if (!summary.ok()) return false;
  const auto status = GetString(*summary, "status", "summary.json");
  return status.ok() && *status == "completed";
}

}  // namespace tributary::cli
