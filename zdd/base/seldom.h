// Seldom lets what repeats be told at once, and then once in a while, with the number of times.
//
//   if (absl::optional<int> untold = seldom.Tell(MonotonicNow())) log(*untold, " more since");
//
// Threads: any.
#ifndef ZDD_BASE_SELDOM_H_
#define ZDD_BASE_SELDOM_H_

#include "absl/base/thread_annotations.h"
#include "absl/time/time.h"
#include "absl/types/optional.h"
#include "zdd/base/mutex.h"
#include "zdd/base/time.h"

namespace zdd {

class Seldom {
 public:
  explicit Seldom(absl::Duration period) : period_(period) {}

  // It has happened: nothing if it is not to be told now, else how often it went untold before.
  absl::optional<int> Tell(Instant now) {
    MutexLock lock(&mutex_);
    if (now < next_) {
      ++untold_;
      return absl::nullopt;
    }
    next_ = now + period_;
    const int untold = untold_;
    untold_ = 0;
    return untold;
  }

 private:
  const absl::Duration period_;
  Mutex mutex_;
  Instant next_ ABSL_GUARDED_BY(mutex_) = -absl::InfiniteDuration();
  int untold_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace zdd

#endif  // ZDD_BASE_SELDOM_H_
