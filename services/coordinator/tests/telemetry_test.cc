#include "services/coordinator/telemetry.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

namespace tributary::service {
namespace {

using testing::HasSubstr;
using testing::Not;

class TelemetryTest : public testing::Test {
 protected:
  metrics::Registry registry_;
  Telemetry telemetry_{registry_, 64u << 20};
};

TEST_F(TelemetryTest, WhatATrainerTellsStandsBesideOurOwn) {
  telemetry_.Relay("hospital/trainer-0", {{"process_resident_memory_bytes", 1048576}, {"steps_total", 7}});
  const std::string text = registry_.Text();
  EXPECT_THAT(text, HasSubstr("process_resident_memory_bytes{trainer=\"hospital/trainer-0\"} 1048576"));
  EXPECT_THAT(text, HasSubstr("tributary_trainer_steps_total{trainer=\"hospital/trainer-0\"} 7"));
  const std::string type = "# TYPE process_resident_memory_bytes ";
  EXPECT_NE(text.find(type), std::string::npos);
  EXPECT_EQ(text.find(type), text.rfind(type)) << "a page with a family twice is refused by Prometheus";
  telemetry_.Forget("hospital/trainer-0");
  EXPECT_THAT(registry_.Text(), Not(HasSubstr("hospital")));
}

TEST_F(TelemetryTest, BadNamesAndValuesAndMoreThanABoundAreLeftOut) {
  std::map<std::string, double> samples = {{"no spaces", 1}, {"", 1}, {"x{y=\"z\"}", 1}, {std::string(65, 'x'), 1},
                                           {"nan", std::numeric_limits<double>::quiet_NaN()}};
  telemetry_.Relay("a/b", samples);
  EXPECT_THAT(registry_.Text(), Not(HasSubstr("trainer=\"a/b\"")));
  for (int i = 0; i < 1000; ++i) samples.emplace("m" + std::to_string(i), i);
  telemetry_.Relay("a/b", samples);
  const std::string text = registry_.Text();
  int lines = 0;
  for (std::size_t at = text.find("trainer=\"a/b\""); at != std::string::npos; at = text.find("trainer=\"a/b\"", at + 1)) ++lines;
  EXPECT_EQ(lines, 48);
}

}  // namespace
}  // namespace tributary::service
