#include <algorithm>
#include <iostream>
#include <memory>
#include <vector>

#include "gtest/gtest.h"
#include "tests/model/explorer.h"

namespace zdd::model {
namespace {

// A fault: a process is killed, stopped, or late with its pongs; garbage is sent; a spawn or a
// check fails; a queue is stuck; the embedder asks for an upgrade, a stop or a rollback. A liar's
// words and deeds count too. Deadlines pass at any time, for nothing.
Finding Explore(const Options& options, int faults_max) {
  Model model(options);
  Finding finding = Explorer(&model).Explore(faults_max);
  std::cout << finding.Summary() << "\n";
  return finding;
}

void ExpectSound(const Options& options, int faults_max) {
  const Finding finding = Explore(options, faults_max);
  EXPECT_EQ(finding.wrong, "") << finding.Trace();
}

TEST(Handoff, KeepsItsInvariantsUnderFiveFaults) { ExpectSound({}, 5); }

TEST(Handoff, KeepsThemWithASuccessorThatCannotBeKilled) { ExpectSound({.by_hand = true}, 5); }

TEST(Handoff, KeepsThemWhereOnlyTheEndOfAChannelTellsOfADeath) {
  ExpectSound({.by_hand = true, .eof_is_death = true}, 4);
}

TEST(Handoff, KeepsThemWhenAnEventIsOldByTheTimeItIsTold) { ExpectSound({.gaps = true}, 4); }

TEST(Handoff, KeepsThemWhenOldEventsMeetASuccessorThatCannotBeKilled) {
  ExpectSound({.by_hand = true, .gaps = true}, 3);
}

TEST(Handoff, KeepsThemInAChainOfThreeGenerations) {
  ExpectSound({.generations = 3, .lateness_costs = true}, 3);
}

TEST(Handoff, KeepsThemInAChainThatIsLate) { ExpectSound({.generations = 3}, 1); }

TEST(Handoff, IsSurvivedByThePredecessorOfALiar) { ExpectSound({.liar_below = true}, 5); }

TEST(Handoff, IsSurvivedByThePredecessorOfALiarThatCannotBeKilled) {
  ExpectSound({.by_hand = true, .liar_below = true}, 5);
}

TEST(Handoff, LeavesTheSuccessorOfALiarToServeOrToLeave) { ExpectSound({.liar_above = true}, 4); }

TEST(Handoff, SucceedsWhenNothingDisturbsHoweverManyUpgradesAreAskedFor) {
  ExpectSound({.generations = 3, .peaceful = true}, 3);
}

// ---- That the model sees what it is there for: each rule that is taken away shows within ten
// steps of a successor that is prepared.

Finding Without(Mutant rule) {
  Finding finding = Explore({.prepared = true, .mutant = rule}, 2);
  std::cout << finding.Trace();
  EXPECT_LE(finding.trace.size(), 10u);
  return finding;
}

TEST(Mutant, WithoutTheTokenTheOwnerIsKilled) {
  EXPECT_EQ(Without(Mutant::kNoToken).wrong, "the owner was killed by its predecessor");
}

TEST(Mutant, WithoutTheTokenAnOwnerThatCannotBeKilledIsAborted) {
  const Finding finding =
      Explore({.by_hand = true, .prepared = true, .mutant = Mutant::kNoToken}, 2);
  EXPECT_EQ(finding.wrong, "abort reached the owner") << finding.Trace();
}

TEST(Mutant, IfTheDeadKeepTheTokenNobodyAccepts) {
  EXPECT_EQ(Without(Mutant::kDeadKeepToken).wrong, "nobody accepts, and nobody is stopped or dead");
}

TEST(Mutant, IfEventsAreToldBeforeInputAnOwnerIsTakenForAThief) {
  EXPECT_EQ(Without(Mutant::kEventsBeforeInput).wrong, "the owner was killed by its predecessor");
}

TEST(Mutant, IfAPreparedSuccessorMayNotHelpNobodyAccepts) {
  EXPECT_EQ(Without(Mutant::kPreparedMayNotHelp).wrong,
            "nobody accepts, and no help is on its way");
}

TEST(Mutant, IfAcceptSetsChangeAfterTheEffectsTheNewOwnerAcceptsNothing) {
  EXPECT_EQ(Without(Mutant::kEffectsBeforeAccepts).wrong,
            "an owner, or a predecessor before `serving`, accepts nothing");
}

// ---- That the table has nothing that no world needs.

bool HasRow(Phase phase, Event event) {
  for (const Row& row : HandoffTable()) {
    if (row.from == phase && row.on == event) return true;
  }
  return false;
}

bool Taken(const Row& row, const Model& model) {
  if (row.on == Event::kTokenStolen) return model.Told(row.from, Event::kDeadline);
  if (model.Told(row.from, row.on)) return true;
  // A phase that is entered with a dead peer hears of it at once.
  if (row.from == Phase::kRecalling && row.on == Event::kPeerDead)
    return model.Told(Phase::kSharing, Event::kPeerDead);
  for (int i = 0; row.on == Event::kGarbage && i < kEventCount; ++i) {
    const Event event = static_cast<Event>(i);
    if (IsFrame(event) && !HasRow(row.from, event) && model.Told(row.from, event)) return true;
  }
  return false;
}

TEST(Table, EachRowIsTakenInSomeWorld) {
  std::vector<std::unique_ptr<Model>> models;
  for (const Options& options :
       {Options{.by_hand = true}, Options{.liar_below = true}, Options{.liar_above = true},
        Options{.generations = 3, .peaceful = true}}) {
    models.push_back(std::make_unique<Model>(options));
    Explorer(models.back().get()).Explore(3);
  }
  for (const Row& row : HandoffTable()) {
    if (row.from == Phase::kStarting) continue;  // has no peer
    EXPECT_TRUE(std::any_of(models.begin(), models.end(),
                            [&](const auto& model) { return Taken(row, *model); }))
        << PhaseName(row.from) << " on " << EventName(row.on);
  }
}

}  // namespace
}  // namespace zdd::model
