// Private: packs and unpacks structs from one list of fields each. The only place that includes msgpack.
//
// A message declares `template <class V> void Fields(V& v, Message& m) { v("name", m.name); ... }`; Pack and Unpack are
// visitors over it, so the two directions cannot drift apart.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <map>
#include <msgpack.hpp>
#include <string>
#include <vector>

#include "tributary/wire/codec.h"

namespace tributary::wire {

// Bounds of anything a peer sends. An element takes at least a byte, so an array that claims more elements than the
// text has bytes is refused before room is made for it.
constexpr std::size_t kMaxDepth = 8;

inline msgpack::unpack_limit Limits(std::size_t bytes) {
  return msgpack::unpack_limit(/*array=*/std::min<std::size_t>(bytes, 70000), /*map=*/std::min<std::size_t>(bytes, 4096),
                               /*str=*/bytes, /*bin=*/bytes, /*ext=*/0, /*depth=*/kMaxDepth);
}

// A parsed value takes 24 bytes, a legal one as little as one: their number is bounded too. A message that needs more
// says so as kMaxValues.
constexpr std::size_t kMaxValues = 200'000;

template <class M>
constexpr std::size_t MaxValues() {
  if constexpr (requires { M::kMaxValues; }) {
    return M::kMaxValues;
  } else {
    return kMaxValues;
  }
}

// Walks a body without keeping anything, so that one with too many values is refused before any is made.
class ValueCounter : public msgpack::null_visitor {
 public:
  explicit ValueCounter(std::size_t at_most) : left_(at_most) {}
  bool visit_nil() { return Count(); }
  bool visit_boolean(bool) { return Count(); }
  bool visit_positive_integer(std::uint64_t) { return Count(); }
  bool visit_negative_integer(std::int64_t) { return Count(); }
  bool visit_float32(float) { return Count(); }
  bool visit_float64(double) { return Count(); }
  bool visit_str(const char*, std::uint32_t) { return Count(); }
  bool visit_bin(const char*, std::uint32_t) { return Count(); }
  bool visit_ext(const char*, std::uint32_t) { return Count(); }
  bool start_array(std::uint32_t) { return Open(); }
  bool end_array() { return Close(); }
  bool start_map(std::uint32_t) { return Open(); }
  bool end_map() { return Close(); }

 private:
  bool Count() { return left_ != 0 && left_-- != 0; }
  bool Open() { return ++depth_ <= kMaxDepth && Count(); }
  bool Close() { return depth_-- != 0; }

  std::size_t left_;
  std::size_t depth_ = 0;
};

using Packer = msgpack::packer<msgpack::sbuffer>;

class Counter {
 public:
  template <class T>
  void operator()(const char*, T&, std::size_t = 0) {
    ++count_;
  }
  std::uint32_t count() const { return count_; }

 private:
  std::uint32_t count_ = 0;
};

template <class M>
concept HasFields = requires(Counter& v, M& m) { Fields(v, m); };

class Pack {
 public:
  explicit Pack(Packer& packer) : packer_(packer) {}
  template <class T>
  void operator()(const char* key, T& value, std::size_t = 0) {
    packer_.pack(key);
    Value(value);
  }
  template <HasFields M>
  void Message(M& message) {
    Counter counter;
    Fields(counter, message);
    packer_.pack_map(counter.count());
    Fields(*this, message);
  }

