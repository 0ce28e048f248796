// A file that is written at given places and synced, as exports make them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "tributary/base/result.h"

namespace tributary::modeldir {

class NewFile {
 public:
  // A file that is there is emptied; a link is not followed.
  static Result<NewFile> Make(const std::string& path);
  // One that is there, as it is.
  static Result<NewFile> Again(const std::string& path);
  NewFile(NewFile&& other) noexcept;
  NewFile& operator=(NewFile&& other) noexcept;
  ~NewFile();

  Status WriteAt(std::span<const std::byte> bytes, std::uint64_t offset) const;
  // Lets the disk begin with what is written so far, so that Sync waits for the last of it only. A hint: Sync tells what fails.
  void StartWriting() const;
  Status Sync() const;

 private:
  NewFile(int fd, std::string path);
  int fd_;
  std::string path_;
};

Status SyncDirectory(const std::string& path);

}  // namespace tributary::modeldir
