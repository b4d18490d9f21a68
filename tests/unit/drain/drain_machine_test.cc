// The machine alone: states and waves as functions of time.
#include "zdd/drain/drain_machine.h"

#include <algorithm>
#include <random>
#include <vector>

#include "absl/time/time.h"
#include "gtest/gtest.h"

namespace zdd {
namespace {

constexpr Instant kStart = absl::Hours(1);
constexpr absl::Duration kStep = absl::Milliseconds(20);

DrainPlan Plan(absl::Duration delay, absl::Duration spread, absl::Duration grace,
               absl::Duration deadline) {
  DrainPlan plan;
  plan.delay = delay;
  plan.spread = spread;
  plan.grace = grace;
  plan.deadline = deadline;
  return plan;
}

// Ticks when the machine wants it, with a pass that takes no time, until `until`.
void RunUntil(Instant until, DrainMachine* machine, int64_t live = 1) {
  while (machine->next() <= until) {
    const Instant now = machine->next();
    machine->Tick(now, live);
    machine->BeginPass(now);
    machine->EndPass(now);
    if (machine->state() == DrainState::kDrained) return;
  }
}

double GoodbyeShare(const DrainMachine& machine) {
  return static_cast<double>(machine.reach().goodbye) / static_cast<double>(Reach::kAll);
}

TEST(DrainMachineTest, NothingHappensBeforeItBegins) {
  DrainMachine machine;
  machine.Tick(kStart, 0);
  machine.Stop();
  machine.Cut(kStart);
  EXPECT_EQ(machine.state(), DrainState::kServing);
  EXPECT_EQ(machine.reach(), Reach());
  EXPECT_EQ(machine.next(), absl::InfiniteDuration());
}

TEST(DrainMachineTest, EachStateComesInItsTime) {
  DrainMachine machine;
  machine.Begin(Plan(absl::Seconds(5), absl::Seconds(10), absl::Seconds(10), absl::Seconds(40)),
                kStart);
  const std::pair<absl::Duration, DrainState> stations[] = {
      {absl::Seconds(4.9), DrainState::kDelay},    {absl::Seconds(5.1), DrainState::kAsking},
      {absl::Seconds(24.8), DrainState::kAsking},  {absl::Seconds(25.3), DrainState::kWaiting},
      {absl::Seconds(38.9), DrainState::kWaiting}, {absl::Seconds(39.1), DrainState::kCutting},
      {absl::Seconds(41.9), DrainState::kCutting}, {absl::Seconds(42.3), DrainState::kDrained},
  };
  for (const auto& [time, state] : stations) {
    RunUntil(kStart + time, &machine);
    EXPECT_EQ(machine.state(), state) << "after " << time;
  }
  EXPECT_EQ(machine.next(), absl::InfiniteDuration());
}

TEST(DrainMachineTest, TheGoodbyeWaveIsAStraightLine) {
  DrainMachine machine;
  machine.Begin(Plan(absl::Seconds(1), absl::Seconds(10), absl::Seconds(1), absl::Seconds(20)),
                kStart);
  for (int second = 1; second <= 11; ++second) {
    RunUntil(kStart + absl::Seconds(second), &machine);
    EXPECT_NEAR(GoodbyeShare(machine), (second - 1) / 10.0, 0.01);
  }
}

TEST(DrainMachineTest, TheIdleWaveFollowsPassesAndNotThePlan) {
  DrainMachine machine;
  machine.Begin(
      Plan(absl::ZeroDuration(), absl::ZeroDuration(), absl::Seconds(1), absl::Seconds(20)),
      kStart);
  machine.Tick(kStart, 1);
  machine.BeginPass(kStart);
  // A slow pass: callbacks took two seconds.
  machine.Tick(kStart + absl::Seconds(2), 1);
  machine.EndPass(kStart + absl::Seconds(2));
  machine.Tick(kStart + absl::Seconds(2.9), 1);
  EXPECT_EQ(machine.reach().when_idle, 0u);
  RunUntil(kStart + absl::Seconds(6), &machine);
  EXPECT_EQ(machine.reach().when_idle, Reach::kAll);
  EXPECT_GE(machine.reach().idle_entered_by, kStart);
}

TEST(DrainMachineTest, StoppingNeverTakesAnythingBackAndReachesNobodyLater) {
  for (uint32_t seed = 1; seed <= 60; ++seed) {
    std::mt19937 random(seed);
    const auto up_to = [&random](int seconds) {
      return absl::Milliseconds(std::uniform_int_distribution<int>(0, seconds * 1000)(random));
    };
    const DrainPlan plan = Fitted(Plan(up_to(5), up_to(20), up_to(20), up_to(60))).plan;
    DrainMachine left;
    DrainMachine stopped;
    left.Begin(plan, kStart);
    stopped.Begin(plan, kStart);
    const Instant stop = kStart + up_to(60);
    const Instant cut = kStart + up_to(120);
    for (Instant now = kStart; left.state() != DrainState::kDrained; now += kStep) {
      if (now - kStep < stop && now >= stop) stopped.Stop();
      if (now - kStep < cut && now >= cut) stopped.Cut(now);
      for (DrainMachine* machine : {&left, &stopped}) {
        const Reach before = machine->reach();
        machine->Tick(now, 1);
        machine->BeginPass(now);
        machine->EndPass(now);
        EXPECT_GE(machine->reach().goodbye, before.goodbye);
        EXPECT_GE(machine->reach().when_idle, before.when_idle);
        EXPECT_GE(machine->reach().cut, before.cut);
      }
      EXPECT_GE(stopped.state(), left.state());
      for (uint64_t place = 0; place < Reach::kAll; place += Reach::kAll / 16) {
        const auto due = [place](const DrainMachine& machine) {
          return Due(machine.reach(), static_cast<uint32_t>(place), /*busy=*/false, kStart);
        };
        EXPECT_GE(due(stopped), due(left));
      }
      if (HasFailure()) return;
    }
  }
}

TEST(DrainMachineTest, NobodyLeftEndsEveryStateButTheDelay) {
  for (double seconds : {0.0, 2.0, 12.0, 29.5}) {
    DrainMachine machine;
    machine.Begin(Plan(absl::Seconds(1), absl::Seconds(5), absl::Seconds(5), absl::Seconds(30)),
                  kStart);
    RunUntil(kStart + absl::Seconds(seconds), &machine);
    const DrainState before = machine.state();
    machine.Tick(kStart + absl::Seconds(seconds), 0);
    EXPECT_EQ(machine.state(),
              before == DrainState::kDelay ? DrainState::kDelay : DrainState::kDrained);
  }
}

TEST(DrainMachineTest, ACutInTheDelayDoesNotWaitForIt) {
  DrainMachine machine;
  machine.Begin(
      Plan(absl::Seconds(20), absl::ZeroDuration(), absl::ZeroDuration(), absl::Seconds(30)),
      kStart);
  RunUntil(kStart + absl::Seconds(1), &machine);
  machine.Cut(kStart + absl::Seconds(1));
  RunUntil(kStart + absl::Seconds(4.3), &machine);
  EXPECT_EQ(machine.state(), DrainState::kDrained);  // cut_spread + linger later
}

TEST(DrainMachineTest, ADeadlineThatPassedInSleepCountsFromTheSecondTickOn) {
  DrainMachine machine;
  machine.Begin(Plan(absl::ZeroDuration(), absl::Seconds(1), absl::Seconds(1), absl::Seconds(30)),
                kStart);
  RunUntil(kStart + absl::Seconds(5), &machine);
  ASSERT_EQ(machine.state(), DrainState::kWaiting);
  const Instant woken = kStart + absl::Hours(1);
  machine.Tick(woken, 1);
  EXPECT_EQ(machine.state(), DrainState::kWaiting);
  EXPECT_EQ(machine.next(), woken);
  machine.Tick(woken, 1);
  EXPECT_EQ(machine.state(), DrainState::kCutting);
  machine.Tick(woken + absl::Milliseconds(10), 1);
  EXPECT_LE(machine.reach().cut, Reach::kAll / 16);
}

TEST(DrainMachineTest, AClockThatGoesBackIsTakenToStandStill) {
  DrainMachine machine;
  machine.Begin(DrainPlan(), kStart);
  RunUntil(kStart + absl::Seconds(3), &machine);
  const Reach before = machine.reach();
  machine.Tick(kStart, 1);
  EXPECT_EQ(machine.reach(), before);
}

TEST(DrainMachineTest, TickingOftenDoesNotPutThePassesOff) {
  DrainMachine machine;
  machine.Begin(DrainPlan(), kStart);
  machine.Tick(kStart, 1);
  machine.BeginPass(kStart);
  machine.EndPass(kStart);
  const Instant next = machine.next();
  for (Instant now = kStart; now < next; now += absl::Milliseconds(1)) machine.Tick(now, 1);
  EXPECT_EQ(machine.next(), next);
}

TEST(DrainMachineTest, TheForecastFallsAsTimePasses) {
  DrainMachine machine;
  const DrainPlan plan =
      Plan(absl::Seconds(2), absl::Seconds(10), absl::Seconds(10), absl::Seconds(30));
  machine.Begin(plan, kStart);
  EXPECT_EQ(machine.idle_end(), kStart + absl::Seconds(22));
  EXPECT_EQ(machine.end(), kStart + absl::Seconds(32));
  RunUntil(kStart + absl::Seconds(12), &machine);
  EXPECT_GE(machine.idle_end(), kStart + absl::Seconds(21.9));
  EXPECT_LE(machine.idle_end(), kStart + absl::Seconds(22.1));
  machine.Cut(kStart + absl::Seconds(12));
  EXPECT_EQ(machine.end(), kStart + absl::Seconds(15));
}

TEST(DrainMachineTest, EachStateHasAName) {
  EXPECT_EQ(DrainStateName(DrainState::kServing), "serving");
  EXPECT_EQ(DrainStateName(DrainState::kDrained), "drained");
}

// ---- What is due for one ticket

TEST(ReachTest, TheHighestWaveThatHasPassedThePlaceDecides) {
  Reach reach;
  reach.goodbye = 300;
  reach.when_idle = 200;
  reach.cut = 100;
  reach.idle_entered_by = kStart;
  EXPECT_EQ(Due(reach, 300, false, kStart), Ask::kNone);
  EXPECT_EQ(Due(reach, 299, false, kStart), Ask::kGoodbye);
  EXPECT_EQ(Due(reach, 199, false, kStart), Ask::kCloseWhenIdle);
  EXPECT_EQ(Due(reach, 199, true, kStart), Ask::kGoodbye);
  EXPECT_EQ(Due(reach, 199, false, kStart + absl::Nanoseconds(1)), Ask::kGoodbye);
  EXPECT_EQ(Due(reach, 99, true, absl::InfiniteDuration()), Ask::kCloseNow);
}

TEST(ReachTest, TheLastPlaceIsReachedByAllAndTheFirstByTheLeast) {
  Reach reach;
  reach.goodbye = Reach::kAll;
  EXPECT_EQ(Due(reach, UINT32_MAX, true, kStart), Ask::kGoodbye);
  reach.goodbye = 1;
  EXPECT_EQ(Due(reach, 0, true, kStart), Ask::kGoodbye);
}

}  // namespace
}  // namespace zdd
