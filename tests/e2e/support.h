// What the end-to-end tests share: start a program, wait, read what it left.
//
// A Program is killed (SIGKILL) with its children when it goes out of scope. Paths of the build and the source tree are fixed at
// compile time.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "libs/base/testing/temp_directory.h"
#include "tributary/json/json.h"

namespace tributary::e2e {

std::string Binary(const std::string& name);        // build/bin/NAME
std::string SourceFile(const std::string& relative);  // in the source tree

struct Outcome {
  int exit_code = -1;  // 128 + signal if it was killed
  std::string out;
  std::string err;
  std::string LastErrorLine() const;
};

class Program {
 public:
  Program(std::vector<std::string> words, const TempDirectory& dir, std::map<std::string, std::string> environment = {});
  ~Program();
  pid_t pid() const { return pid_; }
  bool Running();
  void Kill(int signal);
  std::string ErrorSoFar() const;  // what it has written to stderr
  std::string OutputSoFar() const;
  // Waits at most `limit`; a program that is still running then is killed and the outcome is 137.
  Outcome Wait(std::chrono::seconds limit = std::chrono::seconds(300));

 private:
  pid_t pid_ = -1;
  std::string out_path_;
  std::string err_path_;
  std::optional<int> status_;
};

Outcome RunProgram(std::vector<std::string> words, const TempDirectory& dir, std::chrono::seconds limit = std::chrono::seconds(300));

Json ReadSummary(const std::string& work_dir);
// Peak of one instance ("blob-store", "trainer-0") in MiB; fails the test if it is not there.
double PeakMiB(const Json& summary, const std::string& instance);
std::string FileSha256(const std::string& path);
void WriteFile(const std::string& path, const std::string& text);
std::string ReadFile(const std::string& path);

// English-like text of `bytes`, the same for the same seed, one item a line with "%" lines between.
std::string SampleText(std::uint64_t seed, std::size_t bytes);

}  // namespace tributary::e2e
