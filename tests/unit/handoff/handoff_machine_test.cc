#include "zdd/handoff/handoff_machine.h"

#include "gtest/gtest.h"
#include "tests/unit/handoff/machine_play.h"

namespace zdd {
namespace {

// ---- Without trouble.

TEST(Predecessor, HandsOverInEightEvents) {
  HandoffMachine p(Phase::kServing);
  EXPECT_EQ(Tell(p, Event::kUpgrade), "spawn -> spawning");
  EXPECT_EQ(Tell(p, Event::kHelloFrame), "send_offer -> offering");
  EXPECT_EQ(Tell(p, Event::kPreparedFrame), "adopt_peer_sockets send_accept -> sharing");
  EXPECT_EQ(p.accepts(), Accepts::kAll);
  EXPECT_EQ(Tell(p, Event::kAcceptingFrame), "-> standby");
  EXPECT_EQ(p.accepts(), Accepts::kUnclaimed);
  EXPECT_EQ(Tell(p, Event::kSoakOver), "send_release -> releasing");
  EXPECT_EQ(Tell(p, Event::kServingFrame), "take_token -> confirming");
  EXPECT_EQ(Tell(p, Event::kTokenGone), "report_promoted close_listeners begin_drain -> draining");
  EXPECT_EQ(p.accepts(), Accepts::kNone);
  EXPECT_EQ(Tell(p, Event::kAllGone), "end -> drained");
}

TEST(Successor, TakesOverInFiveEvents) {
  HandoffMachine s(Phase::kJoining);
  EXPECT_EQ(Tell(s, Event::kOfferFrame), "-> adopting");
  EXPECT_EQ(Tell(s, Event::kReady), "close_unclaimed send_prepared -> prepared");
  EXPECT_EQ(s.accepts(), Accepts::kNone);
  EXPECT_EQ(Tell(s, Event::kAcceptFrame), "send_accepting -> accepting");
  EXPECT_EQ(s.accepts(), Accepts::kAll);
  EXPECT_FALSE(s.owner());
  EXPECT_EQ(Tell(s, Event::kReleaseFrame), "take_token -> taking");
  EXPECT_EQ(s.accepts(), Accepts::kAll);
  EXPECT_EQ(Tell(s, Event::kTokenTaken), "send_serving become_owner keep_elder -> serving");
  EXPECT_TRUE(s.owner());
}

TEST(FirstGeneration, ServesWhenItIsReady) {
  EXPECT_EQ(TellOne(Phase::kStarting, Event::kReady), "become_owner -> serving");
  EXPECT_TRUE(In(Phase::kStarting).owner());
}

TEST(FirstGeneration, LeavesNothingBehindWhenItDoesNotGetReady) {
  for (Event event : {Event::kNotReady, Event::kDeadline, Event::kStop})
    EXPECT_EQ(TellOne(Phase::kStarting, event), "unlink_sockets close_listeners end -> failed");
}

TEST(Owner, TakesASuccessorThatItDidNotStart) {
  EXPECT_EQ(TellOne(Phase::kServing, Event::kHelloFrame), "send_offer -> offering");
}

// ---- The successor fails.

TEST(Predecessor, ReportsASuccessorThatNeverSpoke) {
  for (Event event : {Event::kDeadline, Event::kGarbage, Event::kRollBack})
    EXPECT_EQ(TellOne(Phase::kSpawning, event), "kill_peer report_failed forget_peer -> serving");
  for (Event event : {Event::kSpawnFailed, Event::kPeerDead})
    EXPECT_EQ(TellOne(Phase::kSpawning, event), "report_failed forget_peer -> serving");
}

TEST(Predecessor, AcceptsBeforeItReadsTheTokenAndReadsItBeforeItSaysAbort) {
  HandoffMachine p = In(Phase::kStandby);
  EXPECT_EQ(Tell(p, Event::kFailFrame), "take_token -> recalling");
  EXPECT_EQ(p.accepts(), Accepts::kAll);
  EXPECT_EQ(Tell(p, Event::kTokenTaken), "send_abort report_failed -> aborting");
  EXPECT_TRUE(p.owner());
  EXPECT_EQ(Tell(p, Event::kPeerDead), "forget_peer -> serving");
}

TEST(Predecessor, RecallsFromEachPhaseOfAHandoff) {
  for (Phase phase : {Phase::kOffering, Phase::kSharing, Phase::kStandby, Phase::kReleasing}) {
    for (Event event : {Event::kFailFrame, Event::kGarbage, Event::kRollBack, Event::kStop})
      EXPECT_EQ(TellOne(phase, event), "take_token -> recalling") << phase << " on " << event;
  }
}

TEST(Predecessor, ServesAgainAtOnceWhenTheSuccessorIsDead) {
  for (Phase phase : {Phase::kOffering, Phase::kSharing, Phase::kStandby, Phase::kReleasing})
    EXPECT_EQ(TellOne(phase, Event::kPeerDead), "report_failed forget_peer -> serving") << phase;
}

TEST(Predecessor, RecallsASuccessorThatDoesNotComeOn) {
  for (Phase phase : {Phase::kOffering, Phase::kSharing, Phase::kReleasing})
    EXPECT_EQ(TellOne(phase, Event::kDeadline), "take_token -> recalling") << phase;
  for (Phase phase : {Phase::kStandby, Phase::kReleasing})
    EXPECT_EQ(TellOne(phase, Event::kSilenceOver), "take_token -> recalling") << phase;
}

TEST(Predecessor, KillsAnAbortedSuccessorThatDoesNotLeave) {
  EXPECT_EQ(TellOne(Phase::kAborting, Event::kDeadline), "kill_peer forget_peer -> serving");
}

TEST(Predecessor, IgnoresWhatASuccessorSaidBeforeItReadAbort) {
  for (int i = 0; IsFrame(static_cast<Event>(i)); ++i)
    EXPECT_EQ(TellOne(Phase::kAborting, static_cast<Event>(i)), "-> aborting");
}

TEST(Predecessor, TakesAFrameOutOfOrderForGarbage) {
  EXPECT_EQ(TellOne(Phase::kOffering, Event::kServingFrame), "take_token -> recalling");
  EXPECT_EQ(TellOne(Phase::kSharing, Event::kPreparedFrame), "take_token -> recalling");
  EXPECT_EQ(TellOne(Phase::kStandby, Event::kAcceptingFrame), "take_token -> recalling");
  EXPECT_EQ(TellOne(Phase::kSpawning, Event::kServingFrame),
            "kill_peer report_failed forget_peer -> serving");
}

// ---- The token.

TEST(Predecessor, BelievesServingOnlyWhenTheTokenIsGone) {
  for (Phase phase : {Phase::kSharing, Phase::kStandby, Phase::kReleasing}) {
    HandoffMachine p = In(phase);
    EXPECT_EQ(Tell(p, Event::kServingFrame), "take_token -> confirming");
    EXPECT_EQ(Tell(p, Event::kTokenTaken), "send_abort report_failed -> aborting") << "a lie";
    EXPECT_EQ(p.accepts(), Accepts::kAll);
  }
}

TEST(Predecessor, HelpsAndOwnsNothingWhenTheTokenIsGone) {
  HandoffMachine p = In(Phase::kRecalling);
  EXPECT_EQ(Tell(p, Event::kTokenGone), "-> yielding");
  EXPECT_EQ(p.accepts(), Accepts::kAll);
  EXPECT_FALSE(p.owner());
  EXPECT_FALSE(p.serves_exclusive());
}

TEST(Predecessor, YieldsUntilTheSuccessorSpeaksOrDies) {
  EXPECT_EQ(TellOne(Phase::kYielding, Event::kServingFrame),
            "report_promoted close_listeners begin_drain -> draining");
  EXPECT_EQ(TellOne(Phase::kYielding, Event::kPeerDead), "report_failed forget_peer -> serving");
  for (Event event : {Event::kDeadline, Event::kSilenceOver, Event::kStop, Event::kRollBack})
    EXPECT_EQ(TellOne(Phase::kYielding, event), "-> yielding") << event;
}

TEST(Predecessor, NeverKillsAnOwnerWhateverItSends) {
  for (Event event : {Event::kGarbage, Event::kFailFrame, Event::kAcceptingFrame})
    EXPECT_EQ(TellOne(Phase::kYielding, event), "-> yielding") << event;
}

TEST(Predecessor, CallsItTheftIfTheTokenIsGoneAndNobodyWasPrepared) {
  for (Event event : {Event::kDeadline, Event::kServingFrame}) {
    HandoffMachine p = In(Phase::kOffering);
    p.OnEvent(Event::kRollBack);
    EXPECT_EQ(Tell(p, Event::kTokenGone), "-> yielding");
    EXPECT_EQ(Tell(p, event), "kill_peer report_failed forget_peer -> serving");
  }
}

TEST(Predecessor, CallsItNoTheftIfPreparedWaitedToBeRead) {
  HandoffMachine p = In(Phase::kOffering);
  p.OnEvent(Event::kRollBack);
  p.OnEvent(Event::kTokenGone);
  EXPECT_EQ(Tell(p, Event::kPreparedFrame), "-> yielding");
  EXPECT_EQ(Tell(p, Event::kDeadline), "-> yielding");
  EXPECT_EQ(Tell(p, Event::kServingFrame),
            "report_promoted close_listeners begin_drain -> draining");
}

TEST(Successor, WaitsForAbortWhenTheTokenIsGone) {
  HandoffMachine s = In(Phase::kTaking);
  EXPECT_EQ(Tell(s, Event::kTokenGone), "-> taking");
  EXPECT_EQ(s.accepts(), Accepts::kAll) << "as before";
  EXPECT_EQ(Tell(s, Event::kReleaseFrame), "-> taking") << "sent before";
  EXPECT_EQ(Tell(s, Event::kAbortFrame), "close_listeners begin_drain -> leaving");
}

TEST(Successor, ServesWhenTheOneWhoHasTheTokenDies) {
  HandoffMachine s = In(Phase::kTaking);
  s.OnEvent(Event::kTokenGone);
  EXPECT_EQ(Tell(s, Event::kPeerDead), "become_owner keep_elder -> serving");
}

// ---- The predecessor fails.

TEST(Successor, FailsWhenThePredecessorDiesBeforeTheListenersAreHere) {
  EXPECT_EQ(TellOne(Phase::kJoining, Event::kPeerDead), "end -> failed");
}

TEST(Successor, GoesOnAloneOnceItHasTheListeners) {
  HandoffMachine s = In(Phase::kAdopting);
  EXPECT_EQ(Tell(s, Event::kPeerDead), "-> adopting");
  EXPECT_EQ(Tell(s, Event::kReady),
            "close_unclaimed send_prepared become_owner keep_elder -> serving");
}

TEST(Successor, NeedsNoTokenWhenThePredecessorIsDead) {
  for (Phase phase : {Phase::kPrepared, Phase::kAccepting})
    EXPECT_EQ(TellOne(phase, Event::kPeerDead), "become_owner keep_elder -> serving") << phase;
}

TEST(Successor, ReadsTheTokenWhenThePredecessorIsSilent) {
  for (Phase phase : {Phase::kPrepared, Phase::kAccepting})
    EXPECT_EQ(TellOne(phase, Event::kSilenceOver), "take_token -> taking") << phase;
  EXPECT_EQ(TellOne(Phase::kPrepared, Event::kDeadline), "take_token -> taking");
}

TEST(Successor, FailsWhenTheListenersDoNotCome) {
  for (Event event :
       {Event::kDeadline, Event::kRefusedFrame, Event::kAbortFrame, Event::kGarbage, Event::kStop})
    EXPECT_EQ(TellOne(Phase::kJoining, event), "end -> failed") << event;
}

// ---- Help.

TEST(Help, ASuccessorThatIsPreparedAcceptsForASilentPredecessor) {
  HandoffMachine s = In(Phase::kPrepared);
  EXPECT_EQ(Tell(s, Event::kSilent), "-> prepared");
  EXPECT_EQ(s.accepts(), Accepts::kAll);
  EXPECT_FALSE(s.owner());
  s.OnEvent(Event::kAnswered);
  EXPECT_EQ(s.accepts(), Accepts::kNone);
}

TEST(Help, GoesOnWhileTheTokenIsWaitedFor) {
  HandoffMachine s = In(Phase::kPrepared);
  s.OnEvent(Event::kSilent);
  s.OnEvent(Event::kSilenceOver);
  EXPECT_EQ(Tell(s, Event::kTokenGone), "-> taking");
  EXPECT_EQ(s.accepts(), Accepts::kAll);
}

TEST(Help, APredecessorInStandbyAcceptsForASilentOrStuckSuccessor) {
  for (Phase phase : {Phase::kStandby, Phase::kReleasing}) {
    HandoffMachine p = In(phase);
    p.OnEvent(Event::kSilent);
    p.OnEvent(Event::kStuck);
    EXPECT_EQ(p.accepts(), Accepts::kAll);
    p.OnEvent(Event::kAnswered);
    EXPECT_EQ(p.accepts(), Accepts::kAll) << "stuck is stuck: it is we who empty its queue";
    EXPECT_EQ(p.phase(), phase);
  }
}

TEST(Help, IsForgottenWithTheHandoff) {
  HandoffMachine p = In(Phase::kStandby);
  p.OnEvent(Event::kSilent);
  p.OnEvent(Event::kPeerDead);
  EXPECT_EQ(p, HandoffMachine(Phase::kServing));
}

// ---- The successor gives up.

TEST(Successor, LeavesByItselfWhileNobodyCountsOnIt) {
  for (Event event : {Event::kNotReady, Event::kStop, Event::kDeadline, Event::kGarbage})
    EXPECT_EQ(TellOne(Phase::kAdopting, event), "send_fail close_listeners begin_drain -> leaving")
        << event;
}

TEST(Successor, OnlyAsksToLeaveOncePreparedAndGoesOnAccepting) {
  for (Phase phase : {Phase::kPrepared, Phase::kAccepting}) {
    for (Event event : {Event::kNotReady, Event::kStop, Event::kGarbage}) {
      HandoffMachine s = In(phase);
      const Accepts before = s.accepts();
      s.OnEvent(event);
      EXPECT_EQ(TellOne(phase, event), absl::StrCat("send_fail -> ", PhaseName(phase))) << event;
      EXPECT_EQ(s.accepts(), before);
    }
  }
}

TEST(Successor, LeavesOnAbortAndFails) {
  for (Phase phase : {Phase::kAdopting, Phase::kPrepared, Phase::kAccepting, Phase::kTaking})
    EXPECT_EQ(TellOne(phase, Event::kAbortFrame), "close_listeners begin_drain -> leaving");
  HandoffMachine s = In(Phase::kLeaving);
  EXPECT_EQ(Tell(s, Event::kGarbage), "-> leaving");
  EXPECT_EQ(Tell(s, Event::kStop), "hurry_drain -> leaving");
  EXPECT_EQ(Tell(s, Event::kAllGone), "end -> failed");
}

// ---- Stop.

TEST(Stop, OfAnOwnerIsALameDuckThenADrain) {
  HandoffMachine p(Phase::kServing);
  EXPECT_EQ(Tell(p, Event::kStop), "-> stopping");
  EXPECT_EQ(p.accepts(), Accepts::kAll);
  EXPECT_TRUE(p.owner());
  EXPECT_EQ(Tell(p, Event::kLameDuckOver),
            "unlink_sockets close_listeners begin_drain -> draining");
}

TEST(Stop, OnceMoreSkipsTheWaits) {
  HandoffMachine p = In(Phase::kStopping);
  EXPECT_EQ(Tell(p, Event::kStop),
            "unlink_sockets close_listeners begin_drain hurry_drain -> draining");
  EXPECT_EQ(Tell(p, Event::kStop), "hurry_drain -> draining");
}

TEST(Stop, InAHandoffTakesEverythingBackFirst) {
  HandoffMachine p = In(Phase::kStandby);
  EXPECT_EQ(Tell(p, Event::kStop), "take_token -> recalling");
  EXPECT_EQ(Tell(p, Event::kTokenTaken), "send_abort report_failed -> aborting");
  EXPECT_EQ(Tell(p, Event::kPeerDead), "forget_peer -> stopping");
}

TEST(Stop, WhileSpawningKillsTheChildAndStops) {
  EXPECT_EQ(TellOne(Phase::kSpawning, Event::kStop),
            "kill_peer report_failed forget_peer -> stopping");
}

TEST(Stop, OfASuccessorHoldsWhenItBecomesTheOwnerAfterAll) {
  HandoffMachine s = In(Phase::kAccepting);
  s.OnEvent(Event::kStop);
  EXPECT_EQ(Tell(s, Event::kPeerDead), "become_owner keep_elder -> stopping");
}

TEST(Stop, WinsOverAWish) {
  HandoffMachine p = In(Phase::kStandby);
  p.OnEvent(Event::kUpgrade);
  p.OnEvent(Event::kStop);
  EXPECT_EQ(Tell(p, Event::kPeerDead), "report_failed forget_peer -> stopping")
      << "recalling hears of the death at once";
}

// ---- Wishes.

TEST(Wish, RunsWhenTheHandoffHasFailed) {
  HandoffMachine p = In(Phase::kStandby);
  EXPECT_EQ(Tell(p, Event::kUpgrade), "-> standby");
  EXPECT_TRUE(p.wish());
  EXPECT_EQ(Tell(p, Event::kPeerDead), "report_failed forget_peer spawn -> spawning");
  EXPECT_FALSE(p.wish()) << "it runs";
}

TEST(Wish, TravelsWithReleaseAndNotTwice) {
  HandoffMachine p = In(Phase::kStandby);
  p.OnEvent(Event::kUpgrade);
  EXPECT_EQ(Tell(p, Event::kSoakOver), "send_release -> releasing");
  EXPECT_TRUE(p.wish()) << "the shell sends it along";
  p.OnEvent(Event::kServingFrame);
  EXPECT_EQ(Tell(p, Event::kTokenGone), "report_promoted close_listeners begin_drain -> draining");
}

TEST(Wish, ThatCameAfterReleaseIsSentWhenTheSuccessorServes) {
  HandoffMachine p = In(Phase::kReleasing);
  p.OnEvent(Event::kUpgrade);
  p.OnEvent(Event::kServingFrame);
  EXPECT_EQ(Tell(p, Event::kTokenGone),
            "report_promoted close_listeners begin_drain send_wish -> draining");
}

TEST(Wish, WithReleaseRunsOnceTheSuccessorOwns) {
  HandoffMachine s = In(Phase::kAccepting);
  EXPECT_EQ(Tell(s, Event::kWishFrame), "-> accepting") << "no garbage";
  s.OnEvent(Event::kReleaseFrame);
  EXPECT_EQ(Tell(s, Event::kTokenTaken), "send_serving become_owner keep_elder spawn -> spawning");
}

TEST(Wish, OfAnElderRunsAtOnceOrWhenTheOwnHandoffHasEnded) {
  EXPECT_EQ(TellOne(Phase::kServing, Event::kWishFrame), "spawn -> spawning");
  HandoffMachine s = In(Phase::kSpawning);
  EXPECT_EQ(Tell(s, Event::kWishFrame), "-> spawning") << "its own successor said nothing wrong";
  EXPECT_TRUE(s.wish());
}

TEST(Wish, OfASuccessorThatDoesNotOwnIsNoneOfIts) {
  HandoffMachine s = In(Phase::kAccepting);
  s.OnEvent(Event::kUpgrade);
  EXPECT_FALSE(s.wish());
}

// ---- After the commit.

TEST(Draining, NeverComesBackWhateverHappens) {
  for (int i = 0; i < kEventCount; ++i) {
    HandoffMachine p = In(Phase::kDraining);
    p.OnEvent(static_cast<Event>(i));
    EXPECT_TRUE(p.phase() == Phase::kDraining || p.phase() == Phase::kDrained);
    EXPECT_EQ(p.accepts(), Accepts::kNone);
    EXPECT_FALSE(p.owner());
  }
}

TEST(Draining, ForgetsASuccessorThatDiesOrSpeaksNonsense) {
  EXPECT_EQ(TellOne(Phase::kDraining, Event::kPeerDead), "forget_peer -> draining");
  EXPECT_EQ(TellOne(Phase::kDraining, Event::kHelloFrame), "forget_peer -> draining");
}

TEST(End, HearsNothing) {
  for (Phase phase : {Phase::kDrained, Phase::kFailed}) {
    for (int i = 0; i < kEventCount; ++i)
      EXPECT_EQ(TellOne(phase, static_cast<Event>(i)), absl::StrCat("-> ", PhaseName(phase)));
  }
}

TEST(Machine, IsInAHandoffBetweenUpgradeAndTheLastWord) {
  for (int i = 0; i < kPhaseCount; ++i) {
    const Phase phase = static_cast<Phase>(i);
    const bool successor = phase >= Phase::kJoining && phase <= Phase::kTaking;
    const bool predecessor = phase >= Phase::kSpawning && phase <= Phase::kYielding;
    EXPECT_EQ(In(phase).in_handoff(), successor || predecessor) << phase;
  }
}

TEST(Machine, WhoServesExclusiveSocketsOwns) {
  for (int i = 0; i < kPhaseCount; ++i) {
    const HandoffMachine machine = In(static_cast<Phase>(i));
    ASSERT_EQ(machine.phase(), static_cast<Phase>(i));
    if (!machine.serves_exclusive()) continue;
    EXPECT_TRUE(machine.owner()) << machine.phase();
    EXPECT_NE(machine.accepts(), Accepts::kNone) << machine.phase();
  }
  EXPECT_FALSE(In(Phase::kReleasing).serves_exclusive()) << "it has let go of them";
  EXPECT_TRUE(In(Phase::kReleasing).owner());
}

}  // namespace
}  // namespace zdd
