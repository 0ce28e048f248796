// A YAML text as a tree that remembers where each value stood; yaml-cpp stays in tree.cc.
//
// The tree is built from parser events, not from YAML::Node: so aliases, anchors, tags, doubled keys, depth and size
// are refused while reading, before anything is expanded.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "tributary/base/result.h"

namespace tributary::job {

struct Node {
  enum class Kind { kNull, kScalar, kList, kMap };
  Kind kind = Kind::kNull;
  std::string text;     // of a scalar
  bool quoted = false;  // "2" in quotes is a text, not a number
  std::string place;    // "FILE:12" or "--set a.b"; a value of a map stands where its key does
  std::vector<Node> items;
  std::vector<std::pair<std::string, Node>> entries;

  Node* Find(const std::string& key);
  // As it stood, shortened, for errors: "'x'", "a list", "nothing".
  std::string Got() const;
};

constexpr int kMaxDepth = 16;
constexpr std::size_t kMaxNodes = 10'000;

// `numbered`: places are "place:LINE", else `place` alone.
Result<Node> ParseTree(const std::string& text, const std::string& place, bool numbered);
Result<std::string> EmitTree(const Node& root);

}  // namespace tributary::job
