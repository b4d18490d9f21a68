#include "tests/load/pacer.h"

#include <algorithm>

namespace zdd {
namespace {

// Requests that take so long are begun evenly over that time.
absl::Duration Cycle(const LoadGroup& group) {
  switch (group.kind) {
    case LoadKind::kSlow:
    case LoadKind::kUpload:
    case LoadKind::kStream:
    case LoadKind::kTunnel:
      return group.length + group.think;
    case LoadKind::kLate:
      return group.delay + group.think;
    case LoadKind::kNew:
    case LoadKind::kKeepAlive:
    case LoadKind::kIdle:
    case LoadKind::kPipelined:
    case LoadKind::kSlowReader:
      return group.think;
  }
  return absl::ZeroDuration();
}

absl::Duration Interval(const LoadGroup& group) {
  return group.rate > 0 ? absl::Seconds(group.connections / group.rate) : absl::ZeroDuration();
}

}  // namespace

Pacer::Pacer(const LoadGroup& group, int number, uint64_t seed)
    : idle_(group.kind == LoadKind::kIdle),
      interval_(Interval(group)),
      think_(group.think),
      random_(static_cast<uint32_t>(seed)) {
  const absl::Duration cycle = group.rate > 0 ? interval_ : Cycle(group);
  offset_ = cycle * number / group.connections;
}

Instant Pacer::First(Instant start) { return start + offset_; }

Instant Pacer::Next(Instant due, Instant now) {
  if (idle_) return absl::InfiniteDuration();
  if (interval_ > absl::ZeroDuration()) return due + interval_;
  if (think_ == absl::ZeroDuration()) return now;
  return now + think_ * std::exponential_distribution<double>()(random_);
}

}  // namespace zdd
