#include "zdd/base/time.h"

#include <ctime>

namespace zdd {

Instant MonotonicNow() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return absl::DurationFromTimespec(now);
}

}  // namespace zdd
