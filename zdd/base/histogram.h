// Histogram counts durations in buckets that grow with them, so that any percentile of any number
// of samples is known to within 1 % from 19 KB of memory.
//
//   zdd::Histogram latency;
//   latency.Record(absl::Microseconds(730));
//   absl::Duration p99 = latency.Percentile(99);
//   total.Merge(latency);                         // of another thread, process or second
//
// Buckets are linear within each power of two of nanoseconds (64 of them), as in HdrHistogram: a
// value is told as the middle of its bucket, at most 1/128 off. Up to 63 ns they are exact; from
// 73 minutes on all share the last one. Counts, sum, minimum and maximum are exact.
//
// Threads: one at a time; give each its own and merge. Lifetime: a value; the memory is taken when
// the first sample comes, and never grows.
#ifndef ZDD_BASE_HISTOGRAM_H_
#define ZDD_BASE_HISTOGRAM_H_

#include <cstdint>
#include <vector>

#include "absl/time/time.h"

namespace zdd {

class Histogram {
 public:
  // A negative duration counts as zero: clocks of two processes may differ.
  void Record(absl::Duration duration) { RecordMany(duration, 1); }
  void RecordMany(absl::Duration duration, uint64_t count);

  // The smallest recorded duration that at least `percent` of all samples do not exceed. 0 is the
  // minimum, 100 the maximum; what is beyond either counts as it. Zero if nothing was recorded.
  absl::Duration Percentile(double percent) const;

  uint64_t count() const { return count_; }
  absl::Duration min() const { return count_ == 0 ? absl::ZeroDuration() : min_; }
  absl::Duration max() const { return max_; }
  absl::Duration sum() const { return sum_; }
  absl::Duration mean() const;

  // Adds the samples of `other`.
  void Merge(const Histogram& other);
  void Clear() { *this = Histogram(); }

 private:
  std::vector<uint64_t> buckets_;  // empty until the first sample
  uint64_t count_ = 0;
  absl::Duration min_ = absl::InfiniteDuration();
  absl::Duration max_;
  absl::Duration sum_;
};

}  // namespace zdd

#endif  // ZDD_BASE_HISTOGRAM_H_
