#include "zdd/base/histogram.h"

#include <algorithm>
#include <cmath>
#include <cstddef>

#include "absl/numeric/bits.h"

namespace zdd {
namespace {

constexpr int kSubBits = 6;                         // 64 buckets within each power of two
constexpr uint64_t kSub = uint64_t{1} << kSubBits;  //
constexpr int kMaxBits = 42;                        // 2^42 ns are 73 minutes
constexpr uint64_t kNanosMax = (uint64_t{1} << kMaxBits) - 1;
constexpr size_t kBuckets = (kMaxBits - kSubBits + 1) * kSub;

// Values below 64 have a bucket each. Above, the highest bit chooses a group and the next six bits
// the bucket in it.
size_t BucketOf(uint64_t nanos) {
  if (nanos < kSub) return nanos;
  const int shift = absl::bit_width(nanos) - 1 - kSubBits;
  return (shift + 1) * kSub + (nanos >> shift) - kSub;
}

// The middle of a bucket.
uint64_t NanosOf(size_t bucket) {
  if (bucket < kSub) return bucket;
  const int shift = static_cast<int>(bucket / kSub) - 1;
  const uint64_t lowest = (kSub + bucket % kSub) << shift;
  return lowest + ((uint64_t{1} << shift) >> 1);
}

}  // namespace

void Histogram::RecordMany(absl::Duration duration, uint64_t count) {
  if (count == 0) return;
  duration = std::max(duration, absl::ZeroDuration());
  if (buckets_.empty()) buckets_.resize(kBuckets);
  // An infinite duration becomes the largest number.
  const uint64_t nanos = absl::ToInt64Nanoseconds(duration);
  buckets_[BucketOf(std::min(nanos, kNanosMax))] += count;
  count_ += count;
  min_ = std::min(min_, duration);
  max_ = std::max(max_, duration);
  sum_ += duration * count;
}

absl::Duration Histogram::Percentile(double percent) const {
  if (count_ == 0) return absl::ZeroDuration();
  if (!(percent > 0)) return min_;
  if (percent >= 100) return max_;
  const uint64_t rank = std::ceil(percent / 100 * static_cast<double>(count_));
  uint64_t seen = 0;
  for (size_t bucket = 0; bucket < buckets_.size(); ++bucket) {
    seen += buckets_[bucket];
    // The last bucket has no end, so its middle says nothing.
    if (seen >= rank && bucket + 1 < kBuckets) {
      return std::clamp(absl::Nanoseconds(NanosOf(bucket)), min_, max_);
    }
  }
  return max_;
}

absl::Duration Histogram::mean() const {
  return count_ == 0 ? absl::ZeroDuration() : sum_ / static_cast<double>(count_);
}

void Histogram::Merge(const Histogram& other) {
  if (other.count_ == 0) return;
  if (buckets_.empty()) buckets_.resize(kBuckets);
  for (size_t bucket = 0; bucket < kBuckets; ++bucket) buckets_[bucket] += other.buckets_[bucket];
  count_ += other.count_;
  min_ = std::min(min_, other.min_);
  max_ = std::max(max_, other.max_);
  sum_ += other.sum_;
}

}  // namespace zdd
