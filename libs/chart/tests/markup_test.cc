#include "tributary/chart/markup.h"

#include <gtest/gtest.h>

namespace tributary::chart {
namespace {

TEST(Escape, LetsNoMarkupThrough) {
  EXPECT_EQ(Escape("<script>alert('x' & \"y\")</script>"), "&lt;script&gt;alert(&#39;x&#39; &amp; &quot;y&quot;)&lt;/script&gt;");
  EXPECT_EQ(Escape("Müller, 東京, 🌊"), "Müller, 東京, 🌊");
}

TEST(Escape, ReplacesWhatIsNoTextOfADocument) {
  EXPECT_EQ(Escape(std::string("a\0b\x1b[31m", 8)), "a\xEF\xBF\xBD" "b\xEF\xBF\xBD[31m");
  EXPECT_EQ(Escape("\xC0\xAF"), "\xEF\xBF\xBD\xEF\xBF\xBD") << "an overlong '/'";
  EXPECT_EQ(Escape("\xED\xA0\x80"), "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD") << "half of a pair of surrogates";
  EXPECT_EQ(Escape("cut \xE6\x9D"), "cut \xEF\xBF\xBD\xEF\xBF\xBD");
  EXPECT_EQ(Escape("\xF5\x80\x80\x80").size(), 12u) << "above the last character";
}

TEST(JsonText, CannotEndTheElementThatItStandsIn) {
  EXPECT_EQ(JsonText("</script><!--"), R"("\u003c/script\u003e\u003c!--")");
  EXPECT_EQ(JsonText("say \"hi\"\\\n"), R"("say \u0022hi\u0022\u005c\u000a")");
}

TEST(Coordinate, IsShort) {
  EXPECT_EQ(Coordinate(12), "12");
  EXPECT_EQ(Coordinate(12.5), "12.5");
  EXPECT_EQ(Coordinate(1.23456), "1.23");
  EXPECT_EQ(Coordinate(-0.0001), "0");
}

}  // namespace
}  // namespace tributary::chart
