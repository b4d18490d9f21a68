// HandoffClock turns time into the machine's events: the deadline of a phase, the end of standby,
// and a peer's silence. A pure value.
//
//   clock.Enter(Phase::kStandby, now);
//   clock.Heard(peer.last_heard());
//   for (Event event : clock.Tick(now)) Handle(event);      // after everything readable was read
//   timer.Start(clock.next() - now);
//
// A process that slept (stopped, or starved) finds all its deadlines passed, though it never had
// the time that they grant. So a Tick that comes late moves everything by as much as it is late,
// and says nothing; but not twice in a row: who is late each time is slow, and did not sleep.
//
// Threads: one at a time. Lifetime: a value.
#ifndef ZDD_HANDOFF_HANDOFF_CLOCK_H_
#define ZDD_HANDOFF_HANDOFF_CLOCK_H_

#include <vector>

#include "zdd/base/time.h"
#include "zdd/handoff/handoff_table.h"

namespace zdd {

// Each side speaks at least this often from `prepared` on.
inline constexpr absl::Duration kPingPeriod = absl::Milliseconds(100);
// A peer silent for so long is helped.
inline constexpr absl::Duration kHelpAfter = absl::Milliseconds(300);
// A step that needs no work of the embedder's.
inline constexpr absl::Duration kSwitchLimit = absl::Seconds(5);

struct HandoffLimits {
  absl::Duration join = absl::Seconds(5);
  absl::Duration hello = absl::Seconds(5);
  absl::Duration ready = absl::Seconds(60);
  absl::Duration peer_drain = absl::Seconds(31);
  absl::Duration silence = absl::Seconds(5);
  absl::Duration standby = absl::Seconds(2);
};

class HandoffClock {
 public:
  explicit HandoffClock(const HandoffLimits& limits) : limits_(limits) {}

  void SetLimits(const HandoffLimits& limits) { limits_ = limits; }
  void Enter(Phase phase, Instant now);
  void Heard(Instant when);
  std::vector<Event> Tick(Instant now);

  // When to Tick next; InfiniteDuration() if there is nothing to wait for.
  Instant next() const;
  // Whether both sides ping in this phase, since silence counts.
  static bool Pings(Phase phase);

 private:
  absl::Duration Of(Limit limit) const;
  void Postpone(Instant now, absl::Duration late);
  void TellSilence(Instant now, std::vector<Event>* events);
  static bool Passed(Instant* when, Instant now);

  HandoffLimits limits_;
  Phase phase_ = Phase::kServing;
  Instant deadline_ = absl::InfiniteDuration();
  Instant soak_over_ = absl::InfiniteDuration();
  Instant heard_;
  Instant next_ping_ = absl::InfiniteDuration();
  bool silent_ = false;
  bool overruled_ = false;
  bool excused_ = false;  // the last Tick came late
};

}  // namespace zdd

#endif  // ZDD_HANDOFF_HANDOFF_CLOCK_H_