 private:
  template <class T>
  void Value(T& value) {
    if constexpr (HasFields<T>) {
      Message(value);
    } else {
      packer_.pack(value);
    }
  }
  template <class T>
  void Value(std::vector<T>& values) {
    packer_.pack_array(static_cast<std::uint32_t>(values.size()));
    for (T& value : values) Value(value);
  }
  // Whole numbers as integers, others as float 64: msgpack-cxx does the first up to version 6 and no longer in 7, and
  // frames must not depend on who built them.
  void Value(double& value) {
    if (value >= -0x1.0p53 && value <= 0x1.0p53 && value == static_cast<double>(static_cast<std::int64_t>(value))) {
      packer_.pack_int64(static_cast<std::int64_t>(value));
      return;
    }
    char bytes[9] = {static_cast<char>(0xCB)};
    const auto bits = std::bit_cast<std::uint64_t>(value);
    for (int i = 0; i < 8; ++i) bytes[i + 1] = static_cast<char>(bits >> (56 - 8 * i));
    packer_.pack_str_body(bytes, sizeof bytes);  // as it is
  }
  void Value(std::map<std::string, double>& values) {
    packer_.pack_map(static_cast<std::uint32_t>(values.size()));
    for (auto& [name, value] : values) {
      packer_.pack(name);
      Value(value);
    }
  }
  void Value(std::vector<std::byte>& bytes) {
    packer_.pack_bin(static_cast<std::uint32_t>(bytes.size()));
    packer_.pack_bin_body(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  }
  template <std::size_t N>
  void Value(std::array<std::byte, N>& bytes) {
    packer_.pack_bin(N);
    packer_.pack_bin_body(reinterpret_cast<const char*>(bytes.data()), N);
  }
  Packer& packer_;
};

// Throws msgpack::type_error inside; DecodeBody catches.
class Unpack {
 public:
  explicit Unpack(const msgpack::object& map) : map_(map) {
    if (map.type != msgpack::type::MAP) throw msgpack::type_error();
  }
  // A list of more than `at_most` elements, or bytes, is refused before room is made for it.
  template <class T>
  void operator()(const char* key, T& value, std::size_t at_most = SIZE_MAX) {
    field_ = key;
    const std::string_view wanted(key);
    for (std::uint32_t i = 0; i < map_.via.map.size; ++i) {
      const auto& pair = map_.via.map.ptr[i];
      if (pair.key.type == msgpack::type::STR &&
          std::string_view(pair.key.via.str.ptr, pair.key.via.str.size) == wanted) {
        if (pair.val.type == msgpack::type::ARRAY && pair.val.via.array.size > at_most) throw msgpack::type_error();
        if (pair.val.type == msgpack::type::BIN && pair.val.via.bin.size > at_most) throw msgpack::type_error();
        Value(pair.val, value);
        return;
      }
    }
  }
  const char* field() const { return field_; }

 private:
  template <class T>
  static void Value(const msgpack::object& object, T& value) {
    if constexpr (HasFields<T>) {
      Unpack inner(object);
      Fields(inner, value);
    } else {
      object.convert(value);
    }
  }
  template <class T>
  static void Value(const msgpack::object& object, std::vector<T>& values) {
    if (object.type != msgpack::type::ARRAY) throw msgpack::type_error();
    values.clear();
    values.reserve(object.via.array.size);  // the parser has already seen each element
    for (std::uint32_t i = 0; i < object.via.array.size; ++i) Value(object.via.array.ptr[i], values.emplace_back());
  }
  static void Value(const msgpack::object& object, std::vector<std::byte>& bytes) {
    if (object.type != msgpack::type::BIN) throw msgpack::type_error();
    const auto* begin = reinterpret_cast<const std::byte*>(object.via.bin.ptr);
    bytes.assign(begin, begin + object.via.bin.size);
  }
  template <std::size_t N>
  static void Value(const msgpack::object& object, std::array<std::byte, N>& bytes) {
    if (object.type != msgpack::type::BIN || object.via.bin.size != N) throw msgpack::type_error();
    std::memcpy(bytes.data(), object.via.bin.ptr, N);
  }

  const msgpack::object& map_;
  const char* field_ = "";
};

template <class Message>
std::string EncodeBody(const Message& message) {
  msgpack::sbuffer buffer;
  Packer packer(buffer);
  // Visitors take non-const references so that one list serves both directions; Pack does not write.
  Pack(packer).Message(const_cast<Message&>(message));
  return std::string(buffer.data(), buffer.size());
}

template <class Message>
Result<Message> DecodeBody(std::span<const std::byte> body) {
  const char* field = "";
  try {
    const char* data = reinterpret_cast<const char*>(body.data());
    ValueCounter counter(MaxValues<Message>());
    if (!msgpack::parse(data, body.size(), counter)) throw msgpack::parse_error("too many or too deep values, or cut");
    const auto handle = msgpack::unpack(data, body.size(), nullptr, nullptr, Limits(body.size()));
    Message message;
    Unpack unpack(handle.get());
    try {
      Fields(unpack, message);
    } catch (const std::exception&) {
      field = unpack.field();
      throw;
    }
    return message;
  } catch (const std::exception&) {
    return MakeError(Code::kProtocol, "malformed {} message{}{}", TypeName(Message::kType),
                     *field != '\0' ? ", field " : "", field);
  }
}

template <class Message>
Result<Message> Expect(const FrameView& frame) {
  if (frame.type == Message::kType) return DecodeBody<Message>(frame.body);
  if constexpr (Message::kType != Type::kError) {
    if (frame.type == Type::kError) return ErrorOf(frame);
  }
  return MakeError(Code::kProtocol, "expected a {} message, got {}", TypeName(Message::kType), TypeName(frame.type));
}

}  // namespace tributary::wire

#define TRIBUTARY_WIRE_MESSAGE(M)                                       \
  template std::string EncodeBody<M>(const M&);                         \
  template Result<M> DecodeBody<M>(std::span<const std::byte>);         \
  template Result<M> Expect<M>(const FrameView&)
