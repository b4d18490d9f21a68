// One virtual clock for the tests of a process: it stands still unless it is moved.
//
//   std::shared_ptr<TicketTable> table = TicketTable::Create(&VirtualTime::Now);
//   VirtualTime::Advance(absl::Seconds(3));
//
// Threads: any.
#ifndef TESTS_UNIT_DRAIN_VIRTUAL_TIME_H_
#define TESTS_UNIT_DRAIN_VIRTUAL_TIME_H_

#include <atomic>
#include <cstdint>

#include "absl/time/time.h"
#include "zdd/base/time.h"

namespace zdd {

class VirtualTime {
 public:
  // Each reading also takes `cost_per_reading()`, by default nothing.
  static Instant Now() { return absl::Nanoseconds(now_ns_.fetch_add(cost_ns_) + cost_ns_); }
  // To `now`, or as little after it as a clock of nanoseconds can say.
  static void Set(Instant now) {
    now_ns_ = absl::ToInt64Nanoseconds(absl::Ceil(now, absl::Nanoseconds(1)));
  }
  static void Advance(absl::Duration by) { now_ns_ += absl::ToInt64Nanoseconds(by); }
  static void SetCostPerReading(absl::Duration cost) { cost_ns_ = absl::ToInt64Nanoseconds(cost); }

 private:
  // Not 0: the clock of a machine that has been up for a while.
  static inline std::atomic<int64_t> now_ns_{int64_t{3600} * 1000 * 1000 * 1000};
  static inline std::atomic<int64_t> cost_ns_{0};
};

}  // namespace zdd

#endif  // TESTS_UNIT_DRAIN_VIRTUAL_TIME_H_
