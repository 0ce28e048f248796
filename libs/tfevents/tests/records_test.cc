#include "tributary/tfevents/records.h"

#include <gtest/gtest.h>

#include "tributary/tfevents/event.h"

namespace tributary::tfevents {
namespace {

// Of RFC 3720, appendix B.4.
TEST(Crc32c, HasThePublishedValues) {
  EXPECT_EQ(Crc32c(std::string(32, '\0')), 0x8A9136AAu);
  EXPECT_EQ(Crc32c(std::string(32, '\xFF')), 0x62A8AB43u);
  EXPECT_EQ(Crc32c("123456789"), 0xE3069283u);
  EXPECT_EQ(Crc32c(""), 0u);
}

TEST(Records, AreReadAsTheyWereWritten) {
  const std::string text = MakeRecord("one") + MakeRecord("") + MakeRecord(std::string(1000, 'x'));
  const Records found = ReadRecords(text);
  ASSERT_EQ(found.records.size(), 3u);
  EXPECT_EQ(found.records[0], "one");
  EXPECT_EQ(found.records[1], "");
  EXPECT_EQ(found.records[2].size(), 1000u);
  EXPECT_EQ(found.whole, text.size());
}

TEST(Records, EndBeforeWhatIsTorn) {
  const std::string whole = MakeRecord("one");
  const std::string text = whole + MakeRecord("two");
  for (std::size_t cut = whole.size(); cut < text.size(); ++cut) {
    const Records found = ReadRecords(text.substr(0, cut));
    EXPECT_EQ(found.records.size(), 1u) << cut;
    EXPECT_EQ(found.whole, whole.size()) << cut;
  }
}

TEST(Records, EndBeforeADamagedByte) {
  const std::string whole = MakeRecord("one");
  for (std::size_t at = 0; at < whole.size(); ++at) {
    std::string text = whole;
    text[at] = static_cast<char>(text[at] ^ 0x10);
    EXPECT_TRUE(ReadRecords(text).records.empty()) << at;
  }
}

TEST(Records, ALengthBeyondTheTextIsNone) {
  std::string text(8, '\xFF');
  const std::uint32_t crc = MaskedCrc32c(text);
  for (int i = 0; i < 4; ++i) text += static_cast<char>(crc >> (8 * i) & 0xFF);
  text += std::string(64, 'x');
  EXPECT_EQ(ReadRecords(text).whole, 0u);
}

TEST(Event, IsReadAsItWasWritten) {
  const Event event{1.7e9, 300, "brain.Event:2", {{"loss/train", 2.5F}, {"bytes/up", 1e9F}}};
  EXPECT_EQ(DecodeEvent(EncodeEvent(event)), event);
  EXPECT_EQ(DecodeEvent(EncodeEvent({1.5, 0, "", {}})), (Event{1.5, 0, "", {}}));
}

// Checked in: what another writer's file of one scalar has.
TEST(Event, HasTheBytesOfTheProtocol) {
  const std::string bytes = EncodeEvent({1.0, 2, "", {{"a", 1.0F}}});
  const std::string expected("\x09\x00\x00\x00\x00\x00\x00\xF0\x3F\x10\x02\x2A\x0A\x0A\x08\x0A\x01" "a\x15\x00\x00\x80\x3F", 23);
  EXPECT_EQ(bytes, expected);
}

TEST(Event, OfNoMessageIsNone) {
  const std::string bytes = EncodeEvent({1.0, 2, "brain.Event:2", {{"tag", 1.0F}}});
  int none = 0;
  for (std::size_t cut = 0; cut < bytes.size(); ++cut) none += DecodeEvent(bytes.substr(0, cut)) ? 0 : 1;
  EXPECT_GT(none, 20);
  EXPECT_FALSE(DecodeEvent(std::string(12, '\xFF')));
  EXPECT_FALSE(DecodeEvent("\x0B")) << "a kind that is none";
}

}  // namespace
}  // namespace tributary::tfevents
