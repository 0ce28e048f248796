#include "tributary/corpus/files.h"

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
  std::ifstream in(path, std::ios::binary);
  if (!in) return ErrnoError(errno != 0 ? errno : EIO, path.string());
  std::array<char, kProbeBytes> probe;
  in.read(probe.data(), probe.size());
  return std::find(probe.begin(), probe.begin() + in.gcount(), '\0') != probe.begin() + in.gcount();
}

Result<TextFile> MakeTextFile(const fs::path& path) {
  std::error_code ec;
  const std::uint64_t bytes = fs::file_size(path, ec);
  if (ec) return ErrnoError(ec.value(), path.string());
  if (bytes > kMaxTextFileBytes) {
    return MakeError(Code::kInvalidArgument,
                     "{}: {} bytes is more than a text file may have ({}); cut it into several",
                     path.string(), bytes, kMaxTextFileBytes);
  }
  return TextFile{path.string(), bytes};
}

}  // namespace

Result<std::vector<TextFile>> ListTextFiles(const std::string& path, const std::string& name,
                                            std::size_t at_most) {
  std::error_code ec;
  const auto status = fs::status(path, ec);
  if (path.empty() || !fs::exists(status)) {
    return MakeError(Code::kNotFound,
                     "data '{}': {} is not there; install it, or say where it lies at this site "
                     "with --data {}=PATH",
                     name, path.empty() ? "no path is given and" : path, name);
  }
  std::vector<TextFile> files;
  if (fs::is_regular_file(status)) {
    TRIBUTARY_ASSIGN(const bool binary, LooksBinary(path));
    if (binary) {
      return MakeError(Code::kInvalidArgument,
                       "data '{}': {} is not text (it has NUL bytes); give another --data {}=PATH",
                       name, path, name);
    }
    TRIBUTARY_ASSIGN(auto file, MakeTextFile(path));
    files.push_back(std::move(file));
    return files;
  }
  if (!fs::is_directory(status)) {
    return MakeError(Code::kInvalidArgument,
                     "data '{}': {} is neither a file nor a directory; give another --data {}=PATH",
                     name, path, name);
  }
  std::vector<fs::path> plain;
  std::vector<fs::path> links;
  for (fs::directory_iterator it(path, ec), end; !ec && it != end; it.increment(ec)) {
    std::error_code entry_ec;
    if (it->path().filename().string().starts_with('.') || !it->is_regular_file(entry_ec)) continue;
    (it->is_symlink(entry_ec) ? links : plain).push_back(it->path());
  }
  if (ec) return ErrnoError(ec.value(), "listing " + path);
  // Files before links: a link is a second name of what is there.
  std::sort(plain.begin(), plain.end());
  std::sort(links.begin(), links.end());
  plain.insert(plain.end(), links.begin(), links.end());
  std::set<fs::path> seen;
  for (const fs::path& candidate : plain) {
    if (files.size() >= at_most) break;
    const fs::path real = fs::canonical(candidate, ec);
    if (ec) return ErrnoError(ec.value(), candidate.string());
    if (!seen.insert(real).second) continue;
    TRIBUTARY_ASSIGN(const bool binary, LooksBinary(candidate));
    if (binary) continue;
    TRIBUTARY_ASSIGN(auto file, MakeTextFile(candidate));
    if (file.bytes > 0) files.push_back(std::move(file));
  }
  if (files.empty()) {
    return MakeError(Code::kNotFound,
                     "data '{}': no text file lies in {}; give another --data {}=PATH", name, path,
                     name);
  }
  std::sort(files.begin(), files.end(),
            [](const TextFile& a, const TextFile& b) { return a.path < b.path; });
  return files;
}

Result<std::string> ReadTextFile(const TextFile& file) {
  std::ifstream in(file.path, std::ios::binary);
  if (!in) return ErrnoError(errno != 0 ? errno : EIO, file.path);
  std::string text(file.bytes, '\0');
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (static_cast<std::uint64_t>(in.gcount()) != file.bytes) {
    return MakeError(Code::kIo, "{}: {} of {} bytes could be read; is another program writing it?",
                     file.path, in.gcount(), file.bytes);
  }
  return text;
}

}  // namespace tributary::corpus
