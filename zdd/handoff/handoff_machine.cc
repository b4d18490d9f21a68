#include "zdd/handoff/handoff_machine.h"

namespace zdd {
namespace {

const Row* Find(Phase phase, Event event) {
  for (const Row& row : HandoffTable()) {
    if (row.from == phase && row.on == event) return &row;
  }
  return nullptr;
}

bool IsPredecessor(Phase phase) { return phase >= Phase::kSpawning && phase <= Phase::kYielding; }
bool IsSuccessor(Phase phase) { return phase >= Phase::kJoining && phase <= Phase::kTaking; }

}  // namespace

std::vector<Effect> HandoffMachine::OnEvent(Event event) {
  std::vector<Effect> effects;
  Apply(event, &effects);
  return effects;
}

void HandoffMachine::Apply(Event event, std::vector<Effect>* effects) {
  // S sends `Prepared` before it reads the token, and P reads all frames before it hears of a
  // deadline: without `Prepared` the one who emptied it had no right to.
  const bool claims = event == Event::kServingFrame || event == Event::kDeadline;
  if (phase_ == Phase::kYielding && !prepared_ && claims) event = Event::kTokenStolen;
  Note(event);
  const Row* row = Find(phase_, event);
  if (row == nullptr && IsFrame(event)) row = Find(phase_, Event::kGarbage);
  if (row == nullptr) return;
  for (Effect effect : row->effects) {
    if (effect != Effect::kNone) effects->push_back(effect);
  }
  if (row->to != phase_) Enter(row->to, effects);
}

void HandoffMachine::Note(Event event) {
  switch (event) {
    case Event::kPeerDead:
      peer_dead_ = true;
      break;
    case Event::kSilent:
      silent_ = true;
      break;
    case Event::kAnswered:
      silent_ = false;
      break;
    case Event::kStuck:
      stuck_ = true;
      break;
    case Event::kPreparedFrame:
      prepared_ = true;
      break;
    case Event::kStop:
      if (in_handoff()) stop_ = true;
      break;
    case Event::kUpgrade:
      if (IsPredecessor(phase_)) wish_ = true;
      break;
    case Event::kWishFrame:
      if (in_handoff()) wish_ = true;
      break;
    default:
      break;
  }
}

void HandoffMachine::Enter(Phase to, std::vector<Effect>* effects) {
  phase_ = to;
  if (to == Phase::kAccepting) accepted_ = true;
  if (to == Phase::kReleasing) wish_sent_ = wish_;
  if (to == Phase::kDraining && wish_ && !wish_sent_) effects->push_back(Effect::kSendWish);
  // Who has died does not die again: a phase that is entered with a dead peer hears of it at once.
  if (peer_dead_ && Find(to, Event::kPeerDead) != nullptr) {
    return Apply(Event::kPeerDead, effects);
  }
  if (to == Phase::kRecalling || to == Phase::kConfirming || to == Phase::kTaking)
    effects->push_back(Effect::kTakeToken);
  if (to != Phase::kServing) return;
  const HandoffMachine before = *this;
  *this = HandoffMachine(Phase::kServing);
  if (before.stop_) return Apply(Event::kStop, effects);
  if (before.wish_) return Apply(Event::kUpgrade, effects);
}

Accepts HandoffMachine::accepts() const {
  const bool help = silent_ || stuck_;
  switch (phase_) {
    case Phase::kServing:
    case Phase::kSpawning:
    case Phase::kOffering:
    case Phase::kSharing:
    case Phase::kRecalling:
    case Phase::kAborting:
    case Phase::kYielding:
    case Phase::kStopping:
    case Phase::kAccepting:
      return Accepts::kAll;
    case Phase::kStandby:
    case Phase::kReleasing:
    case Phase::kConfirming:
      return help ? Accepts::kAll : Accepts::kUnclaimed;
    case Phase::kPrepared:
      return help ? Accepts::kAll : Accepts::kNone;
    case Phase::kTaking:
      return help || accepted_ ? Accepts::kAll : Accepts::kNone;
    case Phase::kStarting:
    case Phase::kJoining:
    case Phase::kAdopting:
    case Phase::kDraining:
    case Phase::kLeaving:
    case Phase::kDrained:
    case Phase::kFailed:
      return Accepts::kNone;
  }
  return Accepts::kNone;
}

bool HandoffMachine::serves_exclusive() const {
  switch (phase_) {
    case Phase::kServing:
    case Phase::kSpawning:
    case Phase::kOffering:
    case Phase::kSharing:
    case Phase::kStandby:
    case Phase::kAborting:
    case Phase::kStopping:
      return true;
    default:
      return false;
  }
}

bool HandoffMachine::owner() const {
  return serves_exclusive() || phase_ == Phase::kReleasing || phase_ == Phase::kStarting;
}

bool HandoffMachine::in_handoff() const { return IsPredecessor(phase_) || IsSuccessor(phase_); }

}  // namespace zdd
