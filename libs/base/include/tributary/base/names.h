// Names that come from outside and end in paths, keys and logs: checked once, then a type.
//
// A name is parsed at the border (flag, job file, message) and carried as its own type, so that a
// seat is never passed for an object. Values; any thread.
#pragma once

#include <compare>
#include <functional>
#include <string>
#include <string_view>
#include <utility>

#include "tributary/base/result.h"

namespace tributary {

// One path segment: [A-Za-z0-9][A-Za-z0-9._-]{0,62}; never "." or "..".
Status CheckSegment(std::string_view text, std::string_view what);
// Segments joined by '/', at most 255 bytes in all.
Status CheckPath(std::string_view text, std::string_view what);

// A checked string of one kind. Empty only when default-constructed ("none").
template <class Tag>
class Name {
 public:
  Name() = default;
  static Result<Name> Parse(std::string_view text) {
    TRIBUTARY_TRY(Tag::Check(text));
    return Name(std::string(text));
  }
  // For names put together by code from checked parts.
  static Name Trusted(std::string text) { return Name(std::move(text)); }

  const std::string& str() const { return text_; }
  bool empty() const { return text_.empty(); }
  auto operator<=>(const Name&) const = default;

 private:
  explicit Name(std::string text) : text_(std::move(text)) {}
  std::string text_;
};

struct ObjectNameTag {
  static Status Check(std::string_view t) { return CheckPath(t, "object name"); }
};
struct JobIdTag {
  static Status Check(std::string_view t) { return CheckSegment(t, "job id"); }
};
struct SiteTag {
  static Status Check(std::string_view t) { return CheckSegment(t, "site name"); }
};
struct InstanceTag {
  static Status Check(std::string_view t) { return CheckSegment(t, "instance name"); }
};

using ObjectName = Name<ObjectNameTag>;  // "jobs/quickstart-1/rounds/3/updates/site/0"
using JobId = Name<JobIdTag>;            // "quickstart-1"
using SiteName = Name<SiteTag>;          // "hospital-a": what a key names
using InstanceName = Name<InstanceTag>;  // one process that may restart: "aggregator-0"

// A seat: the site that holds it and its ordinal in the job, which is the data partition.
struct Seat {
  SiteName site;
  std::uint32_t ordinal = 0;
  std::string str() const { return fmt::format("{}/{}", site.str(), ordinal); }
  auto operator<=>(const Seat&) const = default;
};

}  // namespace tributary

template <class Tag>
struct std::hash<tributary::Name<Tag>> {
  std::size_t operator()(const tributary::Name<Tag>& n) const {
    return std::hash<std::string>()(n.str());
  }
};
