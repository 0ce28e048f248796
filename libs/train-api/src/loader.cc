#include <dlfcn.h>
#include <unistd.h>

#include <climits>
#include <cstdlib>
#include <filesystem>
#include <mutex>

#include "tributary/memory/owners.h"
#include "tributary/memory/process_memory.h"
#include "tributary/train/module.h"

namespace tributary::train {
namespace {

Result<std::string> ModulePath(const std::string& path) {
  if (!path.empty()) return path;
  if (const char* set = std::getenv("TRIBUTARY_TRAIN_MODULE"); set != nullptr && *set != '\0') {
    return std::string(set);
  }
  std::error_code ec;
  const auto self = std::filesystem::read_symlink("/proc/self/exe", ec);
  if (ec) return ErrnoError(ec.value(), "reading /proc/self/exe");
  return (self.parent_path().parent_path() / "lib" / "libtributary-train.so").string();
}

}  // namespace

Result<Module*> LoadTrainModule(const std::string& path) {
  static std::mutex mutex;
  static Module* loaded = nullptr;
  const std::lock_guard lock(mutex);
  if (loaded != nullptr) return loaded;
  TRIBUTARY_ASSIGN(const std::string file, ModulePath(path));
  const auto before = memory::ReadProcessMemory();
  // Never closed: libtorch registers state that does not survive dlclose.
  void* handle = dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (handle == nullptr) {
    return MakeError(Code::kNotFound,
                     "the training module could not be loaded: {}; install libtorch (Debian: libtorch-dev) and "
                     "build with TRIBUTARY_TORCH=ON, or point TRIBUTARY_TRAIN_MODULE at it",
                     dlerror());
  }
  const auto entry = reinterpret_cast<ModuleEntryFn>(dlsym(handle, kModuleEntry));
  Module* module = entry == nullptr ? nullptr : entry(kModuleAbi);
  if (module == nullptr) {
    return MakeError(Code::kProtocol, "{} is a training module of another version; build both together", file);
  }
  loaded = module;
  if (const auto after = memory::ReadProcessMemory(); before.ok() && after.ok() && after->rss > before->rss) {
    memory::Gained(memory::Owner::kTorch, after->rss - before->rss);
  }
  return module;
}

}  // namespace tributary::train
