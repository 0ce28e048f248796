#include "tributary/json/json.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "libs/base/testing/temp_directory.h"

namespace tributary {
namespace {

using testing::HasSubstr;

TEST(ParseJson, ValuesAndErrorsNamedAfterTheText) {
  const auto json = ParseJson(R"({"a": 1, "b": [true, null, "x\u00e9"]})", "x.json");
  ASSERT_TRUE(json.ok());
  EXPECT_EQ((*json)["a"], 1);
  for (const char* bad : {"", "{", "[1,]", "{\"a\":}", "nul", "{\"a\":1} x", "\"\xff\"", "[1e999999]x"}) {
    const auto refused = ParseJson(bad, "x.json");
    ASSERT_FALSE(refused.ok()) << bad;
    EXPECT_THAT(refused.error().message(), HasSubstr("x.json: not valid JSON"));
  }
}

TEST(ParseJson, DepthIsLimitedBeforeTheParserRecurses) {
  const auto nested = [](std::size_t depth) { return std::string(depth, '[') + std::string(depth, ']'); };
  EXPECT_TRUE(ParseJson(nested(64), "x").ok());
  EXPECT_THAT(ParseJson(nested(65), "x").error().message(), HasSubstr("nested deeper than 64"));
  EXPECT_FALSE(ParseJson(std::string(10'000'000, '['), "x").ok());
  // Brackets inside of strings do not count, quotes may be escaped.
  EXPECT_TRUE(ParseJson("[\"" + std::string(100, '[') + "\\\"" + std::string(100, '[') + "\"]", "x").ok());
}

TEST(GetTyped, NamesTheKeyThatIsMissingOrOfAnotherType) {
  const Json object = ParseJson(R"({"n": 3, "x": 2.5, "s": "t", "big": 18446744073709551615})", "f").value();
  EXPECT_EQ(GetInt(object, "n", "f").value(), 3);
  EXPECT_EQ(GetNumber(object, "n", "f").value(), 3.0);
  EXPECT_EQ(GetNumber(object, "x", "f").value(), 2.5);
  EXPECT_EQ(GetString(object, "s", "f").value(), "t");
  EXPECT_THAT(GetInt(object, "gone", "f").error().message(), HasSubstr("f: 'gone' is missing"));
  EXPECT_THAT(GetInt(object, "x", "f").error().message(), HasSubstr("'x' is not an integer"));
  EXPECT_THAT(GetInt(object, "s", "f").error().message(), HasSubstr("'s' is not an integer"));
  EXPECT_THAT(GetNumber(object, "s", "f").error().message(), HasSubstr("'s' is not a number"));
  EXPECT_THAT(GetString(object, "n", "f").error().message(), HasSubstr("'n' is not a string"));
  EXPECT_THAT(GetInt(Json::array(), "n", "f").error().message(), HasSubstr("f: expected an object"));
}

// An unsigned number over the signed range must not come out negative.
TEST(GetTyped, IntegersOverTheRangeAreRefused) {
  const Json object = ParseJson(R"({"big": 18446744073709551615, "top": 9223372036854775807})", "f").value();
  EXPECT_FALSE(GetInt(object, "big", "f").ok());
  EXPECT_EQ(GetInt(object, "top", "f").value(), 9223372036854775807);
}

class JsonFileTest : public testing::Test {
 protected:
  const TempDirectory folder_;
};

TEST_F(JsonFileTest, WritesWholeAndReadsBack) {
  const std::string path = folder_.File("a.json");
  OrderedJson value = {{"z", 1}, {"a", "\xff not UTF-8"}};
  ASSERT_TRUE(WriteJsonFile(path, value).ok());
  ASSERT_TRUE(WriteJsonFile(path, {{"z", 2}}).ok());
  EXPECT_EQ(ReadJsonFile(path).value()["z"], 2);
  EXPECT_FALSE(std::filesystem::exists(path + ".tmp"));
}

TEST_F(JsonFileTest, ErrorsNameThePath) {
  EXPECT_EQ(ReadJsonFile(folder_.File("gone.json")).error().code(), Code::kNotFound);
  std::ofstream(folder_.File("large.json")) << "[1,2,3,4,5]";
  EXPECT_THAT(ReadJsonFile(folder_.File("large.json"), 4).error().message(), HasSubstr("large.json"));
  EXPECT_FALSE(ReadJsonFile(folder_.path()).ok());
  EXPECT_THAT(WriteJsonFile(folder_.File("no/where.json"), {}).error().message(), HasSubstr("/no/where.json"));
}

}  // namespace
}  // namespace tributary
