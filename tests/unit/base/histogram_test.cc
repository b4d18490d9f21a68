#include "zdd/base/histogram.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <random>
#include <vector>

#include "gtest/gtest.h"

namespace zdd {
namespace {

// The percentile of sorted samples, by the definition in the header.
absl::Duration Exact(const std::vector<absl::Duration>& sorted, double percent) {
  const double rank = std::ceil(percent / 100 * static_cast<double>(sorted.size()));
  return sorted[static_cast<size_t>(std::max(rank, 1.0)) - 1];
}

// Percentiles agree with the sorted samples to within 1 %.
void ExpectClose(const Histogram& histogram, std::vector<absl::Duration> samples) {
  std::sort(samples.begin(), samples.end());
  ASSERT_EQ(histogram.count(), samples.size());
  EXPECT_EQ(histogram.min(), samples.front());
  EXPECT_EQ(histogram.max(), samples.back());
  for (double percent : {0.0, 0.1, 1.0, 10.0, 25.0, 50.0, 75.0, 90.0, 99.0, 99.9, 99.99, 100.0}) {
    const absl::Duration exact = Exact(samples, percent);
    const absl::Duration told = histogram.Percentile(percent);
    EXPECT_LE(absl::AbsDuration(told - exact), exact * 0.01)
        << percent << " %: told " << told << ", exact " << exact;
  }
}

TEST(HistogramTest, AnEmptyOneTellsZero) {
  Histogram histogram;
  EXPECT_EQ(histogram.count(), 0u);
  EXPECT_EQ(histogram.min(), absl::ZeroDuration());
  EXPECT_EQ(histogram.max(), absl::ZeroDuration());
  EXPECT_EQ(histogram.sum(), absl::ZeroDuration());
  EXPECT_EQ(histogram.mean(), absl::ZeroDuration());
  for (double percent : {0.0, 50.0, 100.0}) {
    EXPECT_EQ(histogram.Percentile(percent), absl::ZeroDuration());
  }
}

TEST(HistogramTest, OneSampleIsEveryPercentileExactly) {
  Histogram histogram;
  histogram.Record(absl::Nanoseconds(123456789));
  for (double percent : {-1.0, 0.0, 0.001, 50.0, 99.999, 100.0, 200.0, std::nan("")}) {
    EXPECT_EQ(histogram.Percentile(percent), absl::Nanoseconds(123456789)) << percent;
  }
  EXPECT_EQ(histogram.mean(), absl::Nanoseconds(123456789));
}

TEST(HistogramTest, EachMagnitudeIsWithinOnePercent) {
  // Around each power of two, where buckets change their width.
  for (int bit = 0; bit < 42; ++bit) {
    for (int64_t offset : {-1, 0, 1}) {
      const absl::Duration value = absl::Nanoseconds((int64_t{1} << bit) + offset);
      Histogram histogram;
      histogram.Record(absl::ZeroDuration());
      histogram.Record(value);
      histogram.Record(absl::Hours(1000));  // so that neither end clamps it
      EXPECT_LE(absl::AbsDuration(histogram.Percentile(50) - value), value * 0.01) << value;
    }
  }
}

TEST(HistogramTest, NoValueFallsBetweenBuckets) {
  // Densely from 1 ns to 100 us: the told value grows with the true one, and stays near.
  Histogram ends;
  ends.Record(absl::ZeroDuration());
  ends.Record(absl::Hours(1));
  absl::Duration last;
  for (int64_t nanos = 1; nanos < 100000; ++nanos) {
    Histogram histogram = ends;
    const absl::Duration value = absl::Nanoseconds(nanos);
    histogram.Record(value);
    const absl::Duration told = histogram.Percentile(50);
    ASSERT_LE(absl::AbsDuration(told - value), value * 0.01) << value;
    ASSERT_GE(told, last) << value;
    last = told;
    nanos += nanos / 500;
  }
}

TEST(HistogramTest, RandomSamplesAgreeWithTheSortedOnes) {
  std::mt19937_64 random(4711);
  std::lognormal_distribution<double> skewed(11, 2);
  std::uniform_int_distribution<int64_t> uniform(0, 1000000);
  std::bernoulli_distribution slow(0.001);
  for (int round = 0; round < 20; ++round) {
    Histogram histogram;
    std::vector<absl::Duration> samples;
    for (int i = 0; i < 5000; ++i) {
      const double nanos = round % 2 == 0 ? skewed(random) : uniform(random);
      samples.push_back(absl::Nanoseconds(static_cast<int64_t>(nanos)) +
                        (slow(random) ? absl::Seconds(1) : absl::ZeroDuration()));
      histogram.Record(samples.back());
    }
    ExpectClose(histogram, samples);
  }
}

TEST(HistogramTest, MergingIsRecordingTogether) {
  std::mt19937_64 random(42);
  std::uniform_int_distribution<int64_t> low(100, 200000);
  std::uniform_int_distribution<int64_t> high(1000000, 9000000);
  Histogram a, b, together;
  for (int i = 0; i < 3000; ++i) {
    const absl::Duration x = absl::Nanoseconds(low(random));
    const absl::Duration y = absl::Nanoseconds(high(random));
    a.Record(x);
    b.Record(y);
    together.Record(x);
    together.Record(y);
  }
  Histogram merged;
  merged.Merge(Histogram());  // nothing into nothing
  merged.Merge(a);
  merged.Merge(b);
  merged.Merge(Histogram());
  EXPECT_EQ(merged.count(), together.count());
  EXPECT_EQ(merged.min(), together.min());
  EXPECT_EQ(merged.max(), together.max());
  EXPECT_EQ(merged.sum(), together.sum());
  for (double percent = 0; percent <= 100; percent += 0.5) {
    EXPECT_EQ(merged.Percentile(percent), together.Percentile(percent)) << percent;
  }
}

TEST(HistogramTest, SumAndMeanAreExact) {
  Histogram histogram;
  histogram.Record(absl::Microseconds(1));
  histogram.Record(absl::Microseconds(2));
  histogram.RecordMany(absl::Microseconds(3), 2);
  histogram.RecordMany(absl::Hours(1), 0);
  EXPECT_EQ(histogram.count(), 4u);
  EXPECT_EQ(histogram.sum(), absl::Microseconds(9));
  EXPECT_EQ(histogram.mean(), absl::Nanoseconds(2250));
  EXPECT_EQ(histogram.max(), absl::Microseconds(3));
}

TEST(HistogramTest, ANegativeDurationCountsAsZero) {
  Histogram histogram;
  histogram.Record(absl::Milliseconds(-5));
  histogram.Record(-absl::InfiniteDuration());
  EXPECT_EQ(histogram.count(), 2u);
  EXPECT_EQ(histogram.min(), absl::ZeroDuration());
  EXPECT_EQ(histogram.max(), absl::ZeroDuration());
  EXPECT_EQ(histogram.Percentile(50), absl::ZeroDuration());
}

TEST(HistogramTest, BeyondTheLastBucketOnlyTheMaximumIsKnown) {
  Histogram histogram;
  histogram.Record(absl::Milliseconds(1));
  histogram.Record(absl::Hours(2));
  histogram.Record(absl::Hours(3));
  EXPECT_EQ(histogram.Percentile(60), absl::Hours(3));
  histogram.Record(absl::InfiniteDuration());
  EXPECT_EQ(histogram.count(), 4u);
  EXPECT_EQ(histogram.max(), absl::InfiniteDuration());
  EXPECT_LE(absl::AbsDuration(histogram.Percentile(25) - absl::Milliseconds(1)),
            absl::Microseconds(10));
}

TEST(HistogramTest, AClearedOneIsEmpty) {
  Histogram histogram;
  histogram.Record(absl::Seconds(1));
  histogram.Clear();
  EXPECT_EQ(histogram.count(), 0u);
  histogram.Record(absl::Seconds(2));
  EXPECT_EQ(histogram.min(), absl::Seconds(2));
  EXPECT_EQ(histogram.Percentile(50), absl::Seconds(2));
}

}  // namespace
}  // namespace zdd
