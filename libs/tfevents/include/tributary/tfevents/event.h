// An event of TensorBoard: numbers with names, of one step. The few fields of its Event message that are used here.
//
// Pure functions, any thread. What is read is checked: a text that is no event is none.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace tributary::tfevents {

struct Event {
  double wall_time = 0;  // seconds since 1970
  std::int64_t step = 0;
  std::string file_version;            // of the first event of a file: "brain.Event:2"
  std::map<std::string, float> values;  // tag -> number
  bool operator==(const Event&) const = default;
};

std::string EncodeEvent(const Event& event);
std::optional<Event> DecodeEvent(std::string_view bytes);

}  // namespace tributary::tfevents
