// What each step leads to.
#include "tests/model/model.h"

#include <algorithm>

namespace zdd::model {
namespace {

// Nobody else can tell whether it is done yet: done together with what comes before it.
bool IsPrivate(Effect effect) {
  switch (effect) {
    case Effect::kNone:
    case Effect::kAdoptPeerSockets:
    case Effect::kBecomeOwner:
    case Effect::kCloseUnclaimed:
    case Effect::kCloseListeners:
    case Effect::kBeginDrain:
    case Effect::kHurryDrain:
    case Effect::kReportPromoted:
    case Effect::kReportFailed:
    case Effect::kKeepElder:
      return true;
    default:
      return false;
  }
}

void MarkTaken(Channel* channel, bool above) {
  channel->token_here = 0;
  channel->taken_above |= above;
  channel->taken_below |= !above;
}

bool IsFirstWord(Phase phase) { return phase == Phase::kServing || phase == Phase::kSpawning; }

}  // namespace

World Model::Start() {
  World world;
  Process& first = world.process[0];
  first.machine = machines_.Start(Phase::kServing);
  first.life = Life::kRunning;
  first.spoken = 1;
  first.holds = 1;
  first.liar = options_.liar_above;
  if (options_.liar_above || options_.liar_below) Bear(&world, 1, /*child=*/!options_.by_hand);
  if (options_.liar_below) {
    world.process[1].liar = 1;
    world.process[1].spoken = 1;
    if (!options_.by_hand) Tell(&world, 0, Event::kUpgrade);
    world.process[0].todo = 0;
    world.process[0].unreported = !options_.by_hand;
  }
  while (options_.prepared && !(world.process[1].alive() && world.process[1].todo == 0 &&
                                PhaseOf(world, 1) == Phase::kPrepared))
    world = Apply(world, NextOfSmoothStart(world));
  return world;
}

// What happens when nothing disturbs and nothing is late.
Step Model::NextOfSmoothStart(const World& world) {
  for (const Step& step : Steps(world)) {
    const Event what = static_cast<Event>(step.what);
    const bool told =
        step.kind == Step::kTell && (what == Event::kUpgrade || what == Event::kReady);
    const bool smooth = step.kind == Step::kCarryOut || step.kind == Step::kSpeak ||
                        step.kind == Step::kRead || step.kind == Step::kStart;
    if (step.cost == 0 && (told || smooth)) return step;
  }
  return {};
}

World Model::Apply(const World& before, Step step) {
  World world = before;
  Do(&world, step);
  Process& process = world.process[step.who];
  while (process.todo != 0 && IsPrivate(machines_.GetEffects(process.todo).front()))
    CarryOut(&world, step.who);
  return world;
}

void Model::Do(World* result, Step step) {
  World& world = *result;
  Process& process = world.process[step.who];
  const Event what = static_cast<Event>(step.what);
  switch (step.kind) {
    case Step::kSpeak:
      process.spoken = 1;
      SendUp(&world, step.who, Event::kHelloFrame);
      break;
    case Step::kRead:
      Read(&world, step.who, step.what == 0);
      break;
    case Step::kCarryOut:
      CarryOut(&world, step.who);
      break;
    case Step::kSpawnFails:
      process.todo = machines_.Tail(process.todo);
      process.unreported = 1;
      world.wish_owed = 0;
      Tell(&world, step.who, Event::kSpawnFailed);
      break;
    case Step::kDefer:
      process.todo = machines_.Tail(process.todo);
      process.deferred = 1;
      break;
    case Step::kPull:
      process.deferred = 0;
      if (PhaseOf(world, step.who) == Phase::kAccepting)
        SendUp(&world, step.who, Event::kAcceptingFrame);
      break;
    case Step::kSee:
      process.seen = step.what;
      break;
    case Step::kTell:
      process.seen = kNoEvent;
      Tell(&world, step.who, what);
      break;
    default:
      Inflict(&world, step);
  }
}

void Model::Inflict(World* result, Step step) {
  World& world = *result;
  Process& process = world.process[step.who];
  const Event what = static_cast<Event>(step.what);
  switch (step.kind) {
    case Step::kStart:
      Bear(&world, step.who, /*child=*/false);
      break;
    case Step::kDie:
      world.killed = 1;
      Die(&world, step.who);
      break;
    case Step::kLeave:
      Die(&world, step.who);
      break;
    case Step::kStop:
      process.life = Life::kStopped;
      process.late = 1;
      break;
    case Step::kContinue:
      process.life = Life::kRunning;
      process.late = (step.who > 0 && WatchesBelow(world, step.who - 1)) ||
                     (step.who < last() && WatchesAbove(world, step.who + 1));
      break;
    case Step::kDelay:
      process.late = 1;
      break;
    case Step::kGarble:
      step.what == 0 ? SendUp(&world, step.who, Event::kGarbage)
                     : SendDown(&world, step.who, Event::kGarbage);
      break;
    case Step::kLie:
      step.who == 0 ? SendDown(&world, 0, what) : SendUp(&world, step.who, what);
      break;
    case Step::kSteal:
      MarkTaken(&world.channel[0], /*above=*/step.who == 0);
      break;
    default:
      break;
  }
}

void Model::Break(World* world, Breach breach) {
  if (world->broken == 0) world->broken = static_cast<uint8_t>(breach);
}

void Model::Tell(World* world, int who, Event event) {
  Process& process = world->process[who];
  const Phase before = PhaseOf(*world, who);
  told_[static_cast<int>(before)][static_cast<int>(event)] = true;
  if (options_.mutant == Mutant::kEffectsBeforeAccepts && process.todo == 0)
    process.accepted_before = static_cast<uint16_t>(machines_.Get(process.machine).accepts());
  const Machines::Answer answer = machines_.OnEvent(process.machine, event);
  process.machine = answer.machine;
  process.todo = machines_.Join(answer.effects, process.todo);
  const Phase after = PhaseOf(*world, who);
  if (after == Phase::kStopping && before != after) world->stop_ran = 1;
  if (event == Event::kUpgrade && machines_.Get(answer.machine).wish()) world->wish_owed = 1;
  if (event == Event::kAnswered) {
    if (who > 0) world->process[who - 1].late = 0;
    if (who < last()) world->process[who + 1].late = 0;
  }
  if (event == Event::kPeerDead) {
    const bool successor = before >= Phase::kJoining && before <= Phase::kTaking;
    process.told_predecessor_dead |= successor;
    process.told_successor_dead |= !successor;
    if (successor && world->process[who - 1].alive()) process.told_eof = 1;
  }
  if (event == Event::kGarbage && who > 0 && world->channel[who - 1].closed_above)
    process.told_eof = 1;
}

void Model::Read(World* world, int who, bool from_above) {
  Process& process = world->process[who];
  Channel& channel = world->channel[from_above ? who - 1 : who];
  const Event frame = from_above ? channel.down.Pop() : channel.up.Pop();
  if (from_above && channel.elder) return ReadFromElder(world, who, frame);
  if (frame == Event::kHelloFrame && !from_above) {
    if (!IsFirstWord(PhaseOf(*world, who))) return SendDown(world, who, Event::kRefusedFrame);
    process.unreported = 1;
  }
  if (frame == Event::kOfferFrame && from_above) process.holds = 1;
  if (frame == Event::kPreparedFrame) channel.prepared_read = 1;
  if (frame == Event::kServingFrame) channel.serving_read = 1;
  Tell(world, who, frame);
}

void Model::ReadFromElder(World* world, int who, Event frame) {
  if (frame == Event::kAbortFrame && !options_.liar_above) Break(world, Breach::kAbortToOwner);
  if (frame != Event::kWishFrame) return;
  Tell(world, who, Event::kWishFrame);
  const Phase phase = PhaseOf(*world, who);
  if (phase >= Phase::kStopping) world->wish_owed = 0;  // it was answered: too late
}

void Model::CarryOut(World* world, int who) {
  Process& process = world->process[who];
  const Effect effect = machines_.GetEffects(process.todo).front();
  process.todo = machines_.Tail(process.todo);
  switch (effect) {
    case Effect::kSpawn:
      world->wish_owed = 0;
      process.unreported = 1;
      if (who == last() || world->process[who + 1].alive())
        return Tell(world, who, Event::kSpawnFailed);
      return Bear(world, who + 1, /*child=*/true);
    case Effect::kKillPeer:
      return KillPeer(world, who);
    case Effect::kTakeToken:
      return TakeToken(world, who);
    case Effect::kCloseListeners:
      return CloseListeners(world, who);
    case Effect::kUnlinkSockets:
      return Unlink(world, who);
    case Effect::kReportPromoted:
    case Effect::kReportFailed:
      return Report(world, who);
    case Effect::kKeepElder:
      world->channel[who - 1].elder = 1;
      return;
    case Effect::kForgetPeer:
      if (who == last()) return;  // it never had one
      world->channel[who].closed_above = 1;
      world->channel[who].up.Clear();
      return;
    case Effect::kEnd:
      return Die(world, who);
    default:
      return Send(world, who, effect);
  }
}

// What is neither a frame nor of any consequence here, is nothing.
void Model::Send(World* world, int who, Effect effect) {
  switch (effect) {
    case Effect::kSendOffer:
      return SendDown(world, who, Event::kOfferFrame);
    case Effect::kSendAccept:
      return SendDown(world, who, Event::kAcceptFrame);
    case Effect::kSendRelease:
      if (machines_.Get(world->process[who].machine).wish())
        SendDown(world, who, Event::kWishFrame);
      return SendDown(world, who, Event::kReleaseFrame);
    case Effect::kSendAbort:
      if (!world->channel[who].taken_above) Break(world, Breach::kAbortWithoutToken);
      world->channel[who].abort_sent = 1;
      return SendDown(world, who, Event::kAbortFrame);
    case Effect::kSendWish:
      return SendDown(world, who, Event::kWishFrame);
    case Effect::kSendPrepared:
      return SendUp(world, who, Event::kPreparedFrame);
    case Effect::kSendAccepting:
      return SendUp(world, who, Event::kAcceptingFrame);
    case Effect::kSendServing:
      return SendUp(world, who, Event::kServingFrame);
    case Effect::kSendFail:
      return SendUp(world, who, Event::kFailFrame);
    default:
      return;
  }
}

void Model::TakeToken(World* world, int who) {
  const bool above = PhaseOf(*world, who) != Phase::kTaking;
  Channel& channel = world->channel[above ? who : who - 1];
  const bool got = channel.token_here || options_.mutant == Mutant::kNoToken;
  channel.reads = std::min(channel.reads + 1, 7);
  if (got) MarkTaken(&channel, above);
  Tell(world, who, got ? Event::kTokenTaken : Event::kTokenGone);
}

void Model::Bear(World* world, int who, bool child) {
  Process& process = world->process[who];
  process = Process();
  process.machine = machines_.Start(Phase::kJoining);
  process.life = Life::kRunning;
  process.child = child;
  world->channel[who - 1] = Channel();
  world->process[who - 1].told_successor_dead = 0;
}

void Model::Die(World* world, int who) {
  Process& process = world->process[who];
  const bool held_wish = machines_.Get(process.machine).wish();
  const std::vector<Effect>& todo = machines_.GetEffects(process.todo);
  if (held_wish || std::count(todo.begin(), todo.end(), Effect::kSpawn) ||
      (who > 0 && world->channel[who - 1].down.Has(Event::kWishFrame)))
    world->wish_owed = 0;
  process = Process();
  process.life = Life::kDead;
  if (who > 0) world->channel[who - 1].down.Clear();
  if (who < last()) world->channel[who].up.Clear();
}

void Model::SendDown(World* world, int who, Event frame) {
  if (!world->process[who + 1].alive()) {
    if (frame == Event::kWishFrame) world->wish_owed = 0;
    return;
  }
  Queue& queue = world->channel[who].down;
  if (queue.full()) return Break(world, Breach::kQueueOverflow);
  queue.Push(frame);
}

void Model::SendUp(World* world, int who, Event frame) {
  if (!world->process[who - 1].alive() || world->channel[who - 1].closed_above) return;
  Queue& queue = world->channel[who - 1].up;
  if (queue.full()) return Break(world, Breach::kQueueOverflow);
  queue.Push(frame);
}

void Model::Report(World* world, int who) {
  if (!world->process[who].unreported) Break(world, Breach::kReportedTwice);
  world->process[who].unreported = 0;
}

void Model::KillPeer(World* world, int who) {
  const Process& peer = world->process[who + 1];
  if (!peer.child || !peer.alive()) return;
  if (!peer.liar && world->channel[who].taken_below) Break(world, Breach::kOwnerKilled);
  Die(world, who + 1);
}

void Model::Unlink(World* world, int who) {
  for (int other = 0; other < options_.generations; ++other) {
    if (other != who && Fit(*world, other)) Break(world, Breach::kUnlinkedWhileServed);
  }
}

void Model::CloseListeners(World* world, int who) {
  Process& process = world->process[who];
  process.holds = 0;
  const Phase phase = PhaseOf(*world, who);
  const bool promoted = phase == Phase::kDraining && !world->stop_ran;
  if (promoted && !world->channel[who].serving_read) Break(world, Breach::kClosedWithoutServing);
}

}  // namespace zdd::model
