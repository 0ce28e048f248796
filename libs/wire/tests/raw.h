// MessagePack by hand, for bodies that the codec would not write.
#pragma once

#include <map>
#include <msgpack.hpp>
#include <string>
#include <vector>

#include "samples.h"

namespace tributary::wire {

class RawMap {
 public:
  explicit RawMap(const std::string& body) : handle_(msgpack::unpack(body.data(), body.size())) {}
  std::vector<std::string> Keys() const {
    std::vector<std::string> keys;
    for (const auto& pair : Pairs()) keys.push_back(pair.key.as<std::string>());
    return keys;
  }
  // The map with `key` set to nil, left out, or as it is; and `extra` new keys.
  enum class Change { kNone, kNil, kDrop };
  std::string With(const std::string& key, Change change, int extra = 0) const {
    msgpack::sbuffer buffer;
    msgpack::packer<msgpack::sbuffer> packer(buffer);
    const auto pairs = Pairs();
    packer.pack_map(static_cast<std::uint32_t>(pairs.size()) - (change == Change::kDrop ? 1 : 0) + static_cast<std::uint32_t>(extra));
    for (int i = 0; i < extra; ++i) {
      packer.pack("later_" + std::to_string(i));
      packer.pack(std::vector<int>{1, 2});
    }
    for (const auto& pair : pairs) {
      const bool it = pair.key.as<std::string>() == key;
      if (it && change == Change::kDrop) continue;
      packer.pack(pair.key);
      if (it && change == Change::kNil) {
        packer.pack_nil();
      } else {
        packer.pack(pair.val);
      }
    }
    return {buffer.data(), buffer.size()};
  }
  // The keys of the first element of the array under `key`.
  std::vector<std::string> KeysInside(const std::string& key) const {
    std::vector<std::string> keys;
    for (const auto& pair : Pairs()) {
      if (pair.key.as<std::string>() != key) continue;
      const auto& map = pair.val.via.array.ptr[0].via.map;
      for (std::uint32_t i = 0; i < map.size; ++i) keys.push_back(map.ptr[i].key.as<std::string>());
    }
    return keys;
  }

 private:
  std::span<const msgpack::object_kv> Pairs() const { return {handle_.get().via.map.ptr, handle_.get().via.map.size}; }
  msgpack::object_handle handle_;
};

}  // namespace tributary::wire
