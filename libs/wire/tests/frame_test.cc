#include "tributary/wire/frame.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "samples.h"

namespace tributary::wire {
namespace {

using testing::HasSubstr;

std::string ParseError(const std::string& bytes) {
  const auto view = ParseFrame(AsBytes(bytes));
  EXPECT_FALSE(view.ok());
  if (view.ok()) return "";
  EXPECT_EQ(view.error().code(), Code::kProtocol);
  return view.error().message();
}
// A frame with this header text.
std::string Frame(const std::string& header) {
  std::string bytes(4, '\0');
  bytes[0] = static_cast<char>(header.size() & 0xFF);
  bytes[1] = static_cast<char>(header.size() >> 8);
  return bytes + header;
}

TEST(Frame, PayloadBeginsAtAMultipleOf64) {
  for (std::size_t name = 1; name < 140; ++name) {
    const std::string header = MakeHeader(Type::kPutChunk, 1, EncodeBody(PutChunk{.object = std::string(name, 'x')}), true);
    EXPECT_EQ(header.size() % 64, 0u);
    const std::string bytes = header + "p";
    const auto view = ParseFrame(AsBytes(bytes));
    ASSERT_TRUE(view.ok());
    EXPECT_EQ(view->payload.data(), AsBytes(bytes).data() + header.size());
    EXPECT_EQ(view->payload.size(), 1u);
  }
}

TEST(Frame, CarriesProtocolTypeAndId) {
  const std::string bytes = MakeHeader(Type::kPong, ~0ull, EncodeBody(Pong{}), false, 42);
  const auto view = ParseFrame(AsBytes(bytes));
  ASSERT_TRUE(view.ok());
  EXPECT_EQ(view->protocol, 42u);
  EXPECT_EQ(view->type, Type::kPong);
  EXPECT_EQ(view->id, ~0ull);
  EXPECT_TRUE(view->payload.empty());
}

TEST(Frame, ATypeOfALaterVersionParses) {
  const std::string bytes = MakeHeader(static_cast<Type>(4000), 1, EncodeBody(Ping{}), false);
  const auto view = ParseFrame(AsBytes(bytes));
  ASSERT_TRUE(view.ok());
  EXPECT_EQ(TypeName(view->type), "unknown");
}

TEST(Frame, ErrorsNameWhatIsWrong) {
  EXPECT_THAT(ParseError(""), HasSubstr("shorter than its length prefix"));
  EXPECT_THAT(ParseError(std::string(3, '\0')), HasSubstr("shorter than its length prefix"));
  EXPECT_THAT(ParseError(std::string("\xff\xff\xff\xff", 4)), HasSubstr("the header is longer than the frame"));
  EXPECT_THAT(ParseError(std::string("\x05\0\0\0\x94", 5)), HasSubstr("the header is longer than the frame"));
  EXPECT_THAT(ParseError(Frame("")), HasSubstr("the header is no array of four"));
  EXPECT_THAT(ParseError(Frame("\x93\x01\x02\x03")), HasSubstr("the header is no array of four"));
  EXPECT_THAT(ParseError(Frame("\x94\xa1x\x02\x03\x80")), HasSubstr("a header field is no number"));
  EXPECT_THAT(ParseError(Frame("\x94\x01\xff\x03\x80")), HasSubstr("a header field is no number"));
  EXPECT_THAT(ParseError(Frame(std::string("\x94\xcf\0\0\0\1\0\0\0\0\x02\x03\x80", 13))), HasSubstr("a header field is too large"));
  EXPECT_THAT(ParseError(Frame("\x94\x01\x02\x03")), HasSubstr("no body"));
  EXPECT_THAT(ParseError(Frame("\x94\x01\xc1\x03\x80")), HasSubstr("not MessagePack"));
  EXPECT_THAT(ParseError(EncodeFrame(1, Ping{}) + std::string(10, '\0')), HasSubstr("padding without a payload"));
}

TEST(Frame, AHeaderOverTheControlLimitIsRefused) {
  std::string bytes(4, '\0');
  bytes[2] = 2;  // 128 KiB
  bytes += std::string(200 << 10, 'x');
  EXPECT_THAT(ParseError(bytes), HasSubstr("the header is longer than the frame"));
}

TEST(TypeName, KnowsEveryMessage) {
  ForEachSample([](const auto& sample) { EXPECT_NE(TypeName(std::decay_t<decltype(sample)>::kType), "unknown"); });
}

}  // namespace
}  // namespace tributary::wire
