// AnswerClock says when a batch has waited too long for its acknowledgement. A pure value.
//
//   clock.Sent(now);
//   if (clock.Overdue(now)) Revoke();       // having read all that can be read
//   else timer.Start(clock.next() - now);
//
// A process that was frozen itself, or hibernated with the other one, wakes up late and finds every
// batch too old, though the other had no time to answer: the first look that comes late counts
// anew.
//
// Threads: one at a time. Lifetime: a value.
#ifndef ZDD_MIGRATION_ANSWER_CLOCK_H_
#define ZDD_MIGRATION_ANSWER_CLOCK_H_

#include <deque>

#include "absl/time/time.h"
#include "zdd/base/time.h"

namespace zdd {

class AnswerClock {
 public:
  // So long its clients wait at the most for a receiver that is frozen.
  static constexpr absl::Duration kAnswerTime = absl::Milliseconds(300);
  // A look at next() or a little later is none of a process that just woke up.
  static constexpr absl::Duration kLateMax = absl::Milliseconds(50);

  void Sent(Instant now) { sent_at_.push_back(now); }
  // The oldest one.
  void Acknowledged();
  // All of them are gone.
  void Clear() { sent_at_.clear(); }

  bool Overdue(Instant now);
  // InfiniteDuration() if nothing waits.
  Instant next() const;

 private:
  std::deque<Instant> sent_at_;
  Instant not_before_ = -absl::InfiniteDuration();
  bool counted_anew_ = false;  // for the oldest one
};

}  // namespace zdd

#endif  // ZDD_MIGRATION_ANSWER_CLOCK_H_
