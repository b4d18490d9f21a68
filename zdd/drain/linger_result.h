// How long a connection lingers that is closed gently, and how that ended. Plain data.
//
// Threads: values.
#ifndef ZDD_DRAIN_LINGER_RESULT_H_
#define ZDD_DRAIN_LINGER_RESULT_H_

#include <cstdint>

#include "absl/time/time.h"

namespace zdd {

struct LingerLimits {
  absl::Duration time = absl::Seconds(2);
  int64_t bytes = int64_t{1} << 20;
};

struct LingerResult {
  enum class End {
    kClean,    // the client ended its direction too: it has everything
    kTimeout,  // limits.time passed
    kTooMuch,  // the client went on sending, limits.bytes and more
    kReset,    // the client reset the connection, or it was cut
  };
  End end = End::kClean;
  int64_t discarded = 0;  // bytes that lay unread or came later: requests that nobody answers
};

}  // namespace zdd

#endif  // ZDD_DRAIN_LINGER_RESULT_H_
