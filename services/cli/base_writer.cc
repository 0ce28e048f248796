#include "services/cli/base_writer.h"

#include <signal.h>

#include <ctime>
#include <filesystem>
#include <optional>

#include "services/cli/process.h"

namespace tributary::cli {

Status WriteRunBase(const WorkDir& dir, MemoryLog& memory, const std::function<Status()>& tend) {
  std::error_code ec;
  // What lies there when a run begins is not this one's.
  if (dir.resumed() && std::filesystem::exists(dir.File(kBaseDirectory), ec)) return Ok();
  TRIBUTARY_ASSIGN(const std::string binaries, BinaryDirectory());
  ProcessSpec process;
  process.binary = binaries + "/tributary-trainer";
  process.arguments = {"train", dir.File("job.yaml"), "--write-base", dir.File(kBaseDirectory)};
  process.environment = {{"OPENBLAS_NUM_THREADS", "1"}, {"OMP_NUM_THREADS", "1"}};
  process.log_path = dir.File("logs/model-base.log");
  TRIBUTARY_ASSIGN(const pid_t pid, Spawn(process));
  memory.OnStart(kBaseDirectory, pid);
  Status tended;
  std::optional<Ending> ending;
  while (!(ending = PollEnding(pid))) {
    if (tended.ok()) {
      tended = tend();
      if (!tended.ok()) kill(pid, SIGKILL);
    }
    const timespec nap{0, 20'000'000};
    nanosleep(&nap, nullptr);
  }
  memory.OnEnd(kBaseDirectory);
  TRIBUTARY_TRY(tended);
  if (!ending->signalled && ending->code == 0) return Ok();
  std::string said = TailOfFile(process.log_path, 1);
  while (!said.empty() && said.back() == '\n') said.pop_back();
  return MakeError(Code::kUnavailable, "the adapters are written, and the base below them is not ({}): {}; once that is mended, the same command goes on",
                   ending->Text(), said.empty() || ending->signalled ? process.log_path : said);
}

}  // namespace tributary::cli
