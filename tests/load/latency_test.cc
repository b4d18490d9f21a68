#include "tests/load/latency.h"

#include "gtest/gtest.h"

namespace zdd {
namespace {

TEST(LatencyTest, IsExactToTwoPercentOverSevenOrdersOfMagnitude) {
  for (int64_t ns = 1; ns < 20'000'000'000; ns += 1 + ns / 7) {
    Latency latency;
    latency.Record(absl::Nanoseconds(ns));
    latency.Record(absl::Hours(1));
    const int64_t found = absl::ToInt64Nanoseconds(latency.Percentile(50));
    EXPECT_GE(found, ns);
    EXPECT_LE(found, ns + ns / 50) << ns;
  }
}

TEST(LatencyTest, FindsPercentilesAmongAThousandValues) {
  Latency latency;
  for (int us = 1; us <= 1000; ++us) latency.Record(absl::Microseconds(us));
  EXPECT_NEAR(absl::ToDoubleMicroseconds(latency.Percentile(50)), 500, 10);
  EXPECT_NEAR(absl::ToDoubleMicroseconds(latency.Percentile(99)), 990, 20);
  EXPECT_EQ(latency.Percentile(100), absl::Microseconds(1000));
  EXPECT_EQ(latency.max(), absl::Microseconds(1000));
}

TEST(LatencyTest, MergesAsIfOneHadRecordedEverything) {
  Latency both;
  Latency one;
  Latency other;
  for (int ms = 1; ms <= 100; ++ms) {
    both.Record(absl::Milliseconds(ms));
    (ms % 3 ? one : other).Record(absl::Milliseconds(ms));
  }
  one.Merge(other);
  EXPECT_EQ(one.count(), 100);
  EXPECT_EQ(one.max(), both.max());
  for (double percent : {1, 50, 90, 99}) EXPECT_EQ(one.Percentile(percent), both.Percentile(percent));
}

TEST(LatencyTest, AnswersZeroForNothingAndHoldsWhatIsOutOfRange) {
  Latency latency;
  EXPECT_EQ(latency.Percentile(99), absl::ZeroDuration());
  latency.Record(absl::Hours(24));
  latency.Record(-absl::Seconds(1));
  EXPECT_EQ(latency.Percentile(1), absl::ZeroDuration());
  EXPECT_GT(latency.Percentile(100), absl::Hours(2));
}

}  // namespace
}  // namespace zdd
