// DrainMachine decides for one drain what state it is in and how far each of its waves has come. A
// pure value: no fd, clock, thread or ticket.
//
//   DrainMachine machine;
//   machine.Begin(Fitted(plan).plan, now);
//   machine.Tick(now, tickets_in_flight);
//   for (each ticket) if (Due(machine.reach(), ...) > what it was asked) ask it;
//   machine.PassDone(pass_began, now);           // every ticket has been looked at with that reach
//   ... and again at machine.next()
//
// Time that jumps (the process was stopped, the machine slept): a wave advances at most a 16th of
// its way per tick, and a deadline that is found passed after a jump counts from the next tick on,
// when the loop has read what lay there.
//
// Threads: one at a time. Lifetime: a value.
#ifndef ZDD_DRAIN_DRAIN_MACHINE_H_
#define ZDD_DRAIN_DRAIN_MACHINE_H_

#include <cstdint>
#include <deque>

#include "absl/strings/string_view.h"
#include "zdd/base/time.h"
#include "zdd/drain/plan.h"
#include "zdd/drain/reach.h"

namespace zdd {

enum class DrainState {
  kServing,  // no drain
  kDelay,    // lame duck: asks nothing, work still comes in
  kAsking,   // goodbyes go out, idle ones are closed `grace` later
  kWaiting,  // every idle one has been asked; busy ones as they become idle
  kCutting,  // the deadline has come near: everything is asked to close now
  kDrained,  // nobody is left, or those who are will be named. Final
};

absl::string_view DrainStateName(DrainState state);  // "waiting"

class DrainMachine {
 public:
  // REQUIRES: plan fits (see Fitted). Nothing happens unless the state is kServing.
  void Begin(const DrainPlan& plan, Instant now);

  // `live`: tickets in flight now.
  void Tick(Instant now, int64_t live);

  // Every ticket that was in flight at `began` has been asked what reach() says, which has not
  // changed in between but for growing.
  void PassDone(Instant began, Instant now);

  // No delay, spread or grace any more.
  void Stop();

  // The cut begins now.
  void Cut(Instant now);

  DrainState state() const { return state_; }
  const Reach& reach() const { return reach_; }

  // When Tick wants to be called again, at the latest.
  Instant next() const { return next_; }

  // When the last idle ticket will have been closed, and when it ends in any case, as things stand.
  Instant idle_end() const;
  Instant end() const;
  Instant began() const { return began_; }
  const DrainPlan& plan() const { return plan_; }

 private:
  // A full look at all tickets: what the goodbye wave had reached by then.
  struct Pass {
    uint64_t goodbye;
    Instant began;
    absl::Duration awake;  // when it was done, on the waves' own clock
  };

  void Advance(Instant now, int64_t live);
  void AdvanceWaves(Instant now);
  void AdvanceCut(Instant now);
  Instant CutBegins() const;
  Instant NextTick(Instant now) const;

  DrainPlan plan_;
  DrainState state_ = DrainState::kServing;
  Reach reach_;
  Instant began_;
  Instant last_;                           // the tick before
  Instant next_ = absl::InfiniteDuration();
  absl::Duration awake_;                   // the waves' clock: jumps do not count
  std::deque<Pass> passes_;                // those of the last `grace`, oldest first
  Instant cut_at_ = absl::InfiniteDuration();      // set by Cut()
  Instant cut_done_ = absl::InfiniteDuration();    // every ticket has been told to close now
};

}  // namespace zdd

#endif  // ZDD_DRAIN_DRAIN_MACHINE_H_
