#include "tests/model/invariants.h"

namespace zdd::model {
namespace {

// A state, and what several invariants ask about it.
struct View {
  View(Model& m, const World& w) : model(m), world(w) {
    for (int who = 0; who < model.options().generations; ++who) {
      const Process& process = world.process[who];
      liars |= process.liar;
      stopped |= process.life == Life::kStopped;
      if (!Model::Honest(world, who) || !process.running()) continue;
      settled &= model.Settled(world, who);
      help_due |= model.HelpDue(world, who);
      death_untold |= model.DeathUntold(world, who);
      fit |= model.Fit(world, who);
      accepted |= model.AcceptsOf(world, who) == Accepts::kAll;
      owners += model.Owner(world, who);
    }
  }

  Model& model;
  const World& world;
  bool liars = false;
  bool stopped = false;  // somebody is
  bool settled = true;   // everybody awake has read, done and noticed all
  bool help_due = false;
  bool death_untold = false;
  bool fit = false;       // somebody awake is
  bool accepted = false;  // by somebody awake
  int owners = 0;         // awake
};

std::string Breached(const World& world) {
  switch (static_cast<Breach>(world.broken)) {
    case Breach::kNone:
      return "";
    case Breach::kReportedTwice:
      return "a handoff was reported twice";
    case Breach::kAbortWithoutToken:
      return "abort was sent without the token";
    case Breach::kAbortToOwner:
      return "abort reached the owner";
    case Breach::kUnlinkedWhileServed:
      return "sockets were unlinked that somebody serves";
    case Breach::kClosedWithoutServing:
      return "listeners were closed before `serving` was read";
    case Breach::kOwnerKilled:
      return "the owner was killed by its predecessor";
    case Breach::kQueueOverflow:
      return "a queue ran full";
  }
  return "";
}

// Invariant 1: those who know all that was said agree who owns.
std::string Owners(const View& view) {
  if (view.liars) return "";
  int informed = 0;
  for (int who = 0; who < view.model.options().generations; ++who) {
    informed += view.world.process[who].running() && view.model.Settled(view.world, who) &&
                view.model.Owner(view.world, who);
  }
  if (informed > 1) return "two generations own";
  const bool calm = view.settled && !view.stopped && !view.help_due;
  if (calm && view.fit && view.owners == 0) return "nobody owns";
  return "";
}

// Invariant 2, and 6: with nobody stopped or just dead, there is no instant without an acceptor;
// with somebody stopped there is none once everything has been noticed and help has begun.
std::string Acceptors(const View& view) {
  if (view.liars || !view.fit || view.accepted) return "";
  if (!view.stopped && !view.death_untold) return "nobody accepts, and nobody is stopped or dead";
  if (view.settled && !view.help_due) return "nobody accepts, and no help is on its way";
  return "";
}

std::string OfOne(const View& view, int who) {
  const World& world = view.world;
  if (!Model::Honest(world, who)) return "";
  const Process& process = world.process[who];
  const Phase phase = view.model.PhaseOf(world, who);
  const bool accepts = view.model.AcceptsOf(world, who) != Accepts::kNone;
  if ((accepts || view.model.Fit(world, who)) && !process.holds)
    return "somebody serves listeners that it does not hold";
  const bool predecessor = phase >= Phase::kServing && phase <= Phase::kStopping;
  if (predecessor && !accepts)
    return "an owner, or a predecessor before `serving`, accepts nothing";
  return "";
}

// Invariants 5 and 9, between two neighbours.
std::string OfChannel(const View& view, int above) {
  const Channel& channel = view.world.channel[above];
  if (view.model.options().mutant != Mutant::kNoToken && channel.taken_above && channel.taken_below)
    return "the token was taken twice";
  if (!view.liars && channel.reads > 2) return "the token was read more than twice";
  if (!Model::Honest(view.world, above) || view.world.stop_ran) return "";
  const Phase phase = view.model.PhaseOf(view.world, above);
  const bool gone = phase == Phase::kDraining || phase == Phase::kDrained;
  if (gone && !channel.serving_read) return "a predecessor gave up before it read `serving`";
  if (gone && !channel.taken_below) return "a predecessor gave up to one without the token";
  if (gone && !channel.prepared_read) return "a predecessor gave up to one that was not prepared";
  return "";
}

}  // namespace

std::string WrongIn(Model& model, const World& world) {
  const View view(model, world);
  std::string wrong = Breached(world);
  if (wrong.empty()) wrong = Owners(view);
  if (wrong.empty()) wrong = Acceptors(view);
  for (int who = 0; wrong.empty() && who < model.options().generations; ++who)
    wrong = OfOne(view, who);
  for (int above = 0; wrong.empty() && above + 1 < model.options().generations; ++above)
    wrong = OfChannel(view, above);
  return wrong;
}

std::string WrongAtEnd(Model& model, const World& world) {
  int serving = 0;
  for (int who = 0; who < model.options().generations; ++who) {
    if (!Model::Honest(world, who)) continue;
    const Phase phase = model.PhaseOf(world, who);
    serving += phase == Phase::kServing;
    if (phase == Phase::kServing && world.process[who].unreported)
      return "a handoff ended without a report";
    if (phase == Phase::kServing) continue;
    const bool waits = (phase == Phase::kYielding && who == 0 && model.options().liar_below) ||
                       (phase >= Phase::kAccepting && phase <= Phase::kTaking && who == 1 &&
                        model.options().liar_above);
    if (!waits) return "somebody waits for ever";
    return "";
  }
  const int last = model.options().generations - 1;
  const bool promoted =
      world.process[last].alive() && model.PhaseOf(world, last) == Phase::kServing;
  if (model.options().peaceful && !promoted) return "a handoff failed for no reason";
  const bool liars = model.options().liar_above || model.options().liar_below;
  if (serving > 1 && !liars) return "two generations serve in the end";
  if (serving == 0 && !world.stop_ran && !world.killed && !liars)
    return "nobody serves in the end, though nobody was killed";
  if (world.wish_owed && !world.stop_ran) return "an upgrade was promised and forgotten";
  return "";
}

}  // namespace zdd::model
