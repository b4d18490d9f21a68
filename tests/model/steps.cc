// Which steps a world allows.
#include <algorithm>

#include "tests/model/model.h"

namespace zdd::model {
namespace {

constexpr Event kFrames[] = {Event::kHelloFrame,   Event::kOfferFrame,     Event::kPreparedFrame,
                             Event::kAcceptFrame,  Event::kAcceptingFrame, Event::kReleaseFrame,
                             Event::kServingFrame, Event::kAbortFrame,     Event::kFailFrame,
                             Event::kRefusedFrame, Event::kGarbage};

bool Within(Phase phase, Phase first, Phase last) { return phase >= first && phase <= last; }

uint8_t Byte(Event event) { return static_cast<uint8_t>(event); }

void Add(std::vector<Step>* steps, Step::Kind kind, int who, uint8_t what = 0, int cost = 0) {
  steps->push_back({kind, static_cast<uint8_t>(who), what, static_cast<uint8_t>(cost)});
}

}  // namespace

std::vector<Step> Model::Steps(const World& world) {
  std::vector<Step> steps;
  for (int who = 0; who < options_.generations; ++who) {
    const Process& process = world.process[who];
    if (process.alive()) Add(&steps, Step::kDie, who, 0, 1);
    if (process.life == Life::kStopped) Add(&steps, Step::kContinue, who);
    if (process.running()) {
      Add(&steps, Step::kStop, who, 0, 1);
      process.liar ? StepsOfLiar(world, who, &steps) : StepsOfRunning(world, who, &steps);
    }
  }
  if (options_.by_hand && !options_.liar_below && MayStartByHand(world))
    Add(&steps, Step::kStart, 1, 0, world.process[1].life == Life::kUnborn ? 0 : 1);
  if (options_.peaceful) {
    const auto disturbs = [](Step step) {
      return step.cost != 0 && step.what != Byte(Event::kUpgrade);
    };
    steps.erase(std::remove_if(steps.begin(), steps.end(), disturbs), steps.end());
  }
  return steps;
}

// The control socket takes one at a time.
bool Model::MayStartByHand(const World& world) const {
  const Process& predecessor = world.process[0];
  return !world.process[1].alive() && predecessor.alive() && predecessor.todo == 0 &&
         PhaseOf(world, 0) == Phase::kServing;
}

void Model::StepsOfLiar(const World& world, int who, std::vector<Step>* steps) {
  for (Event frame : kFrames) Add(steps, Step::kLie, who, Byte(frame), 1);
  if (world.channel[0].token_here) Add(steps, Step::kSteal, who, 0, 1);
  Add(steps, Step::kLeave, who, 0, 1);
}

void Model::StepsOfRunning(const World& world, int who, std::vector<Step>* steps) {
  const Process& process = world.process[who];
  Faults(world, who, steps);
  if (process.todo != 0) {
    const Effect next = machines_.GetEffects(process.todo).front();
    Add(steps, Step::kCarryOut, who);
    if (next == Effect::kSendAccepting) Add(steps, Step::kDefer, who);
    if (next == Effect::kSpawn) Add(steps, Step::kSpawnFails, who, 0, 1);
    return;
  }
  if (process.seen != kNoEvent) return Add(steps, Step::kTell, who, process.seen);
  if (!process.spoken) Add(steps, Step::kSpeak, who);
  if (process.deferred) Add(steps, Step::kPull, who);
  Reads(world, who, steps);
  if (InputEmpty(world, who) || options_.mutant == Mutant::kEventsBeforeInput)
    Events(world, who, steps);
}

void Model::Reads(const World& world, int who, std::vector<Step>* steps) {
  if (who > 0 && !world.channel[who - 1].down.empty()) Add(steps, Step::kRead, who, 0);
  if (who < last() && !world.channel[who].up.empty()) Add(steps, Step::kRead, who, 1);
}

void Model::Faults(const World& world, int who, std::vector<Step>* steps) {
  const Process& process = world.process[who];
  const bool watched =
      (who > 0 && WatchesBelow(world, who - 1)) || (who < last() && WatchesAbove(world, who + 1));
  if (watched && !process.late) Add(steps, Step::kDelay, who, 0, 1);
  if (process.todo != 0) return;
  if (who > 0 && process.spoken && !world.channel[who - 1].elder)
    Add(steps, Step::kGarble, who, 0, 1);
  if (who < last() && world.process[who + 1].alive() && !world.channel[who].elder)
    Add(steps, Step::kGarble, who, 1, 1);
}

// An event that is true now: told at once, or seen now and told later.
void Model::Offer(const World& world, int who, Event event, int cost, std::vector<Step>* steps) {
  if (!machines_.Matters(world.process[who].machine, event)) return;
  const bool exact = event == Event::kPeerDead;  // after a death no further frame can come
  Add(steps, options_.gaps && !exact ? Step::kSee : Step::kTell, who, Byte(event), cost);
}

void Model::Events(const World& world, int who, std::vector<Step>* steps) {
  const Phase phase = PhaseOf(world, who);
  PeerEvents(world, who, steps);
  EmbedderEvents(world, who, steps);
  if (LimitOf(phase) != Limit::kNever)
    Offer(world, who, Event::kDeadline, options_.lateness_costs || options_.peaceful, steps);
  if (phase == Phase::kStandby) Offer(world, who, Event::kSoakOver, 0, steps);
  if (phase == Phase::kStopping) Offer(world, who, Event::kLameDuckOver, 0, steps);
  if (phase == Phase::kDraining || phase == Phase::kLeaving)
    Offer(world, who, Event::kAllGone, 0, steps);
}

void Model::PeerEvents(const World& world, int who, std::vector<Step>* steps) {
  const Process& process = world.process[who];
  if (DeathUntold(world, who)) Offer(world, who, Event::kPeerDead, 0, steps);
  if (who > 0 && process.spoken && world.channel[who - 1].closed_above && !process.told_eof &&
      world.process[who - 1].alive() && !world.channel[who - 1].elder)
    Offer(world, who, options_.eof_is_death ? Event::kPeerDead : Event::kGarbage, 0, steps);
  if (Silent(world, who)) {
    if (HelpDue(world, who)) Offer(world, who, Event::kSilent, 0, steps);
    Offer(world, who, Event::kSilenceOver, 0, steps);
  }
  if (Late(world, who)) Add(steps, Step::kTell, who, Byte(Event::kAnswered));
  if (WatchesBelow(world, who)) Offer(world, who, Event::kStuck, 1, steps);
}

void Model::EmbedderEvents(const World& world, int who, std::vector<Step>* steps) {
  const Phase phase = PhaseOf(world, who);
  const bool unborn_heir = who < last() && world.process[who + 1].life == Life::kUnborn;
  const bool first_upgrade =
      phase == Phase::kServing && unborn_heir && !(who == 0 && options_.by_hand);
  Offer(world, who, Event::kUpgrade, first_upgrade ? 0 : 1, steps);
  Offer(world, who, Event::kStop, 1, steps);
  Offer(world, who, Event::kRollBack, 1, steps);
  if (phase == Phase::kAdopting) Offer(world, who, Event::kReady, 0, steps);
  Offer(world, who, Event::kNotReady, 1, steps);
}

bool Model::WatchesBelow(const World& world, int who) const {
  return who < last() && Honest(world, who) && !world.channel[who].closed_above &&
         Within(PhaseOf(world, who), Phase::kSharing, Phase::kYielding);
}

bool Model::WatchesAbove(const World& world, int who) const {
  return who > 0 && Honest(world, who) &&
         Within(PhaseOf(world, who), Phase::kPrepared, Phase::kTaking);
}

bool Model::Silent(const World& world, int who) const {
  const auto quiet = [](const Process& process) { return !process.running() || process.late; };
  return (WatchesBelow(world, who) && quiet(world.process[who + 1])) ||
         (WatchesAbove(world, who) && quiet(world.process[who - 1]));
}

bool Model::Late(const World& world, int who) const {
  const auto answers = [](const Process& process) { return process.running() && process.late; };
  return (WatchesBelow(world, who) && answers(world.process[who + 1])) ||
         (WatchesAbove(world, who) && answers(world.process[who - 1]));
}

bool Model::InputEmpty(const World& world, int who) const {
  return (who == 0 || world.channel[who - 1].down.empty()) &&
         (who >= last() || world.channel[who].up.empty());
}

bool Model::DeathUntold(const World& world, int who) {
  const Process& process = world.process[who];
  const auto counts = [this](const Channel& channel) {
    return options_.mutant != Mutant::kDeadKeepToken || channel.token_here;
  };
  const Phase phase = PhaseOf(world, who);
  if (Within(phase, Phase::kJoining, Phase::kTaking)) {
    return world.process[who - 1].life == Life::kDead && !process.told_predecessor_dead &&
           counts(world.channel[who - 1]);
  }
  return who < last() && world.process[who + 1].life == Life::kDead &&
         Within(phase, Phase::kSpawning, Phase::kDraining) && !process.told_successor_dead &&
         !world.channel[who].closed_above && counts(world.channel[who]);
}

bool Model::HelpDue(const World& world, int who) {
  const bool mute = options_.mutant == Mutant::kPreparedMayNotHelp && WatchesAbove(world, who);
  return !mute && Silent(world, who) &&
         machines_.Matters(world.process[who].machine, Event::kSilent);
}

bool Model::Settled(const World& world, int who) {
  const Process& process = world.process[who];
  return process.todo == 0 && process.seen == kNoEvent && process.spoken &&
         InputEmpty(world, who) && !DeathUntold(world, who);
}

Accepts Model::AcceptsOf(const World& world, int who) const {
  const Process& process = world.process[who];
  if (!Honest(world, who)) return Accepts::kNone;
  if (options_.mutant == Mutant::kEffectsBeforeAccepts && process.todo != 0)
    return static_cast<Accepts>(process.accepted_before);
  return machines_.Get(process.machine).accepts();
}

bool Model::Owner(const World& world, int who) const {
  return Honest(world, who) && machines_.Get(world.process[who].machine).owner();
}

bool Model::Fit(const World& world, int who) const {
  if (!Honest(world, who)) return false;
  const Phase phase = PhaseOf(world, who);
  if (Within(phase, Phase::kPrepared, Phase::kTaking)) return !world.channel[who - 1].abort_sent;
  const bool over = phase == Phase::kConfirming ||
                    (who < last() && world.channel[who].up.Has(Event::kServingFrame));
  return Within(phase, Phase::kServing, Phase::kStopping) && !over;
}

}  // namespace zdd::model
