// HandoffMachine decides for one generation, from its start to its end: which phase it is in, what
// it accepts, and what is to be done. A pure value: no fd, clock, thread or loop. The shell tells
// it what happened and carries out the effects.
//
//   HandoffMachine machine(Phase::kServing);
//   for (Effect effect : machine.OnEvent(Event::kUpgrade)) Do(effect);       // kSpawn
//   // machine.phase() == Phase::kSpawning, machine.accepts() == Accepts::kAll
//
// The shell keeps four rules, without which the table is wrong:
//  1. Everything the peer has sent is read, and told, before any event that is not a frame. A death
//     is seen first, then the rest is read, then the death is told: nothing can follow it.
//  2. accepts() is put into force before the effects are carried out, so that accept sets overlap
//     at each switch.
//  3. kTakeToken is answered at once, before any other event, frames included.
//  4. kSendAccepting may wait until somebody accepts; it is dropped if the phase is no longer
//     kAccepting by then.
//
// Threads: one at a time. Lifetime: a value.
#ifndef ZDD_HANDOFF_HANDOFF_MACHINE_H_
#define ZDD_HANDOFF_HANDOFF_MACHINE_H_

#include <vector>

#include "zdd/handoff/handoff_table.h"

namespace zdd {

class HandoffMachine {
 public:
  // REQUIRES: start is kStarting, kJoining or, for what was handed over before, kServing.
  explicit HandoffMachine(Phase start) : phase_(start) {}

  std::vector<Effect> OnEvent(Event event);

  Phase phase() const { return phase_; }
  Accepts accepts() const;
  // Whether sockets that only one generation may read are this one's.
  bool serves_exclusive() const;
  // Whether this generation may begin, stop or hand over by itself.
  bool owner() const;
  // Whether an upgrade is remembered for the end of this handoff.
  bool wish() const { return wish_; }
  // A stop has begun, or will when this handoff has ended.
  bool stopping() const { return stop_ || phase_ == Phase::kStopping; }
  // A handoff is in progress, in either role.
  bool in_handoff() const;

  friend bool operator==(const HandoffMachine&, const HandoffMachine&) = default;

 private:
  void Apply(Event event, std::vector<Effect>* effects);
  void Note(Event event);
  void Enter(Phase to, std::vector<Effect>* effects);

  Phase phase_;
  bool peer_dead_ = false;
  bool silent_ = false;     // help: the peer says nothing
  bool stuck_ = false;      // help: the peer accepts nothing
  bool accepted_ = false;   // S has entered kAccepting
  bool prepared_ = false;   // P has read `Prepared`: from then on S may have a right to the token
  bool stop_ = false;       // stop when this handoff has ended
  bool wish_ = false;       // upgrade when this handoff has ended
  bool wish_sent_ = false;  // with `release`
};

}  // namespace zdd

#endif  // ZDD_HANDOFF_HANDOFF_MACHINE_H_
