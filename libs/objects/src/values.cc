#include "tributary/objects/values.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <set>

#include "tributary/digest/digest.h"
#include "tributary/json/json.h"

namespace tributary::objects {
namespace {

constexpr const char* kFormat = "tributary values 1";

// A layout has no empty tensors, so each value is led by one byte of no meaning.
constexpr std::uint64_t kLead = 1;

class ValueSource final : public Source {
 public:
  ValueSource(Container container, std::vector<std::pair<std::string, Value>> values) : container_(container), values_(std::move(values)) {
    for (const auto& [name, value] : values_) entries_.push_back(ByteEntry(name, kLead + value.size()));
  }
  const std::vector<tensor::TensorSpec>& Entries() const override { return entries_; }
  std::string Info() const override {
    OrderedJson info;
    info["format"] = kFormat;
    info["kind"] = ContainerName(container_);
    return info.dump();
  }
  Status Read(std::uint32_t entry, std::uint64_t offset, std::span<std::byte> out) override {
    if (offset == 0 && !out.empty()) {
      out[0] = std::byte{0};
      out = out.subspan(kLead);
      offset = kLead;
    }
    if (!out.empty()) std::memcpy(out.data(), values_[entry].second.data() + (offset - kLead), out.size());
    return Ok();
  }

 private:
  const Container container_;
  const std::vector<std::pair<std::string, Value>> values_;
  std::vector<tensor::TensorSpec> entries_;
};

Result<std::unique_ptr<Source>> Make(Container container, std::vector<std::pair<std::string, Value>> values) {
  if (values.empty()) return MakeError(Code::kInvalidArgument, "a {} without entries cannot be sent", ContainerName(container));
  if (values.size() > tensor::kMaxTensors) {
    return MakeError(Code::kInvalidArgument, "a {} of {} entries: at most {}", ContainerName(container), values.size(), tensor::kMaxTensors);
  }
  std::set<std::string_view> names;
  for (const auto& [name, value] : values) {
    if (name.empty() || name.size() > 255) return MakeError(Code::kInvalidArgument, "a key has {} bytes: expected 1 to 255", name.size());
    if (!names.insert(name).second) {
      return MakeError(Code::kInvalidArgument, "'{}' stands twice in a {}", name, ContainerName(container));
    }
  }
  return std::unique_ptr<Source>(std::make_unique<ValueSource>(container, std::move(values)));
}

class ValueSink final : public Sink {
 public:
  ValueSink(std::uint64_t max_entry, OnEntry entry) : max_entry_(max_entry), on_entry_(std::move(entry)) {}

  Status Begin(const std::vector<tensor::TensorSpec>& entries, const std::string& text) override {
    TRIBUTARY_ASSIGN(const Json info, ParseJson(text, "the object's info"));
    const auto format = GetString(info, "format", "the object's info");
    if (!format.ok() || *format != kFormat) return MakeError(Code::kInvalidArgument, "the object holds no dict, list or set");
    TRIBUTARY_ASSIGN(const std::string kind, GetString(info, "kind", "the object's info"));
    static const std::map<std::string, Container> kKinds = {
        {"dict", Container::kDict}, {"list", Container::kList}, {"set", Container::kSet}};
    const auto known = kKinds.find(kind);
    if (known == kKinds.end()) return MakeError(Code::kInvalidArgument, "the object says that it is a '{}'", kind.substr(0, 32));
    container_ = known->second;
    for (const tensor::TensorSpec& entry : entries) {
      if (entry.dtype != tensor::DType::kU8 || entry.shape.size() != 1) {
        return MakeError(Code::kInvalidArgument, "entry '{}' is no value", entry.name);
      }
      if (entry.shape[0] - kLead > max_entry_) {
        return MakeError(Code::kResourceExhausted, "entry '{}' has {}, more than the {} that the receiver takes", entry.name,
                         FormatBytes(entry.shape[0] - kLead), FormatBytes(max_entry_));
      }
    }
    entries_ = entries;
    return Ok();
  }

  Status Write(std::uint32_t entry, std::uint64_t, std::span<const std::byte> bytes) override {
    got_.insert(got_.end(), bytes.begin(), bytes.end());
    if (got_.size() < entries_[entry].shape[0]) return Ok();
    std::vector<std::byte> value(got_.begin() + kLead, got_.end());
    got_.clear();
    if (container_ == Container::kSet && digest::Hex(digest::ComputeSha256(value)) != entries_[entry].name) {
      return MakeError(Code::kDataLoss, "an entry of the set is not the one that its name says ({})", entries_[entry].name);
    }
    return on_entry_(container_, entries_[entry].name, std::move(value));
  }
  Status Finish() override { return Ok(); }

 private:
  const std::uint64_t max_entry_;
  const OnEntry on_entry_;
  Container container_ = Container::kDict;
  std::vector<tensor::TensorSpec> entries_;
  std::vector<std::byte> got_;  // of the entry that comes
};

}  // namespace

const char* ContainerName(Container container) {
  switch (container) {
    case Container::kDict: return "dict";
    case Container::kList: return "list";
    case Container::kSet: return "set";
  }
  return "unknown";
}

Result<std::unique_ptr<Source>> DictSource(std::vector<std::pair<std::string, Value>> entries) {
  return Make(Container::kDict, std::move(entries));
}

Result<std::unique_ptr<Source>> ListSource(const std::vector<Value>& entries) {
  std::vector<std::pair<std::string, Value>> named;
  for (const Value& value : entries) named.emplace_back(std::to_string(named.size()), value);
  return Make(Container::kList, std::move(named));
}

Result<std::unique_ptr<Source>> SetSource(const std::vector<Value>& entries) {
  std::vector<std::pair<std::string, Value>> named;
  for (const Value& value : entries) named.emplace_back(digest::Hex(digest::ComputeSha256(value)), value);
  std::sort(named.begin(), named.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  return Make(Container::kSet, std::move(named));
}

std::unique_ptr<Sink> EntrySink(std::uint64_t max_entry, OnEntry entry) { return std::make_unique<ValueSink>(max_entry, std::move(entry)); }

}  // namespace tributary::objects
