#include "zdd/drain/close_gently.h"

#include <poll.h>

#include <algorithm>
#include <limits>

#include "zdd/base/time.h"
#include "zdd/drain/linger.h"

namespace zdd {
namespace {

// False when `until` has passed.
bool WaitReadable(int fd, Instant until) {
  const absl::Duration left = absl::Ceil(until - MonotonicNow(), absl::Milliseconds(1));
  if (left <= absl::ZeroDuration()) return false;
  const int64_t ms =
      std::min<int64_t>(absl::ToInt64Milliseconds(left), std::numeric_limits<int>::max());
  pollfd poll_fd = {fd, POLLIN, 0};
  poll(&poll_fd, 1, static_cast<int>(ms));  // interrupted or not: the caller looks again
  return true;
}

LingerResult Linger(int fd, const LingerLimits& limits) {
  LingerResult result;
  result.end = LingerResult::End::kReset;
  if (!EndOurDirection(fd)) return result;
  const Instant until = MonotonicNow() + limits.time;
  do {
    absl::optional<LingerResult::End> end = Discard(fd, limits.bytes, &result.discarded);
    if (!end.has_value()) continue;
    result.end = *end;
    return result;
  } while (WaitReadable(fd, until));
  result.end = LingerResult::End::kTimeout;
  return result;
}

}  // namespace

LingerResult CloseGently(OwnedFd fd, Ticket ticket, LingerLimits limits) {
  ticket.SetBusy(true);  // else a drain could end our reading from outside
  const LingerResult result = Linger(fd.get(), limits);
  if (result.discarded > 0) ticket.CountLostRace();
  ticket.Reset();
  fd.Reset();
  return result;
}

}  // namespace zdd
