// Drains of connections that move, in virtual time: how fast they are asked, and what becomes of
// those that cannot.
#include <poll.h>

#include <algorithm>
#include <vector>

#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/unit/drain/drain_world.h"
#include "zdd/drain/drain.h"

namespace zdd {
namespace {

DrainPlan Plan() {
  DrainPlan plan;
  plan.spread = absl::Seconds(10);
  plan.grace = absl::Seconds(5);
  plan.deadline = absl::Seconds(40);
  return plan;
}

void ExpectBooksInOrder(const DrainReport& report) {
  EXPECT_EQ(report.entered,
            report.finished + report.moved + report.closed + report.cut + report.late);
}

int Count(DrainWorld* world, bool (*what)(const Life&)) {
  return static_cast<int>(std::count_if(world->lives().begin(), world->lives().end(), what));
}

class MovingTest : public ::testing::TestWithParam<uint32_t> {};
INSTANTIATE_TEST_SUITE_P(Seeds, MovingTest, ::testing::Range(1u, 7u));

TEST_P(MovingTest, EachConnectionMovesAtOnceAndNobodyHearsAGoodbye) {
  DrainWorld world(GetParam());
  world.Open(2000);
  world.RunFor(absl::Seconds(2));
  world.BeginMoving();
  world.Begin(Plan());
  const absl::Duration took = world.RunUntilDrained();
  EXPECT_LE(took, absl::Seconds(2));  // the longest request
  EXPECT_EQ(Count(&world, [](const Life& life) { return life.moved; }), 2000);
  for (const Life& life : world.lives()) {
    for (const Heard& heard : life.heard) EXPECT_EQ(heard.ask, Ask::kMigrate);
  }
  const DrainReport report = world.drain().report(world.now());
  EXPECT_EQ(report.moved, 2000);
  ExpectBooksInOrder(report);
  EXPECT_GT(world.drain().Tick(world.now()), world.now());  // it does not ask for the loop's time
}

TEST_P(MovingTest, NoMoreAreAskedThanTheCreditAllows) {
  WorldOptions options;
  options.acknowledge_max = absl::Milliseconds(20);
  DrainWorld world(GetParam(), options);
  world.Open(3000);
  world.RunFor(absl::Seconds(2));
  int worst = 0;
  world.Also([&](Life*, Ask) { worst = std::max(worst, world.pending()); });
  world.BeginMoving();
  world.Begin(Plan());
  world.RunUntilDrained();
  // Beside those that were asked while idle, busy ones leave when their requests are done.
  EXPECT_LE(worst, 2 * Drain::kMoveCredit);
  EXPECT_GE(worst, Drain::kMoveCredit / 2);
}

TEST_P(MovingTest, WhoIsRefusedSaysGoodbyeAndIsAskedOnce) {
  WorldOptions options;
  options.refused_share = 0.1;
  DrainWorld world(GetParam(), options);
  world.Open(1000);
  world.RunFor(absl::Seconds(2));
  world.BeginMoving();
  world.Begin(Plan());
  world.RunUntilDrained();
  const int came_back = Count(&world, [](const Life& life) { return life.came_back > 0; });
  EXPECT_GT(came_back, 50);
  EXPECT_EQ(Count(&world, [](const Life& life) { return life.came_back > 1; }), 0);
  EXPECT_EQ(Count(&world, [](const Life& life) { return !life.gone(); }), 0);
  const DrainReport report = world.drain().report(world.now());
  EXPECT_EQ(report.moved, 1000 - came_back);
  EXPECT_EQ(report.closed, came_back);
  EXPECT_EQ(report.came_back, came_back);
  ExpectBooksInOrder(report);
}

TEST_P(MovingTest, WhenThePairBreaksTheRestHearsItsGoodbyeOverTheSpread) {
  WorldOptions options;
  options.acknowledge_max = absl::Seconds(1);
  options.rest = absl::Seconds(100);
  DrainWorld world(GetParam(), options);
  world.Open(1000);
  world.RunFor(absl::Seconds(5));
  world.BeginMoving();
  world.Begin(Plan());
  world.RunFor(absl::Seconds(1));
  world.BreakPair();
  const Instant broken = world.now();
  world.RunUntilDrained();
  // Those that were asked to move stand first in the order of the goodbyes too.
  std::vector<int> tenths(10);
  for (const Life& life : world.lives()) {
    if (life.moved || life.came_back > 0) continue;
    const Instant goodbye = life.HeardAt(Ask::kGoodbye);
    EXPECT_GE(goodbye, broken);
    const auto tenth = static_cast<size_t>(absl::FDivDuration(goodbye - broken, absl::Seconds(1)));
    ++tenths[std::min<size_t>(tenth, 9)];
  }
  for (int i = 5; i < 10; ++i) EXPECT_NEAR(tenths[i], 100, 50);
  ExpectBooksInOrder(world.drain().report(world.now()));
}

TEST_P(MovingTest, AServerThatIgnoresTheAskDoesNotHoldUpTheRest) {
  WorldOptions options;
  options.deaf_share = 0.3;  // more than the credit
  DrainWorld world(GetParam(), options);
  world.Open(2000);
  world.RunFor(absl::Seconds(2));
  world.BeginMoving();
  world.Begin(Plan());
  world.RunFor(absl::Seconds(12));
  for (const Life& life : world.lives()) EXPECT_TRUE(life.deaf || life.moved);
  world.RunUntilDrained();
  const DrainReport report = world.drain().report(world.now());
  EXPECT_EQ(report.late + report.cut, report.entered - report.moved);
  ExpectBooksInOrder(report);
}

TEST_P(MovingTest, NewcomersMoveToo) {
  WorldOptions options;
  options.arrivals_per_second = 200;
  options.work = absl::Milliseconds(5);
  DrainWorld world(GetParam(), options);
  world.Open(500);
  world.OpenOne()->deaf = true;  // somebody is always there, so that the drain goes on
  world.BeginMoving();
  world.Begin(Plan());
  world.RunFor(absl::Seconds(3));
  int old_ones = 0;
  for (const Life& life : world.lives()) {
    if (!life.moved && !life.deaf && life.entered < world.now() - absl::Milliseconds(500))
      ++old_ones;
    EXPECT_EQ(life.HeardAt(Ask::kGoodbye), absl::InfiniteDuration());
  }
  EXPECT_EQ(old_ones, 0);
}

TEST_P(MovingTest, WhatASilentReceiverGaveBackMovesWithTheNextPair) {
  WorldOptions options;
  options.acknowledge_max = absl::Seconds(1);
  DrainWorld world(GetParam(), options);
  world.Open(1000);
  world.RunFor(absl::Seconds(2));
  world.BeginMoving();
  world.Begin(Plan());
  for (int i = 0; i < 2; ++i) {
    world.RunFor(absl::Milliseconds(500));
    world.PausePair();
  }
  world.RunUntilDrained();
  int came_back = 0;
  for (const Life& life : world.lives()) {
    EXPECT_TRUE(life.moved);
    EXPECT_EQ(life.HeardAt(Ask::kGoodbye), absl::InfiniteDuration());
    came_back += life.came_back;
  }
  EXPECT_GT(came_back, 50);
  ExpectBooksInOrder(world.drain().report(world.now()));
}

TEST_P(MovingTest, StoppedInTheMiddleTheRestIsClosedSoon) {
  WorldOptions options;
  options.acknowledge_max = absl::Seconds(3);
  DrainWorld world(GetParam(), options);
  world.Open(2000);
  world.RunFor(absl::Seconds(2));
  world.BeginMoving();
  world.Begin(Plan());
  world.RunFor(absl::Milliseconds(500));
  world.drain().Stop();
  world.BreakPair();
  EXPECT_LE(world.RunUntilDrained(), absl::Seconds(2));
  ExpectBooksInOrder(world.drain().report(world.now()));
}

WorldOptions AllRefused() {
  WorldOptions options;
  options.refused_share = 1;
  return options;
}

// In standby.
void TryToMove(DrainWorld* world) {
  world->Open(300);
  world->RunFor(absl::Seconds(2));
  world->BeginMoving();
  world->TickNow();
  world->RunFor(absl::Seconds(3));
}

TEST_P(MovingTest, RefusedBeforeTheCommitTheyHearTheirGoodbyeSoonAfterIt) {
  DrainWorld world(GetParam(), AllRefused());
  TryToMove(&world);
  world.Begin(Plan());
  world.RunUntilDrained();
  for (const Life& life : world.lives()) {
    EXPECT_EQ(life.came_back, 2);
    EXPECT_LE(life.left, world.began() + absl::Seconds(2));
  }
  ExpectBooksInOrder(world.drain().report(world.now()));
}

TEST_P(MovingTest, BeforeTheCommitOnlyMovesAreAskedAndAllCanStay) {
  DrainWorld world(GetParam(), AllRefused());
  TryToMove(&world);
  world.BreakPair();
  world.RunFor(absl::Seconds(3));
  for (const Life& life : world.lives()) {
    EXPECT_FALSE(life.gone());
    EXPECT_EQ(life.came_back, 1);
    for (const Heard& heard : life.heard) EXPECT_EQ(heard.ask, Ask::kMigrate);
  }
  world.Begin(Plan());
  world.RunUntilDrained();
  const DrainReport report = world.drain().report(world.now());
  EXPECT_EQ(report.closed, 300);
  ExpectBooksInOrder(report);
}

bool Readable(int fd) {
  pollfd polled = {fd, POLLIN, 0};
  return poll(&polled, 1, 0) == 1;
}

TEST_P(MovingTest, AnAttemptBeforeTheCommitIsTakenBackAndCanBeRepeated) {
  WorldOptions options;
  options.refused_share = 1;
  options.deaf_share = 0.1;
  DrainWorld world(GetParam(), options);
  world.Open(300);
  world.RunFor(absl::Seconds(2));
  for (size_t attempt = 1; attempt <= 3; ++attempt) {
    world.BeginMoving();
    world.TickNow();
    world.RunFor(absl::Seconds(5));
    for (Life& life : world.lives()) {
      EXPECT_EQ(life.heard.size(), attempt);
      EXPECT_EQ(life.ticket.Asked(), life.deaf ? Ask::kMigrate : Ask::kNone);
      EXPECT_TRUE(Readable(life.ticket.AskedFd()));
    }
    world.BreakPair();
    for (Life& life : world.lives()) {
      EXPECT_EQ(life.ticket.Asked(), Ask::kNone);
      EXPECT_FALSE(Readable(life.ticket.AskedFd()));
    }
    world.RunFor(absl::Seconds(1));
  }
  for (const Life& life : world.lives()) {
    EXPECT_EQ(life.came_back, life.deaf ? 0 : 3);
    for (const Heard& heard : life.heard) EXPECT_EQ(heard.ask, Ask::kMigrate);
  }
}

TEST(DrainClassTest, EachKindHasItsOwnTimes) {
  DrainWorld world(1);
  world.Open(200);
  std::vector<Ticket> jobs;
  std::vector<Ask> heard(50, Ask::kNone);
  for (int i = 0; i < 50; ++i) {
    jobs.push_back(world.table().Enter(world.table().Kind("job")));
    jobs.back().OnAsk([&heard, i](Ask ask) { heard[i] = ask; });
  }
  DrainPlan plan = Plan();
  plan.classes["job"].deadline = absl::Seconds(200);
  plan.classes["job"].goodbye = false;
  world.Begin(plan);
  world.RunFor(absl::Seconds(100));
  EXPECT_EQ(Count(&world, [](const Life& life) { return !life.gone(); }), 0);
  EXPECT_THAT(heard, ::testing::Each(Ask::kNone));
  EXPECT_FALSE(world.drain().drained());
  world.RunUntilDrained();
  EXPECT_THAT(heard, ::testing::Each(Ask::kCloseNow));
  EXPECT_EQ(world.drain().report(world.now()).late, 50);
  EXPECT_GE(world.now() - world.began(), absl::Seconds(199));
}

TEST(DrainClassTest, AClassThatHasEndedHoldsNobodyUp) {
  DrainWorld world(1);
  std::vector<Ticket> jobs;
  for (int i = 0; i < 50; ++i) jobs.push_back(world.table().Enter(world.table().Kind("job")));
  DrainPlan plan = Plan();
  plan.deadline = absl::Seconds(1000);
  plan.classes["job"].deadline = absl::Seconds(20);
  world.Begin(plan);
  EXPECT_LE(world.RunUntilDrained(), absl::Seconds(23));
  EXPECT_EQ(world.drain().report(world.now()).late, 50);
}

}  // namespace
}  // namespace zdd
