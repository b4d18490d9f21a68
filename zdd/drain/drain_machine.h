// DrainMachine decides for one drain what state it is in and how far each of its waves has come. A
// pure value: no fd, clock, thread or ticket.
//
//   DrainMachine machine;
//   machine.Begin(Fitted(plan).plan, now);
//   machine.Tick(now, tickets_in_flight);
//   const Reach reach = machine.BeginPass(now);
//   for (each ticket) ask it Due(reach, ...), if that is more than it was asked before;
//   machine.EndPass(now);
//   ... and again at machine.next(), Tick also whenever the last ticket may have gone
//
//   state    | Tick                                               | Stop           | Cut
//   kServing | -                                                  | -              | -
//   kDelay   | delay over: kAsking. Cut time: kCutting            | delay 0        | cut time: now
//   kAsking  | waves. Nobody left: kDrained. All idle ones asked: | spread,grace 0 | cut time: now
//            | kWaiting. Cut time: kCutting                       |                |
//   kWaiting | waves. Nobody left: kDrained. Cut time: kCutting   | grace 0        | cut time: now
//   kCutting | waves. Nobody left, or all cut and `linger` over:  | -              | cut time: now
//            | kDrained                                           |                |
//   kDrained | -                                                  | -              | -
//
// In kAsking the waves may be held back (Hold), while the tickets are being moved.
//
// Time that jumps (the process was stopped, the machine slept): a wave advances at most a 16th of
// its way per tick, and a cut time that is found passed after a jump counts from the next tick on,
// when the loop has read what lay there.
//
// Threads: one at a time. Lifetime: a value.
#ifndef ZDD_DRAIN_DRAIN_MACHINE_H_
#define ZDD_DRAIN_DRAIN_MACHINE_H_

#include <cstdint>
#include <deque>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
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
  // Of a second call the deadline counts, if it is the earlier one, and nothing else. Without
  // `goodbye` nothing is asked before the cut. REQUIRES: the plan fits (see Fitted); its classes
  // are not looked at.
  void Begin(const DrainPlan& plan, Instant now, bool goodbye = true);

  // The waves stand still, since the tickets are being moved: until Resume(), or until only `grace`
  // is left before the cut; the goodbyes are then spread over what time there is. Stop ends it too.
  void Hold() { held_ = true; }
  void Resume(Instant now);

  // `live`: tickets in flight now.
  void Tick(Instant now, int64_t live);

  // A pass asks every ticket what the returned reach says is due. EndPass: it has.
  const Reach& BeginPass(Instant now);
  void EndPass(Instant now);

  // No delay, spread or grace any more.
  void Stop();

  // The cut begins now.
  void Cut(Instant now);

  DrainState state() const { return state_; }

  // For tickets that enter now.
  const Reach& reach() const { return reach_; }

  // When the next Tick and pass are due.
  Instant next() const { return next_; }

  // When the last idle ticket will have been asked to close, and when the drain ends in any case,
  // as things stand.
  Instant idle_end() const;
  Instant end() const;
  Instant began() const { return began_; }

 private:
  struct Pass {
    Instant began;
    Reach reach;
    absl::Duration awake;  // the waves' clock at its end
  };

  void AdvanceWaves(Instant now);
  void AdvanceIdleWave();
  void AdvanceCut(Instant now);
  void Hurry();
  void Transition(Instant now, int64_t live);
  Instant CutTime() const;
  Instant HoldEnd() const { return CutTime() - plan_.grace; }
  Instant NextTick(Instant now) const;
  Instant NextIdleStep(Instant now) const;

  DrainPlan plan_;
  DrainState state_ = DrainState::kServing;
  Reach reach_;
  Instant began_;
  Instant last_;  // the last tick
  Instant next_ = absl::InfiniteDuration();
  bool goodbye_ = true;
  bool held_ = false;
  bool jumped_ = false;
  bool hurry_ = false;                            // Stop() or Cut() since then
  Instant asked_cut_ = absl::InfiniteDuration();  // by Cut()
  Instant cut_done_ = absl::InfiniteDuration();   // every ticket has been told to close now

  // The waves' clocks, from the beginning of kAsking and of the cut, leave out what lies beyond a
  // step.
  absl::Duration awake_;
  absl::Duration cut_awake_;
  Pass pass_;                // in progress
  std::deque<Pass> passes_;  // done in the last `grace`, and the one before
};

}  // namespace zdd

#endif  // ZDD_DRAIN_DRAIN_MACHINE_H_
