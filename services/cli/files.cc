#include "services/cli/files.h"

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace tributary::cli {

Result<std::string> ReadTextFile(const std::string& path, std::uint64_t max_bytes) {
  std::error_code ec;
  if (std::filesystem::is_directory(path, ec)) return MakeError(Code::kInvalidArgument, "{}: is a directory, not a file", path);
  std::ifstream in(path, std::ios::binary);
  if (!in) return ErrnoError(errno, path);
  std::string text(max_bytes + 1, '\0');
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(in.gcount()));
  if (text.size() > max_bytes) return MakeError(Code::kInvalidArgument, "{}: over {} bytes", path, max_bytes);
  return text;
}

}  // namespace tributary::cli
