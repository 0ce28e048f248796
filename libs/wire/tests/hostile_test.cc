// Bytes that no peer of ours sends: every one ends in a value or an error, with memory in proportion to the bytes.
#include <gtest/gtest.h>

#include "samples.h"
#include "tributary/base/random.h"

namespace tributary::wire {
namespace {

template <class F>
void EveryDecoder(F&& f) {
  ForEachSample([&](const auto& sample) { f([](const std::string& body) { return DecodeBody<std::decay_t<decltype(sample)>>(AsBytes(body)).ok(); }); });
  f([](const std::string& body) { return DecodeObjectSpec(AsBytes(body)).ok(); });
  f([](const std::string& body) { return DecodeManifestRoot(AsBytes(body)).ok(); });
  f([](const std::string& body) { return DecodeGrant(AsBytes(body)).ok(); });
}

TEST(Hostile, AGrantIsBounded) {
  StoreHello hello;
  hello.grant.resize(kMaxGrantBytes);
  EXPECT_EQ(DecodeBody<StoreHello>(AsBytes(EncodeBody(hello))).value().grant.size(), kMaxGrantBytes);
  hello.grant.resize(kMaxGrantBytes + 1);
  EXPECT_FALSE(DecodeBody<StoreHello>(AsBytes(EncodeBody(hello))).ok());
  EXPECT_FALSE(DecodeBody<StoreHello>(AsBytes(std::string("\x81\xa5grant\xa1x"))).ok()) << "text is no bin";
  Grant grant = SampleGrant();
  grant.reads.resize(kMaxGrantObjects + 1);
  EXPECT_FALSE(DecodeGrant(AsBytes(EncodeGrant(grant))).ok());
  const std::string whole = EncodeGrant(SampleGrant());
  for (std::size_t size = 0; size < whole.size(); ++size) EXPECT_FALSE(DecodeGrant(AsBytes(whole).first(size)).ok()) << size;
}

TEST(Hostile, AMessageCutAtAnyByteIsAnError) {
  ForEachSample([](const auto& sample) {
    using M = std::decay_t<decltype(sample)>;
    const std::string body = EncodeBody(sample);
    for (std::size_t size = 0; size < body.size(); ++size) {
      EXPECT_FALSE(DecodeBody<M>(AsBytes(body).first(size)).ok()) << TypeName(M::kType) << " cut at " << size;
    }
    const std::string frame = EncodeFrame(1, sample);
    for (std::size_t size = 0; size < frame.size(); ++size) EXPECT_FALSE(ParseFrame(AsBytes(frame).first(size)).ok());
  });
}

TEST(Hostile, DeepNestingIsAnError) {
  EveryDecoder([](auto decode) {
    EXPECT_FALSE(decode(std::string(60'000, '\x91')));
    EXPECT_FALSE(decode("\x81\xa5tasks" + std::string(60'000, '\x91')));
    std::string maps;
    for (int i = 0; i < 10'000; ++i) maps += "\x81\xa1x";
    EXPECT_FALSE(decode(maps));
  });
}

TEST(Hostile, GiantCountsAreErrors) {
  for (const std::string& giant : {std::string("\xdd\xff\xff\xff\xff", 5), std::string("\xdf\xff\xff\xff\xff", 5),
                                   std::string("\xdb\xff\xff\xff\xff", 5), std::string("\xc6\xff\xff\xff\xff", 5),
                                   std::string("\xc9\xff\xff\xff\xff\x01", 6), std::string("\xdc\xff\xff", 3)}) {
    EveryDecoder([&](auto decode) {
      EXPECT_FALSE(decode(giant));
      EXPECT_FALSE(decode("\x81\xa5tasks" + giant));
      EXPECT_FALSE(decode("\x81\xa5pages" + giant));
      EXPECT_FALSE(decode("\x81\xa7tensors" + giant));
    });
  }
}

// Parsed values take many times the byte that each is on the wire.
TEST(Hostile, TooManyValuesInAllAreAnError) {
  const auto lists = [](int count) {
    std::string body("\x81\xa5later\xdd\0\0", 10);
    body += static_cast<char>(count >> 8);
    body += static_cast<char>(count);
    for (int i = 0; i < count; ++i) {
      body.append("\xdc\xea\x60", 3);  // 60,000 elements
      body.append(60'000, '\xc0');
    }
    return body;
  };
  const std::string few = lists(3);
  EXPECT_TRUE(DecodeBody<Ping>(AsBytes(few)).ok());
  const std::string many = lists(4);
  EXPECT_FALSE(DecodeBody<Ping>(AsBytes(many)).ok());
  const std::string specs = lists(27);
  EXPECT_EQ(DecodeObjectSpec(AsBytes(specs)).error().message(), "malformed spec message");
  EXPECT_EQ(DecodeManifestRoot(AsBytes(specs)).error().message(), "malformed root message");
}

TEST(Hostile, ColumnsOfInputsThatAreNoTableAreErrors) {
  const auto decodes = [](const std::string& columns) {
    return DecodeBody<Assignment>(AsBytes("\x81\xa5tasks\x91\x81\xa7updates" + columns)).ok();
  };
  const std::string names("\xa5names\x91\xa1o"), weights("\xa7weights\x91\x01"), digests("\xa7" "digests\x91\xc4\x20" + std::string(32, 'd'));
  EXPECT_TRUE(decodes("\x83" + names + weights + digests));
  EXPECT_FALSE(decodes("\x82" + names + weights));
  EXPECT_FALSE(decodes("\x82" + names + digests));
  EXPECT_FALSE(decodes("\x82" + weights + digests));
  // What is repeated for each name is short.
  const auto under = [](std::size_t size) { return "\xa5under\xda" + std::string{static_cast<char>(size >> 8), static_cast<char>(size)} + std::string(size, 'u'); };
  EXPECT_TRUE(decodes("\x84" + names + weights + digests + under(255)));
  EXPECT_FALSE(decodes("\x84" + names + weights + digests + under(256)));
}

TEST(Hostile, ValuesThatAreNoMapAreErrors) {
  for (const std::string& value : {std::string("\x01"), std::string("\x90"), std::string("\xc0"), std::string("\xa1x")}) {
    EveryDecoder([&](auto decode) { EXPECT_FALSE(decode(value)); });
  }
}

TEST(Hostile, RandomBytesDoNoHarm) {
  SplitMix64 random(2024);
  for (int round = 0; round < 300; ++round) {
    std::string bytes(random.NextBelow(200), '\0');
    for (char& c : bytes) c = static_cast<char>(random.Next());
    // Half of them begin as a map, lest the first byte decides all.
    if (!bytes.empty() && round % 2 == 0) bytes[0] = static_cast<char>(0x80 | (bytes[0] & 0x0F));
    EveryDecoder([&](auto decode) { decode(bytes); });
    if (const auto view = ParseFrame(AsBytes(bytes)); view.ok()) {
      EXPECT_LE(view->payload.size(), bytes.size());
    }
  }
}

TEST(Hostile, ChangedBytesDoNoHarm) {
  SplitMix64 random(7);
  ForEachSample([&](const auto& sample) {
    using M = std::decay_t<decltype(sample)>;
    const std::string frame = EncodeFrame(1, sample);
    for (int round = 0; round < 300; ++round) {
      std::string changed = frame;
      for (int i = 0; i < 3; ++i) changed[random.NextBelow(changed.size())] = static_cast<char>(random.Next());
      const auto view = ParseFrame(AsBytes(changed));
      if (!view.ok()) continue;
      if (const auto decoded = DecodeBody<M>(view->body); decoded.ok()) {
        EXPECT_LT(EncodeBody(*decoded).size(), 8192u);
      }
    }
  });
}

}  // namespace
}  // namespace tributary::wire
