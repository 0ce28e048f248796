// A bucket in memory that fails when a test says so, for test programs only. Thread-safe.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "tributary/blob/bucket.h"

namespace tributary::blob::testing {

class FakeBucket final : public Bucket {
 public:
  // Sees each call before it is done: "put", "get", "size", "delete", "list", and the key. An error that it gives is the call's.
  using Rule = std::function<Status(const std::string& operation, const std::string& key)>;
  void SetRule(Rule rule) {
    const std::lock_guard lock(mutex_);
    rule_ = std::move(rule);
  }
  std::map<std::string, std::string> Values() const {
    const std::lock_guard lock(mutex_);
    return values_;
  }
  void SetValue(const std::string& key, std::string value) {
    const std::lock_guard lock(mutex_);
    values_[key] = std::move(value);
  }
  std::vector<std::string> Keys(const std::string& prefix = "") const {
    std::vector<std::string> keys;
    for (const auto& [key, value] : Values()) {
      if (key.starts_with(prefix)) keys.push_back(key);
    }
    return keys;
  }
  std::uint64_t gets() const { return gets_; }

  Status Put(const std::string& key, std::uint64_t bytes, const Source& source) override {
    TRIBUTARY_TRY(Ask("put", key));
    std::string value(bytes, '\0');
    // In pieces, and the first one twice, as a request that is repeated.
    for (std::uint64_t at = 0, again = 1; at < bytes || again == 1;) {
      const std::size_t step = std::min<std::uint64_t>(1000, bytes - at);
      TRIBUTARY_TRY(source(at, std::as_writable_bytes(std::span(value)).subspan(at, step)));
      if (again-- != 1) at += step;
      if (bytes == 0) break;
    }
    SetValue(key, std::move(value));
    return Ok();
  }
  Status Get(const std::string& key, std::uint64_t offset, std::span<std::byte> out) override {
    TRIBUTARY_TRY(Ask("get", key));
    ++gets_;
    const std::lock_guard lock(mutex_);
    const auto found = values_.find(key);
    if (found == values_.end()) return Absent(key);
    if (offset > found->second.size() || out.size() > found->second.size() - offset) return MakeError(Code::kDataLoss, "{} is shorter", key);
    std::ranges::copy(std::as_bytes(std::span(found->second)).subspan(offset, out.size()), out.begin());
    return Ok();
  }
  Result<std::uint64_t> Size(const std::string& key) override {
    TRIBUTARY_TRY(Ask("size", key));
    const std::lock_guard lock(mutex_);
    const auto found = values_.find(key);
    if (found == values_.end()) return Absent(key);
    return found->second.size();
  }
  Status Delete(const std::string& key) override {
    TRIBUTARY_TRY(Ask("delete", key));
    const std::lock_guard lock(mutex_);
    values_.erase(key);
    return Ok();
  }
  Result<std::vector<std::string>> List(const std::string& prefix, const std::string& after) override {
    TRIBUTARY_TRY(Ask("list", prefix));
    std::vector<std::string> keys;
    for (std::string& key : Keys(prefix)) {
      if (key > after && keys.size() < 3) keys.push_back(std::move(key));  // small pages: all are turned
    }
    return keys;
  }
  std::string Place() const override { return "a bucket in memory"; }
  void Cancel() override {}

 private:
  Status Ask(const std::string& operation, const std::string& key) {
    Rule rule;
    {
      const std::lock_guard lock(mutex_);
      rule = rule_;
    }
    return rule ? rule(operation, key) : Ok();
  }
  static Error Absent(const std::string& key) { return MakeError(Code::kNotFound, "no {}", key); }

  mutable std::mutex mutex_;
  // Protected by mutex_.
  std::map<std::string, std::string> values_;
  Rule rule_;
  std::atomic<std::uint64_t> gets_{0};
};

}  // namespace tributary::blob::testing
