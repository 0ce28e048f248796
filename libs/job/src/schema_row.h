// The table of keys (schema.cc), and the walk of a tree along it.
#pragma once

#include <map>
#include <span>
#include <string>
#include <string_view>

#include "tree.h"
#include "tributary/base/result.h"
#include "tributary/job/job.h"

namespace tributary::job {

enum class For { kEvery, kGpt2, kSynthetic };

struct Row {
  std::string_view path;
  std::string_view expected;
  std::string_view fallback;
  std::string_view meaning;
  // Words that the design names and this release does not have: "a|b".
  std::string_view later;
  For family;
  // Null: the whole key is not in this release, and `expected` says what is.
  bool (*read)(const Node&, Job&);
};

std::span<const Row> Rows();

// What stood in the file, by path; sections too.
class Given {
 public:
  void Add(const std::string& path, const Node* node) { nodes_[path] = node; }
  bool Has(const std::string& path) const { return nodes_.contains(path); }
  // "FILE:LINE: path" (or "--set path") of the key, or of the nearest section above it where it was left out.
  std::string Place(const std::string& path) const;
  // "got '3'", "got nothing".
  std::string Got(const std::string& path) const;

 private:
  std::map<std::string, const Node*> nodes_;
};

// Reads every key of `root` into `job`; values are checked one by one.
Status ReadTree(const Node& root, Job& job, Given& given);
// Checks that need more than one key; fills defaults that depend on others.
Status CheckJob(Job& job, const Given& given);

}  // namespace tributary::job
