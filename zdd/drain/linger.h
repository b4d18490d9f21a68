// The two steps that both ways to close gently share.
//
// Threads: any. Lifetime: fds are borrowed for the call.
#ifndef ZDD_DRAIN_LINGER_H_
#define ZDD_DRAIN_LINGER_H_

#include <cstdint>

#include "absl/types/optional.h"
#include "zdd/drain/linger_result.h"

namespace zdd {

// Ends our direction. False if there is nothing to linger for: no socket, or not connected any
// more.
bool EndOurDirection(int fd);

// Reads and discards what is there, 64 KiB at the most, never blocks, and counts it. The result
// once there is one; none: more may come.
absl::optional<LingerResult::End> Discard(int fd, int64_t bytes_max, int64_t* discarded);

}  // namespace zdd

#endif  // ZDD_DRAIN_LINGER_H_
