// Monotonic time: an Instant is the time since an arbitrary origin that all processes of one boot
// share (CLOCK_MONOTONIC), so that instants of two generations compare. Machines take it as an
// argument, only shells ask the clock.
//
// Threads: any.
#ifndef ZDD_BASE_TIME_H_
#define ZDD_BASE_TIME_H_

#include "absl/time/time.h"

namespace zdd {

using Instant = absl::Duration;

Instant MonotonicNow();

}  // namespace zdd

#endif  // ZDD_BASE_TIME_H_
