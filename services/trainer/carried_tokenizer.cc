#include "services/trainer/carried_tokenizer.h"

#include <stdlib.h>

#include <cerrno>
#include <filesystem>
#include <vector>

#include "tributary/digest/digest.h"
#include "tributary/modeldir/tokenizer_files.h"

namespace tributary::trainer {

namespace fs = std::filesystem;

CarriedTokenizer::~CarriedTokenizer() {
  std::error_code ec;
  if (!temporary_.empty()) fs::remove_all(temporary_, ec);
}

Result<std::string> CarriedTokenizer::Base() {
  std::error_code ec;
  if (identity_.work_dir.empty()) {
    if (!temporary_.empty()) return temporary_;
    std::string made = (fs::temp_directory_path(ec) / "tributary-tokenizer-XXXXXX").string();
    if (ec || mkdtemp(made.data()) == nullptr) return ErrnoError(ec ? ec.value() : errno, "making " + made);
    return temporary_ = made;
  }
  const std::string base = fs::absolute(identity_.work_dir, ec).string() + "/tokenizers";
  if (!ec) fs::create_directories(base, ec);
  if (ec) return ErrnoError(ec.value(), "making " + base);
  return base;
}

Result<std::string> CarriedTokenizer::Open(blob::BlobStore& store, const std::string& object, std::stop_token stop) {
  const std::string digest = object.substr(object.find('@') + 1);
  TRIBUTARY_TRY(digest::ParseSha256(digest).status());  // it becomes a name on this disk
  TRIBUTARY_ASSIGN(const std::string base, Base());
  const std::string directory = base + "/" + digest;
  std::error_code ec;
  if (fs::is_directory(directory, ec)) return directory;
  // Of jobs before, and what a killed trainer had begun.
  std::vector<fs::path> earlier;
  for (fs::directory_iterator entry(base, ec), end; !ec && entry != end; entry.increment(ec)) earlier.push_back(entry->path());
  for (const fs::path& path : earlier) fs::remove_all(path, ec);
  const std::string begun = directory + ".part";
  fs::create_directory(begun, ec);
  if (ec) return ErrnoError(ec.value(), "making " + begun);
  const Status fetched = modeldir::FetchTokenizer(store, object, begun, modeldir::Fetched::kAll, stop);
  if (fetched.ok()) fs::rename(begun, directory, ec);
  if (fetched.ok() && !ec) return directory;
  std::error_code removed;
  fs::remove_all(begun, removed);
  if (!fetched.ok()) return fetched.error();
  return ErrnoError(ec.value(), "renaming " + begun);
}

}  // namespace tributary::trainer
