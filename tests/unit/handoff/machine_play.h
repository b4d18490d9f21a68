// How tests bring a HandoffMachine into a phase, and say what it answers.
#ifndef ZDD_TESTS_UNIT_HANDOFF_MACHINE_PLAY_H_
#define ZDD_TESTS_UNIT_HANDOFF_MACHINE_PLAY_H_

#include <ostream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "zdd/handoff/handoff_machine.h"

namespace zdd {

inline std::ostream& operator<<(std::ostream& out, Phase phase) { return out << PhaseName(phase); }
inline std::ostream& operator<<(std::ostream& out, Event event) { return out << EventName(event); }
inline std::ostream& operator<<(std::ostream& out, Accepts accepts) {
  return out << (accepts == Accepts::kAll         ? "all"
                 : accepts == Accepts::kUnclaimed ? "unclaimed"
                                                  : "none");
}

// A machine that has heard `events`, in the order of a handoff without trouble.
inline HandoffMachine After(Phase start, const std::vector<Event>& events) {
  HandoffMachine machine(start);
  for (Event event : events) machine.OnEvent(event);
  return machine;
}

// A machine in `phase`, by the shortest way.
inline HandoffMachine In(Phase phase) {
  const std::vector<Event> upgrade = {
      Event::kUpgrade,  Event::kHelloFrame,   Event::kPreparedFrame, Event::kAcceptingFrame,
      Event::kSoakOver, Event::kServingFrame, Event::kTokenGone,     Event::kAllGone};
  const std::vector<Event> recall = {Event::kUpgrade, Event::kHelloFrame, Event::kPreparedFrame,
                                     Event::kRollBack};
  const std::vector<Event> join = {Event::kOfferFrame, Event::kReady, Event::kAcceptFrame,
                                   Event::kReleaseFrame};
  const auto first = [](std::vector<Event> events, int count) {
    events.resize(count);
    return events;
  };
  const auto then = [](std::vector<Event> events, Event event) {
    events.push_back(event);
    return events;
  };
  switch (phase) {
    case Phase::kStarting:
    case Phase::kJoining:
    case Phase::kServing:
      return HandoffMachine(phase);
    case Phase::kAdopting:
      return After(Phase::kJoining, first(join, 1));
    case Phase::kPrepared:
      return After(Phase::kJoining, first(join, 2));
    case Phase::kAccepting:
      return After(Phase::kJoining, first(join, 3));
    case Phase::kTaking:
      return After(Phase::kJoining, join);
    case Phase::kLeaving:
      return After(Phase::kJoining, then(join, Event::kAbortFrame));
    case Phase::kFailed:
      return After(Phase::kJoining, {Event::kRefusedFrame});
    case Phase::kSpawning:
      return After(Phase::kServing, first(upgrade, 1));
    case Phase::kOffering:
      return After(Phase::kServing, first(upgrade, 2));
    case Phase::kSharing:
      return After(Phase::kServing, first(upgrade, 3));
    case Phase::kStandby:
      return After(Phase::kServing, first(upgrade, 4));
    case Phase::kReleasing:
      return After(Phase::kServing, first(upgrade, 5));
    case Phase::kConfirming:
      return After(Phase::kServing, first(upgrade, 6));
    case Phase::kDraining:
      return After(Phase::kServing, first(upgrade, 7));
    case Phase::kDrained:
      return After(Phase::kServing, upgrade);
    case Phase::kRecalling:
      return After(Phase::kServing, recall);
    case Phase::kAborting:
      return After(Phase::kServing, then(recall, Event::kTokenTaken));
    case Phase::kYielding:
      return After(Phase::kServing, then(recall, Event::kTokenGone));
    case Phase::kStopping:
      return After(Phase::kServing, {Event::kStop});
  }
  return HandoffMachine(phase);
}

// "take_token -> recalling": what the machine does, and where it is then.
inline std::string Tell(HandoffMachine& machine, Event event) {
  const std::vector<Effect> effects = machine.OnEvent(event);
  const std::string done = absl::StrJoin(
      effects, " ", [](std::string* out, Effect one) { absl::StrAppend(out, EffectName(one)); });
  return absl::StrCat(done, done.empty() ? "" : " ", "-> ", PhaseName(machine.phase()));
}

inline std::string TellOne(Phase phase, Event event) {
  HandoffMachine machine = In(phase);
  return Tell(machine, event);
}

}  // namespace zdd

#endif  // ZDD_TESTS_UNIT_HANDOFF_MACHINE_PLAY_H_
