#include "zdd/handoff/handoff_clock.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/unit/handoff/machine_play.h"

namespace zdd {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

Instant At(int milliseconds) { return absl::Hours(1) + absl::Milliseconds(milliseconds); }

HandoffClock ClockIn(Phase phase) {
  HandoffClock clock((HandoffLimits()));
  clock.Enter(phase, At(0));
  return clock;
}

// Ticks whenever the clock wants to, each time `late`, until `end`; what it said.
std::vector<Event> Until(HandoffClock* clock, Instant end, absl::Duration late = {}) {
  std::vector<Event> said;
  for (Instant now = clock->next() + late; now <= end; now = clock->next() + late) {
    for (Event event : clock->Tick(now)) said.push_back(event);
  }
  return said;
}

TEST(HandoffClock, SaysNothingBeforeItIsTime) {
  HandoffClock clock = ClockIn(Phase::kOffering);
  EXPECT_EQ(clock.next(), At(60'000));
  EXPECT_THAT(clock.Tick(At(59'999)), IsEmpty());
  EXPECT_THAT(clock.Tick(At(60'000)), ElementsAre(Event::kDeadline));
}

TEST(HandoffClock, SaysADeadlineOnce) {
  HandoffClock clock = ClockIn(Phase::kOffering);
  EXPECT_THAT(Until(&clock, At(999'999)), ElementsAre(Event::kDeadline));
  EXPECT_EQ(clock.next(), absl::InfiniteDuration());
}

TEST(HandoffClock, WantsNothingWhereNothingIsLimited) {
  EXPECT_EQ(ClockIn(Phase::kServing).next(), absl::InfiniteDuration());
  EXPECT_EQ(ClockIn(Phase::kDraining).next(), absl::InfiniteDuration());
}

TEST(HandoffClock, StandbyEndsWhenItHasLastedLongEnough) {
  HandoffClock clock = ClockIn(Phase::kStandby);
  clock.Heard(At(1'900));
  EXPECT_THAT(Until(&clock, At(2'100)), ElementsAre(Event::kSoakOver));
}

TEST(HandoffClock, ASilentPeerIsHelpedThenOverruled) {
  HandoffClock clock = ClockIn(Phase::kAccepting);
  EXPECT_THAT(Until(&clock, At(299)), IsEmpty());
  EXPECT_THAT(Until(&clock, At(4'999)), ElementsAre(Event::kSilent));
  EXPECT_THAT(Until(&clock, At(60'000)), ElementsAre(Event::kSilenceOver)) << "once";
}

TEST(HandoffClock, APeerThatAnswersIsNoLongerHelped) {
  HandoffClock clock = ClockIn(Phase::kAccepting);
  EXPECT_THAT(Until(&clock, At(400)), ElementsAre(Event::kSilent));
  clock.Heard(At(450));
  EXPECT_THAT(Until(&clock, At(600)), ElementsAre(Event::kAnswered));
  EXPECT_THAT(Until(&clock, At(800)), ElementsAre(Event::kSilent)) << "again";
}

TEST(HandoffClock, SilenceCountsOnFromPhaseToPhase) {
  HandoffClock clock = ClockIn(Phase::kPrepared);
  EXPECT_THAT(Until(&clock, At(3'000)), ElementsAre(Event::kSilent));
  clock.Enter(Phase::kAccepting, At(3'000));
  EXPECT_THAT(Until(&clock, At(5'000)), ElementsAre(Event::kSilenceOver));
}

TEST(HandoffClock, SilenceBeginsWithThePingsNotBefore) {
  HandoffClock clock = ClockIn(Phase::kAdopting);
  EXPECT_THAT(Until(&clock, At(30'000)), IsEmpty());
  clock.Enter(Phase::kPrepared, At(30'000));
  EXPECT_THAT(Until(&clock, At(30'250)), IsEmpty());
  EXPECT_THAT(Until(&clock, At(30'350)), ElementsAre(Event::kSilent));
}

TEST(HandoffClock, WhoSleptHasAllTheTimeThatItHadBefore) {
  HandoffClock clock = ClockIn(Phase::kReleasing);
  EXPECT_THAT(Until(&clock, At(1'000)), ElementsAre(Event::kSilent));
  EXPECT_THAT(clock.Tick(At(61'000)), IsEmpty()) << "a minute of sleep";
  EXPECT_THAT(Until(&clock, At(64'800)), IsEmpty());
  EXPECT_THAT(Until(&clock, At(65'200)), ElementsAre(Event::kSilenceOver, Event::kDeadline));
}

TEST(HandoffClock, WhatWasDueInASleepIsDueOncePingsCouldHaveCome) {
  HandoffClock clock = ClockIn(Phase::kOffering);
  EXPECT_THAT(clock.Tick(At(100'000)), IsEmpty());
  EXPECT_EQ(clock.next(), At(100'100));
  EXPECT_THAT(clock.Tick(At(100'100)), ElementsAre(Event::kDeadline));
}

// A loop whose callbacks always take too long is slow, not asleep: its deadlines must pass all the
// same.
TEST(HandoffClock, WhoIsAlwaysLateIsNotExcusedTwice) {
  HandoffClock clock = ClockIn(Phase::kReleasing);
  const std::vector<Event> said = Until(&clock, At(20'000), absl::Milliseconds(150));
  EXPECT_THAT(said, ElementsAre(Event::kSilent, Event::kSilenceOver, Event::kDeadline));
}

TEST(HandoffClock, APhaseHasItsOwnDeadline) {
  HandoffClock clock = ClockIn(Phase::kSpawning);
  clock.Enter(Phase::kOffering, At(4'999));
  EXPECT_THAT(Until(&clock, At(60'000)), IsEmpty());
  clock.Enter(Phase::kAborting, At(60'000));
  EXPECT_THAT(Until(&clock, At(91'000)), ElementsAre(Event::kDeadline)) << "31 s";
}

TEST(HandoffClock, BothSidesPingWhereverEitherCountsSilence) {
  for (int i = 0; i < kPhaseCount; ++i) {
    const Phase phase = static_cast<Phase>(i);
    HandoffMachine machine = In(phase);
    const HandoffMachine before = machine;
    machine.OnEvent(Event::kSilenceOver);
    if (machine != before) {
      EXPECT_TRUE(HandoffClock::Pings(phase)) << phase;
    }
  }
}

}  // namespace
}  // namespace zdd
