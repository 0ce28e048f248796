#include "tree.h"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/yaml.h>

#include <sstream>

#include "tributary/job/job.h"

namespace tributary::job {
namespace {

// Leaves yaml-cpp's recursion with an error of ours; caught in ParseTree.
struct Refused {
  Error error;
};

class TreeBuilder final : public YAML::EventHandler {
 public:
  TreeBuilder(const std::string& place, bool numbered) : place_(place), numbered_(numbered) {}

  Node Take() { return std::move(root_); }

  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    Plain(mark, "", anchor);
    if (ExpectsKey()) Refuse(mark, "a key is missing before ':'");
    Leave(Make(Node::Kind::kNull, mark));
  }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override {
    Refuse(mark, "aliases (*name) are not allowed; write the value out");
  }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    Plain(mark, tag, anchor);
    if (ExpectsKey()) {
      Open& open = stack_.back();
      if (open.node.Find(value) != nullptr) Refuse(mark, fmt::format("key '{}' stands twice", Shorten(value)));
      open.key = value;
      open.key_place = Place(mark);
      open.has_key = true;
      return;
    }
    Node node = Make(Node::Kind::kScalar, mark);
    node.text = value;
    node.quoted = tag == "!";
    Leave(std::move(node));
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    Enter(mark, tag, anchor, Node::Kind::kList);
  }
  void OnSequenceEnd() override { Close(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    Enter(mark, tag, anchor, Node::Kind::kMap);
  }
  void OnMapEnd() override { Close(); }

 private:
  struct Open {
    Node node;
    std::string key;
    std::string key_place;
    bool has_key = false;
  };

  static std::string Shorten(const std::string& text) { return text.substr(0, 80); }

  std::string Place(const YAML::Mark& mark) const {
    return numbered_ ? fmt::format("{}:{}", place_, mark.line + 1) : place_;
  }
  [[noreturn]] void Refuse(const YAML::Mark& mark, const std::string& what) const {
    throw Refused{MakeError(Code::kInvalidArgument, "{}: {}", Place(mark), what)};
  }
  void Plain(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor) const {
    if (anchor != YAML::NullAnchor) Refuse(mark, "anchors (&name) are not allowed; write the value out");
    if (!tag.empty() && tag != "?" && tag != "!") {
      Refuse(mark, fmt::format("tags are not allowed: got '{}'", Shorten(tag)));
    }
  }
  bool ExpectsKey() const {
    return !stack_.empty() && stack_.back().node.kind == Node::Kind::kMap && !stack_.back().has_key;
  }
  Node Make(Node::Kind kind, const YAML::Mark& mark) {
    if (++nodes_ > kMaxNodes) Refuse(mark, fmt::format("more than {} values", kMaxNodes));
    Node node;
    node.kind = kind;
    node.place = Place(mark);
    return node;
  }
  void Enter(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor, Node::Kind kind) {
    Plain(mark, tag, anchor);
    if (ExpectsKey()) Refuse(mark, "not valid YAML here: a key must be a plain word, and every bracket closed");
    if (stack_.size() >= kMaxDepth) Refuse(mark, fmt::format("nested deeper than {}", kMaxDepth));
    stack_.push_back({Make(kind, mark), "", "", false});
  }
  void Close() {
    Node node = std::move(stack_.back().node);
    stack_.pop_back();
    Leave(std::move(node));
  }
  void Leave(Node node) {
    if (stack_.empty()) {
      root_ = std::move(node);
      return;
    }
    Open& open = stack_.back();
    if (open.node.kind == Node::Kind::kList) {
      open.node.items.push_back(std::move(node));
      return;
    }
    node.place = open.key_place;
    open.node.entries.emplace_back(std::move(open.key), std::move(node));
    open.has_key = false;
  }

  const std::string& place_;
  const bool numbered_;
  std::vector<Open> stack_;
  Node root_;
  std::size_t nodes_ = 0;
};

void Emit(YAML::Emitter& out, const Node& node) {
  switch (node.kind) {
    case Node::Kind::kNull: out << YAML::Null; break;
    case Node::Kind::kScalar:
      if (node.quoted) out << YAML::DoubleQuoted;
      out << node.text;
      break;
    case Node::Kind::kList:
      out << YAML::Flow << YAML::BeginSeq;
      for (const Node& item : node.items) Emit(out, item);
      out << YAML::EndSeq;
      break;
    case Node::Kind::kMap:
      out << YAML::BeginMap;
      for (const auto& [key, value] : node.entries) {
        out << YAML::Key << key << YAML::Value;
        Emit(out, value);
      }
      out << YAML::EndMap;
      break;
  }
}

}  // namespace

Node* Node::Find(const std::string& key) {
  for (auto& [name, value] : entries) {
    if (name == key) return &value;
  }
  return nullptr;
}

std::string Node::Got() const {
  switch (kind) {
    case Kind::kNull: return "nothing";
    case Kind::kScalar: {
      const char* quote = quoted ? "\"" : "";
      return fmt::format("'{}{}{}'", quote, text.substr(0, 80), quote);
    }
    case Kind::kList: return "a list";
    case Kind::kMap: return "a map";
  }
  return "";
}

Result<Node> ParseTree(const std::string& text, const std::string& place, bool numbered) {
  if (text.size() > kMaxJobBytes) {
    return MakeError(Code::kInvalidArgument, "{}: {} bytes, expected at most {}", place, text.size(), kMaxJobBytes);
  }
  if (text.find('\0') != std::string::npos) {
    return MakeError(Code::kInvalidArgument, "{}: holds a zero byte, expected YAML text", place);
  }
  try {
    std::istringstream in(text);
    YAML::Parser parser(in);
    TreeBuilder builder(place, numbered);
    if (!parser.HandleNextDocument(builder)) return Node{Node::Kind::kNull, "", false, place, {}, {}};
    Node root = builder.Take();
    TreeBuilder second(place, numbered);
    if (parser.HandleNextDocument(second)) {
      return MakeError(Code::kInvalidArgument, "{}: holds more than one YAML document, expected one", place);
    }
    return root;
  } catch (const Refused& refused) {
    return refused.error;
  } catch (const YAML::Exception& e) {
    if (!numbered || e.mark.is_null()) return MakeError(Code::kInvalidArgument, "{}: not valid YAML: {}", place, e.msg);
    return MakeError(Code::kInvalidArgument, "{}:{}: not valid YAML: {}", place, e.mark.line + 1, e.msg);
  } catch (const std::exception& e) {
    return MakeError(Code::kInvalidArgument, "{}: not valid YAML: {}", place, e.what());
  }
}

Result<std::string> EmitTree(const Node& root) {
  try {
    YAML::Emitter out;
    Emit(out, root);
    if (!out.good()) return MakeError(Code::kInternal, "writing YAML: {}", out.GetLastError());
    return std::string(out.c_str()) + "\n";
  } catch (const std::exception& e) {
    return MakeError(Code::kInternal, "writing YAML: {}", e.what());
  }
}

}  // namespace tributary::job
