#include "services/cli/bench/store_process.h"

#include <signal.h>
#include <sys/wait.h>

#include "services/cli/process.h"
#include "tributary/memory/process_memory.h"

namespace tributary::cli {

Result<StoreProcess> StoreProcess::Start(const Scratch& scratch, const std::string& name, std::uint64_t memory_budget, std::uint64_t max_message,
                                         const std::optional<transport::Keyring>& keyring) {
  TRIBUTARY_ASSIGN(const std::string binaries, BinaryDirectory());
  TRIBUTARY_ASSIGN(const std::uint16_t port, FreePort());
  const std::string endpoint = fmt::format("tcp://127.0.0.1:{}", port);
  ProcessSpec spec;
  spec.binary = binaries + "/tributary-blob-store";
  spec.arguments = {"--listen",       endpoint,
                    "--data-dir",     scratch.File("store-" + name),
                    "--metrics-address", "off",
                    "--memory-budget",   std::to_string(memory_budget),
                    "--max-message",     std::to_string(max_message),
                    "--log-level",       "warning"};
  if (keyring) {
    const std::string key = scratch.File("store-" + name + ".key");
    const std::string peers = scratch.File("store-" + name + ".peers");
    TRIBUTARY_TRY(transport::WriteCurveKeys(key, keyring->own));
    TRIBUTARY_TRY(transport::WritePeerList(peers, keyring->peers));
    spec.arguments.insert(spec.arguments.end(), {"--key", key, "--peers", peers});
  }
  spec.log_path = scratch.File("store-" + name + ".log");
  TRIBUTARY_ASSIGN(const pid_t pid, Spawn(spec));
  return StoreProcess(pid, endpoint, spec.log_path);
}

StoreProcess::~StoreProcess() {
  if (pid_ <= 0) return;
  kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
}

Result<std::uint64_t> StoreProcess::Peak() const {
  const auto memory = memory::ReadProcessMemory(pid_);
  if (!memory.ok()) return MakeError(Code::kUnavailable, "the blob-store has ended: {}", TailOfFile(log_, 3));
  return memory->rss_peak;
}

Result<double> StoreProcess::CpuSeconds() const { return memory::ReadCpuSeconds(pid_); }

}  // namespace tributary::cli
