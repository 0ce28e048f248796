// Dictionaries, lists and sets of byte values as streamed objects, entry by entry.
//
// A Values is what a Python program would hold in a dict, list or set of byte strings: it is sent without a second copy, and received
// one entry at a time, so that a receiver never holds more than its largest entry. The keys of a dictionary are entry names; a list
// numbers its entries; a set names each by the SHA-256 of its bytes and sends them in that order, so that equal sets have equal digests.
// One thread. Bytes.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "tributary/objects/stream.h"

namespace tributary::objects {

enum class Container { kDict, kList, kSet };
const char* ContainerName(Container container);  // "dict"

using Value = std::span<const std::byte>;

// The spans must stay valid while the source is used. kInvalidArgument: no entries, a key twice or not of 1 to 255 bytes, the same
// bytes twice in a set, more entries than a layout has room for. Empty values are allowed.
Result<std::unique_ptr<Source>> DictSource(std::vector<std::pair<std::string, Value>> entries);
Result<std::unique_ptr<Source>> ListSource(const std::vector<Value>& entries);
Result<std::unique_ptr<Source>> SetSource(const std::vector<Value>& entries);

// Calls `entry` with each whole value, in order: with its key of a dictionary, its number of a list, the hex SHA-256 of a set. Entries of more
// than `max_entry` are kResourceExhausted before anything is allocated for them.
using OnEntry = std::function<Status(Container container, const std::string& key, std::vector<std::byte> value)>;
std::unique_ptr<Sink> EntrySink(std::uint64_t max_entry, OnEntry entry);

}  // namespace tributary::objects
