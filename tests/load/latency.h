// Latency is a histogram of durations, exact to 1.6 %: 64 steps per doubling, from 1 ns to 2.4 hours.
//
//   latency.Record(now - begin);
//   printf("p99 %s\n", FormatDuration(latency.Percentile(99)));
//
// Threads: one at a time. Lifetime: a value of 20 kB.
#ifndef TESTS_LOAD_LATENCY_H_
#define TESTS_LOAD_LATENCY_H_

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstdint>

#include "absl/time/time.h"

namespace zdd {

class Latency {
 public:
  void Record(absl::Duration duration) {
    const int64_t value = std::clamp<int64_t>(absl::ToInt64Nanoseconds(duration), 0, kValueMax);
    ++counts_[Index(value)];
    ++count_;
    max_ = std::max(max_, value);
  }

  void Merge(const Latency& other) {
    for (size_t i = 0; i < counts_.size(); ++i) counts_[i] += other.counts_[i];
    count_ += other.count_;
    max_ = std::max(max_, other.max_);
  }

  int64_t count() const { return count_; }
  absl::Duration max() const { return absl::Nanoseconds(max_); }

  // The least recorded duration that `percent` of all do not exceed, rounded up to its step. Zero if there is none.
  absl::Duration Percentile(double percent) const {
    int64_t wanted = std::max<int64_t>(1, std::ceil(percent / 100 * static_cast<double>(count_)));
    for (size_t i = 0; i < counts_.size(); ++i) {
      wanted -= counts_[i];
      if (wanted <= 0) return absl::Nanoseconds(std::min(Upper(i), max_));
    }
    return absl::Nanoseconds(max_);
  }

 private:
  static constexpr int kStepBits = 6;
  static constexpr int kDoublings = 43;
  static constexpr int64_t kValueMax = (int64_t{1} << kDoublings) - 1;

  // Values below 128 have a step each; above, the 7 highest bits choose it.
  static size_t Index(int64_t value) {
    const int shift = std::max(0, static_cast<int>(std::bit_width(static_cast<uint64_t>(value))) - kStepBits - 1);
    return (static_cast<size_t>(shift) << kStepBits) + static_cast<size_t>(value >> shift);
  }
  static int64_t Upper(size_t index) {
    const int shift = std::max(0, static_cast<int>(index >> kStepBits) - 1);
    const int64_t step = static_cast<int64_t>(index) - (int64_t{shift} << kStepBits);
    return ((step + 1) << shift) - 1;
  }

  std::array<int64_t, (kDoublings - kStepBits + 1) << kStepBits> counts_{};
  int64_t count_ = 0;
  int64_t max_ = 0;
};

}  // namespace zdd

#endif  // TESTS_LOAD_LATENCY_H_
