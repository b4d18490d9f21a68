// EndRate says how many tickets ended per second over the last seconds.
//
//   if (rate.Wants(now)) rate.Add(now, ended_so_far);        // as often as one likes
//   double per_second = rate.PerSecond(now, ended_so_far);
//
// Threads: one at a time. Lifetime: a value.
#ifndef ZDD_DRAIN_END_RATE_H_
#define ZDD_DRAIN_END_RATE_H_

#include <cstdint>
#include <deque>

#include "absl/time/time.h"
#include "zdd/base/time.h"

namespace zdd {

class EndRate {
 public:
  static constexpr absl::Duration kWindow = absl::Seconds(5);
  // Samples nearer to each other are dropped.
  static constexpr absl::Duration kSamplePeriod = absl::Milliseconds(250);

  bool Wants(Instant now) const {
    return samples_.empty() || now >= samples_.back().at + kSamplePeriod;
  }

  void Add(Instant now, int64_t ended) {
    if (!Wants(now)) return;
    samples_.push_back({now, ended});
    while (samples_.size() > 1 && samples_[1].at <= now - kWindow) samples_.pop_front();
  }

  // 0 while there is nothing to compare with.
  double PerSecond(Instant now, int64_t ended) const {
    if (samples_.empty()) return 0;
    Sample from = samples_.front();
    for (const Sample& sample : samples_) {
      if (sample.at <= now - kWindow) from = sample;
    }
    if (now <= from.at) return 0;
    return static_cast<double>(ended - from.ended) / absl::ToDoubleSeconds(now - from.at);
  }

 private:
  struct Sample {
    Instant at;
    int64_t ended = 0;
  };
  std::deque<Sample> samples_;  // in a window, and the one before
};

}  // namespace zdd

#endif  // ZDD_DRAIN_END_RATE_H_
