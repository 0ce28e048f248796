#include "tributary/corpus/files.h"

#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <set>

namespace tributary::corpus {
namespace fs = std::filesystem;
namespace {

constexpr std::size_t kProbeBytes = 8000;

Result<bool> LooksBinary(const fs::path& path) {
  errno = 0;
  std::ifstream in(path, std::ios::binary);
  if (!in) return ErrnoError(errno != 0 ? errno : EIO, path.string());
  std::array<char, kProbeBytes> probe;
  in.read(probe.data(), probe.size());
  return std::find(probe.begin(), probe.begin() + in.gcount(), '\0') != probe.begin() + in.gcount();
}

bool NamedAs(const fs::path& path, const FileKind& kind) {
  const std::string extension = path.extension().string();
  return kind.extensions.empty() || std::find(kind.extensions.begin(), kind.extensions.end(),
                                              extension) != kind.extensions.end();
}

Result<std::vector<DataFile>> OneFile(const std::string& path, const std::string& name,
                                      const FileKind& kind) {
  if (kind.text) {
    TRIBUTARY_ASSIGN(const bool binary, LooksBinary(path));
    if (binary) {
      return MakeError(Code::kInvalidArgument,
                       "data '{}': {} is not text (it has NUL bytes); give another --data {}=PATH",
                       name, path, name);
    }
  }
  TRIBUTARY_ASSIGN(auto file, DescribeFile(path));
  if (file.bytes == 0) {
    return MakeError(Code::kInvalidArgument, "data '{}': {} is empty; give another --data {}=PATH",
                     name, path, name);
  }
  std::vector<DataFile> files;
  files.push_back(std::move(file));
  return files;
}

// The entries that may be listed: files before links, since a link is a second name of what is
// there.
Result<std::vector<fs::path>> Candidates(const std::string& path, const FileKind& kind) {
  std::error_code ec;
  std::vector<fs::path> plain;
  std::vector<fs::path> links;
  for (fs::directory_iterator it(path, ec), end; !ec && it != end; it.increment(ec)) {
    std::error_code entry_ec;
    if (it->path().filename().string().starts_with('.') || !it->is_regular_file(entry_ec)) continue;
    if (!NamedAs(it->path(), kind)) continue;
    (it->is_symlink(entry_ec) ? links : plain).push_back(it->path());
  }
  if (ec) return ErrnoError(ec.value(), "listing " + path);
  std::sort(plain.begin(), plain.end());
  std::sort(links.begin(), links.end());
  plain.insert(plain.end(), links.begin(), links.end());
  return plain;
}

}  // namespace

Result<DataFile> DescribeFile(const std::string& path) {
  struct stat status;
  if (stat(path.c_str(), &status) != 0) return ErrnoError(errno, path);
  const auto bytes = static_cast<std::uint64_t>(status.st_size);
  if (bytes > kMaxFileBytes) {
    return MakeError(Code::kInvalidArgument,
                     "{}: {} bytes is more than a file of data may have ({}); cut it into several",
                     path, bytes, kMaxFileBytes);
  }
  return DataFile{path, bytes,
                  std::int64_t{status.st_mtim.tv_sec} * 1'000'000'000 + status.st_mtim.tv_nsec};
}

Result<std::vector<DataFile>> ListFiles(const std::string& path, const std::string& name,
                                        const FileKind& kind, std::size_t at_most) {
  std::error_code ec;
  const auto status = fs::status(path, ec);
  if (path.empty() || !fs::exists(status)) {
    return MakeError(Code::kNotFound,
                     "data '{}': {} is not there; install it, or say where it lies at this site "
                     "with --data {}=PATH",
                     name, path.empty() ? "no path is given and" : path, name);
  }
  if (fs::is_regular_file(status)) return OneFile(path, name, kind);
  if (!fs::is_directory(status)) {
    return MakeError(Code::kInvalidArgument,
                     "data '{}': {} is neither a file nor a directory; give another --data {}=PATH",
                     name, path, name);
  }
  TRIBUTARY_ASSIGN(const auto candidates, Candidates(path, kind));
  std::vector<DataFile> files;
  std::set<fs::path> seen;
  for (const fs::path& candidate : candidates) {
    if (files.size() >= at_most) break;
    const fs::path real = fs::canonical(candidate, ec);
    if (ec) return ErrnoError(ec.value(), candidate.string());
    if (!seen.insert(real).second) continue;
    if (kind.text) {
      TRIBUTARY_ASSIGN(const bool binary, LooksBinary(candidate));
      if (binary) continue;
    }
    TRIBUTARY_ASSIGN(auto file, DescribeFile(candidate.string()));
    if (file.bytes > 0) files.push_back(std::move(file));
  }
  if (files.empty()) {
    return MakeError(Code::kNotFound, "data '{}': no {} lies in {}; give another --data {}=PATH",
                     name, kind.what, path, name);
  }
  std::sort(files.begin(), files.end(),
            [](const DataFile& a, const DataFile& b) { return a.path < b.path; });
  return files;
}

Result<std::vector<DataFile>> ListTextFiles(const std::string& path, const std::string& name,
                                            std::size_t at_most) {
  return ListFiles(path, name, {.what = "text file", .extensions = {}, .text = true}, at_most);
}

}  // namespace tributary::corpus
