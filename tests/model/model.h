// Model is the transition relation: which steps a world allows, and what each leads to. The real
// HandoffMachine decides; simulated are the kernel (queues, deaths, the token), the embedder, time,
// and a shell that keeps the rules of handoff_machine.h.
//
//   zdd::model::Model model({.generations = 2});
//   World world = model.Start();
//   for (Step step : model.Steps(world)) Look(model.Apply(world, step));
//
// What is not in it: a frame that is sent is in the peer's queue (Unix sockets have no wire; that
// the peer reads it late is an interleaving here). Time has no measure: each deadline may pass in
// each state that has one, silence only while the peer is stopped, dead or late with its ping.
//
// Threads: one.
#ifndef ZDD_TESTS_MODEL_MODEL_H_
#define ZDD_TESTS_MODEL_MODEL_H_

#include <string>
#include <vector>

#include "tests/model/machines.h"
#include "tests/model/world.h"

namespace zdd::model {

// A rule taken away, to see that the model finds what happens then.
enum class Mutant {
  kNone,
  kNoToken,               // both always get it
  kDeadKeepToken,         // a death counts only while the token is there
  kEventsBeforeInput,     // deadlines and deaths are told while frames wait to be read
  kPreparedMayNotHelp,    // a successor that does not accept yet hears nothing of silence
  kEffectsBeforeAccepts,  // accept sets change when the effects are done
};

struct Options {
  int generations = 2;
  bool by_hand = false;         // the first successor is nobody's child
  bool eof_is_death = false;    // no pidfd is to be had
  bool gaps = false;            // between seeing that an event is true and telling it, others act
  bool lateness_costs = false;  // a deadline that passes is a fault too
  bool peaceful = false;        // nothing goes wrong; all that is free is to ask for upgrades
  bool liar_above = false;      // the first generation is a liar
  bool liar_below = false;      // its successor is
  bool prepared = false;        // begin when everything is offered and S is prepared
  Mutant mutant = Mutant::kNone;
};

class Model {
 public:
  explicit Model(const Options& options) : options_(options) {}

  World Start();
  std::vector<Step> Steps(const World& world);
  World Apply(const World& world, Step step);

  // "S reads abort: accepting -> leaving".
  std::string Describe(const World& before, Step step, const World& after);

  const Options& options() const { return options_; }
  Machines& machines() { return machines_; }

  Phase PhaseOf(const World& world, int who) const {
    return machines_.PhaseOf(world.process[who].machine);
  }
  // Alive, and obeying a machine.
  static bool Honest(const World& world, int who) {
    return world.process[who].alive() && !world.process[who].liar;
  }
  Accepts AcceptsOf(const World& world, int who) const;
  bool Owner(const World& world, int who) const;
  // Could serve: a predecessor until `serving` waits for it, a successor from `Prepared` until
  // `abort`.
  bool Fit(const World& world, int who) const;
  // Whether some world so far was told this in this phase.
  bool Told(Phase phase, Event event) const {
    return told_[static_cast<int>(phase)][static_cast<int>(event)];
  }
  // Nothing is left to be read, carried out or noticed.
  bool Settled(const World& world, int who);
  bool InputEmpty(const World& world, int who) const;
  // Whether the death of its peer is still to be noticed.
  bool DeathUntold(const World& world, int who);
  // Whether a help that is due has not begun: the timer of 300 ms runs.
  bool HelpDue(const World& world, int who);

 private:
  Step NextOfSmoothStart(const World& world);
  int last() const { return options_.generations - 1; }

  void StepsOfRunning(const World& world, int who, std::vector<Step>* steps);
  void StepsOfLiar(const World& world, int who, std::vector<Step>* steps);
  void Reads(const World& world, int who, std::vector<Step>* steps);
  void Faults(const World& world, int who, std::vector<Step>* steps);
  void Events(const World& world, int who, std::vector<Step>* steps);
  void PeerEvents(const World& world, int who, std::vector<Step>* steps);
  void EmbedderEvents(const World& world, int who, std::vector<Step>* steps);
  void Offer(const World& world, int who, Event event, int cost, std::vector<Step>* steps);
  bool MayStartByHand(const World& world) const;
  bool WatchesAbove(const World& world, int who) const;
  bool WatchesBelow(const World& world, int who) const;
  bool Silent(const World& world, int who) const;
  bool Late(const World& world, int who) const;

  void Do(World* world, Step step);
  void Inflict(World* world, Step step);
  void Tell(World* world, int who, Event event);
  void Read(World* world, int who, bool from_above);
  void ReadFromElder(World* world, int who, Event frame);
  void CarryOut(World* world, int who);
  void Send(World* world, int who, Effect effect);
  void TakeToken(World* world, int who);
  void Bear(World* world, int who, bool child);
  void Die(World* world, int who);
  void SendDown(World* world, int who, Event frame);
  void SendUp(World* world, int who, Event frame);
  void Report(World* world, int who);
  void KillPeer(World* world, int who);
  void Unlink(World* world, int who);
  void CloseListeners(World* world, int who);
  static void Break(World* world, Breach breach);

  Options options_;
  Machines machines_;
  bool told_[kPhaseCount][kEventCount] = {};
};

}  // namespace zdd::model

#endif  // ZDD_TESTS_MODEL_MODEL_H_
