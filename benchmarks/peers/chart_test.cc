#include "benchmarks/peers/chart.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace zdd {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

const Chart kChart = {
    "Restarts", "here", {{"failed", "of all", 0}}, {{"nginx", {60}}, {"zdd", {0}}}};

TEST(ChartTest, IsSvgOnItsOwn) {
  const std::string svg = ToSvg(kChart);
  EXPECT_THAT(svg, StartsWith("<svg xmlns=\"http://www.w3.org/2000/svg\""));
  EXPECT_THAT(svg, HasSubstr("<title>Restarts</title>"));
  EXPECT_THAT(svg, Not(HasSubstr("href")));
  EXPECT_THAT(svg, Not(HasSubstr("url(")));
}

TEST(ChartTest, TheLongestBarIsOfTheMostAndNothingHasNone) {
  const std::string svg = ToSvg(kChart);
  EXPECT_THAT(svg, HasSubstr("width=\"74.0\" height=\"14\" rx=\"2\" class=\"other\""));
  EXPECT_THAT(svg, HasSubstr("width=\"0.0\" height=\"14\" rx=\"2\" class=\"ours\""));
}

TEST(ChartTest, ALittleIsSeen) {
  Chart chart = kChart;
  chart.rows[1].values = {0.01};
  EXPECT_THAT(ToSvg(chart), HasSubstr("width=\"1.0\" height=\"14\" rx=\"2\" class=\"ours\""));
}

TEST(ChartTest, FiguresHaveTheDecimalsOfTheirColumn) {
  Chart chart = kChart;
  chart.columns[0].decimals = 2;
  EXPECT_THAT(ToSvg(chart), HasSubstr(">60.00</text>"));
}

TEST(ChartTest, TextIsEscaped) {
  Chart chart = kChart;
  chart.subtitle = "a < b & c";
  EXPECT_THAT(ToSvg(chart), HasSubstr("a &lt; b &amp; c"));
}

TEST(ChartTest, ColumnsWithoutValuesAndNoRowsAreDrawn) {
  Chart chart = kChart;
  chart.rows = {{"short", {}}};
  EXPECT_THAT(ToSvg(chart), HasSubstr(">0</text>"));
  chart.rows.clear();
  EXPECT_THAT(ToSvg(chart), HasSubstr("</svg>"));
}

}  // namespace
}  // namespace zdd
