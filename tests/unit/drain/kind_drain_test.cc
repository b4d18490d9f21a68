// Drains of one kind of work alone, in virtual time: whom they touch, how they are cancelled, and
// how they become part of the drain of all. And what is told of a drain while it goes on.
#include <poll.h>

#include <algorithm>
#include <cstdint>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/unit/drain/drain_world.h"
#include "tests/unit/drain/virtual_time.h"
#include "zdd/base/time.h"
#include "zdd/drain/ask.h"
#include "zdd/drain/drain.h"
#include "zdd/drain/drain_report.h"
#include "zdd/drain/end_rate.h"
#include "zdd/drain/plan.h"
#include "zdd/drain/ticket.h"
#include "zdd/drain/ticket_table.h"

namespace zdd {
namespace {

using ::testing::IsEmpty;
using ::testing::SizeIs;

// The longest that the loop sleeps while it drains.
constexpr absl::Duration kPeriod = absl::Milliseconds(100);

void ExpectRising(const Life& life) {
  for (size_t i = 1; i < life.heard.size(); ++i) {
    EXPECT_GT(life.heard[i].ask, life.heard[i - 1].ask);
  }
}

// How many asks each has heard.
std::vector<size_t> HeardSoFar(DrainWorld* world) {
  std::vector<size_t> counts;
  for (const Life& life : world->lives()) counts.push_back(life.heard.size());
  return counts;
}

class KindDrainTest : public ::testing::TestWithParam<uint32_t> {
 protected:
  void SetUp() override {
    random_.seed(GetParam());
    plan_ = RandomPlan(&random_);
    plan_.delay = absl::ZeroDuration();
    options_ = RandomOptions(&random_);
    options_.arrivals_per_second = 0;
  }
  absl::Duration Slack() const { return kPeriod * 2 + options_.late_tick_max * 40; }
  absl::Duration AnyTimeOf(absl::Duration whole) {
    return whole * std::uniform_real_distribution<double>(0, 1)(random_);
  }
  std::mt19937 random_;
  DrainPlan plan_;
  WorldOptions options_;
};

INSTANTIATE_TEST_SUITE_P(Seeds, KindDrainTest, ::testing::Range(1u, 41u));

TEST_P(KindDrainTest, ThatKindIsDrainedByItsPlanAndNoOtherHearsAThing) {
  DrainWorld world(GetParam(), options_);
  world.Open(150, "http");
  world.Open(150, "admin");
  const Instant began = world.now();
  world.BeginKind("http", plan_);
  const absl::Duration took = world.RunWhileAlone("http");
  EXPECT_LE(took, plan_.deadline + plan_.linger + Slack());
  for (const Life& life : world.lives()) {
    ExpectRising(life);
    if (life.kind == "admin") {
      EXPECT_THAT(life.heard, IsEmpty());
      EXPECT_EQ(life.ticket.Asked(), Ask::kNone);
    } else {
      EXPECT_TRUE(life.gone() || life.ticket.Asked() == Ask::kCloseNow);
      EXPECT_GE(life.HeardAt(Ask::kCloseNow), began + plan_.deadline - plan_.cut_spread);
    }
  }
  const std::vector<KindEnd> ended = world.drain().TakeEnded();
  ASSERT_THAT(ended, SizeIs(1));
  EXPECT_EQ(ended[0].kind, "http");
  const DrainReport& report = ended[0].report;
  EXPECT_TRUE(report.drained);
  EXPECT_EQ(report.reason, "test of one");
  EXPECT_EQ(report.entered, 150);
  EXPECT_EQ(report.entered, report.ended() + report.late);
  EXPECT_EQ(report.late, static_cast<int64_t>(report.stragglers.size()));
  for (const Straggler& straggler : report.stragglers) EXPECT_EQ(straggler.kind, "http");
  EXPECT_EQ(world.drain().state(), DrainState::kServing);
}

TEST_P(KindDrainTest, NobodyIsAskedAfterACancelAtAnyTime) {
  DrainWorld world(GetParam(), options_);
  world.Open(200, "http");
  world.BeginKind("http", plan_);
  world.RunWhileAlone("http", AnyTimeOf(plan_.deadline));
  if (!world.drain().DrainsAlone("http")) return;
  world.CancelKind("http");
  EXPECT_EQ(world.drain().Tick(world.now()), absl::InfiniteDuration());
  const std::vector<size_t> heard = HeardSoFar(&world);
  world.Open(20, "other");
  world.BeginKind("other", plan_);
  Life* const late = world.OpenOne("http");
  EXPECT_EQ(late->ticket.Asked(), Ask::kNone);
  world.RunFor(absl::Minutes(2));
  for (size_t i = 0; i < heard.size(); ++i) EXPECT_EQ(world.lives()[i].heard.size(), heard[i]);
  for (const Life& life : world.lives()) {
    if (!life.ticket.valid() || life.ticket.Asked() == Ask::kNone) continue;
    EXPECT_TRUE(life.deaf);  // who was told goodbye has gone after its next response
  }
  const std::vector<KindEnd> ended = world.drain().TakeEnded();
  ASSERT_THAT(ended, SizeIs(2));
  EXPECT_EQ(ended[0].kind, "http");
  EXPECT_FALSE(ended[0].report.drained);
}

TEST_P(KindDrainTest, ACallbackMayCancel) {
  DrainWorld world(GetParam(), options_);
  world.Open(200, "http");
  world.Open(70, "admin");
  world.Open(100, "slow");
  world.BeginKind("http", plan_);
  world.BeginKind("admin", plan_);
  std::vector<size_t> heard;
  const int which = std::uniform_int_distribution<int>(1, 300)(random_);
  int asks = 0;
  world.Also([&](Life*, Ask) {
    if (++asks != which || !world.drain().DrainsAlone("http")) return;
    world.CancelKind("http");
    heard = HeardSoFar(&world);
    DrainPlan slow;
    slow.spread = slow.grace = absl::Hours(1);
    slow.deadline = absl::Hours(4);
    world.BeginKind("slow", slow);
  });
  world.RunWhileAlone("admin");
  world.RunFor(absl::Seconds(1));
  for (size_t i = 0; i < heard.size(); ++i) {
    if (world.lives()[i].kind != "http") continue;
    EXPECT_EQ(world.lives()[i].heard.size(), heard[i]);
  }
  const auto told = std::count_if(world.lives().begin(), world.lives().end(), [](auto& life) {
    return life.kind == "slow" && !life.heard.empty();
  });
  EXPECT_LE(told, 10);  // in a minute or two of an hour
}

TEST_P(KindDrainTest, TheDrainOfAllTakesItOverAndOnlyShortensIt) {
  DrainWorld world(GetParam(), options_);
  world.Open(150, "http");
  world.Open(50, "admin");
  const Instant began = world.now();
  world.BeginKind("http", plan_);
  world.RunWhileAlone("http", AnyTimeOf(plan_.deadline));
  const bool alone = world.drain().DrainsAlone("http");
  world.drain().TakeEnded();
  DrainPlan plan = RandomPlan(&random_);
  plan.delay = absl::ZeroDuration();
  plan = Fitted(plan).plan;
  world.Begin(plan);
  EXPECT_FALSE(world.drain().DrainsAlone("http"));
  EXPECT_FALSE(world.drain().CancelKind("http", world.now()));
  if (alone) {
    const std::vector<KindEnd> ended = world.drain().TakeEnded();
    ASSERT_THAT(ended, SizeIs(1));
    EXPECT_FALSE(ended[0].report.drained);
  }
  world.RunUntilDrained();
  EXPECT_TRUE(world.drain().drained());
  // Its cut may be spread as either plan says.
  const absl::Duration cut_spread = std::max(plan_.cut_spread, plan.cut_spread);
  const Instant all = world.began() + plan.deadline;
  const Instant first = std::min(began + plan_.deadline, all);
  for (const Life& life : world.lives()) {
    ExpectRising(life);
    const Instant cut = life.HeardAt(Ask::kCloseNow);
    if (cut == absl::InfiniteDuration()) continue;
    const Instant deadline = life.kind == "http" ? first : all;
    EXPECT_GE(cut, deadline - cut_spread);
    EXPECT_LE(cut, deadline + cut_spread + Slack());
  }
  const DrainReport report = world.drain().report(world.now());
  EXPECT_EQ(report.entered, report.ended() + report.late);
}

TEST_P(KindDrainTest, DrainedAgainAfterACancelNobodyHearsAnAskTwice) {
  DrainWorld world(GetParam(), options_);
  world.Open(200, "http");
  for (int i = 0; i < 4; ++i) {
    world.BeginKind("http", plan_);
    world.RunWhileAlone("http", AnyTimeOf(plan_.deadline));
    if (world.drain().DrainsAlone("http")) world.CancelKind("http");
    world.RunFor(AnyTimeOf(absl::Seconds(2)));
  }
  world.BeginKind("http", plan_);
  world.RunWhileAlone("http");
  for (const Life& life : world.lives()) {
    ExpectRising(life);
    EXPECT_TRUE(life.gone() || life.ticket.Asked() == Ask::kCloseNow);
  }
}

TEST_P(KindDrainTest, WhatMovesThenIsWhoHasNotHeardItsGoodbye) {
  options_.deaf_share = 0;
  DrainWorld world(GetParam(), options_);
  world.Open(200, "http");
  DrainPlan plan;
  world.BeginKind("http", plan);
  world.RunFor(absl::Seconds(5));
  world.BeginMoving();
  world.Begin(plan);
  world.RunUntilDrained();
  int moved = 0;
  for (const Life& life : world.lives()) {
    ExpectRising(life);
    if (!life.moved) continue;
    ++moved;
    EXPECT_EQ(life.HeardAt(Ask::kGoodbye), absl::InfiniteDuration());
  }
  EXPECT_GT(moved, 0);
  const DrainReport report = world.drain().report(world.now());
  EXPECT_EQ(report.moved, moved);
  EXPECT_EQ(report.entered, report.ended());
}

// What had heard its goodbye ends in the time of that, however long the others may take to move.
TEST_P(KindDrainTest, TheCommitHoldsNoGoodbyeBackThatWasUnderWay) {
  WorldOptions options;
  options.rest = absl::Hours(1);
  DrainPlan plan;
  plan.delay = absl::ZeroDuration();
  plan.spread = absl::Seconds(4);
  plan.grace = absl::Seconds(2);
  plan.deadline = absl::Minutes(10);
  DrainWorld world(GetParam(), options);
  world.Open(200);
  world.RunFor(absl::Seconds(1));
  world.BeginKind("http", plan);
  world.RunFor(absl::Seconds(2));
  world.BeginMoving();
  world.Begin(plan);
  EXPECT_LE(world.RunUntilDrained(), absl::Seconds(8));
}

// ---- Its end

WorldOptions Endless() {
  WorldOptions options;
  options.work = absl::InfiniteDuration();
  return options;
}

TEST(KindDrainTest, TheLastOneToLeaveEndsItWithoutWaitingForATick) {
  DrainWorld world(1, Endless());
  Life* const life = world.OpenOne("http");
  world.OpenOne("admin");
  world.BeginKind("http", DrainPlan());
  world.RunFor(absl::Seconds(21));
  ASSERT_TRUE(world.drain().DrainsAlone("http"));
  VirtualTime::Advance(absl::Milliseconds(1));
  world.Close(life);
  EXPECT_EQ(world.RunWhileAlone("http"), absl::ZeroDuration());
}

TEST(KindDrainTest, NobodyThereIsDrainedAtOnce) {
  DrainWorld world(1);
  world.Open(3, "admin");
  world.BeginKind("http", DrainPlan());
  world.TickNow();
  EXPECT_FALSE(world.drain().DrainsAlone("http"));
  EXPECT_THAT(world.drain().TakeEnded(), SizeIs(1));
  EXPECT_THAT(world.drain().TakeEnded(), IsEmpty());
}

TEST(KindDrainTest, WhoEntersAfterItsEndIsAskedNothing) {
  DrainWorld world(1);
  world.BeginKind("http", DrainPlan());
  world.TickNow();
  Life* const late = world.OpenOne("http");
  world.RunFor(absl::Minutes(5));
  EXPECT_THAT(late->heard, IsEmpty());
  world.BeginKind("http", DrainPlan());
  world.RunWhileAlone("http");
  EXPECT_THAT(late->heard, SizeIs(1));
}

TEST(KindDrainTest, AnAcceptorsTicketBelongsToIt) {
  DrainWorld world(1);
  ASSERT_TRUE(
      world.drain().BeginKind({"http", "acceptor of http"}, DrainPlan(), "test", world.now()).ok());
  Ticket acceptor = world.table().Enter(world.table().Kind("acceptor of http"));
  world.TickNow();
  world.RunFor(absl::Seconds(5));
  EXPECT_TRUE(world.drain().DrainsAlone("http"));
  acceptor.Reset();
  EXPECT_EQ(world.RunWhileAlone("http"), absl::ZeroDuration());
}

TEST(KindDrainTest, APlanOfItsOwnCounts) {
  DrainWorld world(1, Endless());
  world.Open(10, "http");
  DrainPlan plan;
  plan.classes["http"].deadline = absl::Seconds(4);
  world.BeginKind("http", plan);
  EXPECT_LE(world.RunWhileAlone("http"), absl::Seconds(4) + plan.linger + kPeriod * 2);
}

// ---- AskedFd

bool Readable(int fd) {
  pollfd polled = {fd, POLLIN, 0};
  return poll(&polled, 1, 0) == 1;
}

TEST(KindDrainTest, AskedFdsAreReadableOnlyWhileItDrains) {
  DrainWorld world(1);
  Ticket ticket = world.table().Enter(world.table().Kind("http"));
  const int fd = ticket.AskedFd();
  DrainPlan plan;
  plan.spread = plan.grace = absl::ZeroDuration();
  for (int i = 0; i < 2; ++i) {
    EXPECT_FALSE(Readable(fd));
    world.BeginKind("http", plan);
    world.RunFor(absl::Seconds(1));
    EXPECT_TRUE(Readable(fd));
    world.CancelKind("http");
    EXPECT_FALSE(Readable(fd));
    EXPECT_TRUE(ticket.ShouldClose());  // it was said
  }
}

// ---- Errors

TEST(KindDrainTest, ASecondOneOrOneDuringTheDrainOfAllIsRefused) {
  DrainWorld world(1, Endless());
  world.OpenOne("http");
  world.BeginKind("http", DrainPlan());
  EXPECT_TRUE(absl::IsFailedPrecondition(
      world.drain().BeginKind({"http"}, DrainPlan(), "again", world.now())));
  world.Begin(DrainPlan());
  EXPECT_TRUE(absl::IsFailedPrecondition(
      world.drain().BeginKind({"admin"}, DrainPlan(), "late", world.now())));
  EXPECT_FALSE(world.drain().CancelKind("admin", world.now()));
}

TEST(KindDrainTest, MoreThanThereAreClassesAreRefusedUntilOneIsOver) {
  DrainWorld world(1, Endless());
  for (int i = 1; i < kDrainClassesMax; ++i) {
    const std::string kind = absl::StrCat("kind ", i);
    world.OpenOne(kind);
    world.BeginKind(kind, DrainPlan());
  }
  EXPECT_TRUE(absl::IsResourceExhausted(
      world.drain().BeginKind({"one more"}, DrainPlan(), "test", world.now())));
  world.CancelKind("kind 7");
  EXPECT_TRUE(world.drain().BeginKind({"one more"}, DrainPlan(), "test", world.now()).ok());
}

TEST(KindDrainTest, AKindWithoutANumberOfItsOwnIsRefused) {
  DrainWorld world(1);
  for (int i = 0; i < 255; ++i) world.table().Kind(absl::StrCat("kind ", i));
  EXPECT_TRUE(absl::IsResourceExhausted(
      world.drain().BeginKind({"http"}, DrainPlan(), "test", world.now())));
}

// ---- Progress

TEST(DrainProgressTest, TellsTheRateAndByItTheEndOnceAllHaveBeenAsked) {
  DrainWorld world(1, Endless());
  world.Open(100);
  DrainPlan plan;
  plan.spread = absl::Seconds(1);
  plan.grace = absl::Seconds(1);
  plan.deadline = absl::Minutes(10);
  world.Begin(plan);
  world.RunFor(absl::Seconds(10));
  EXPECT_EQ(world.drain().progress(world.now()).expected,
            world.drain().progress(world.now()).at_most);
  for (size_t i = 0; i < 50; ++i) {
    world.Close(&world.lives()[i]);
    world.RunFor(absl::Milliseconds(200));
  }
  const DrainProgress progress = world.drain().progress(world.now());
  EXPECT_EQ(progress.state, "waiting");
  EXPECT_NEAR(progress.ended_per_second, 5, 0.5);
  EXPECT_NEAR(absl::ToDoubleSeconds(progress.expected), 10, 1);
  EXPECT_EQ(progress.so_far.closed, 50);
  EXPECT_EQ(progress.so_far.entered, 100);
}

TEST(DrainProgressTest, OfAKindThatDrainsAloneAndOfOneThatDoesNot) {
  DrainWorld world(1, Endless());
  world.Open(20, "http");
  world.Open(5, "admin");
  world.BeginKind("http", DrainPlan());
  world.RunFor(absl::Seconds(1));
  world.Close(&world.lives()[0]);
  const DrainProgress progress = world.drain().KindProgress("http", world.now());
  EXPECT_EQ(progress.state, "asking");
  EXPECT_EQ(progress.so_far.entered, 20);
  EXPECT_EQ(progress.so_far.ended(), 1);
  EXPECT_GT(progress.expected, absl::Seconds(15));
  EXPECT_GT(progress.at_most, absl::Seconds(25));
  EXPECT_EQ(world.drain().KindProgress("admin", world.now()).state, "serving");
  EXPECT_EQ(world.drain().progress(world.now()).state, "serving");
}

TEST(EndRateTest, IsOfTheLastSecondsOnly) {
  EndRate rate;
  Instant now = absl::Seconds(100);
  EXPECT_EQ(rate.PerSecond(now, 0), 0);
  for (int i = 0; i < 200; ++i) {  // 20 s, 10 in each
    rate.Add(now, i);
    now += absl::Milliseconds(100);
  }
  EXPECT_NEAR(rate.PerSecond(now, 200), 10, 0.5);
  EXPECT_NEAR(rate.PerSecond(now + absl::Seconds(5), 200), 0, 0.5);
}

}  // namespace
}  // namespace zdd
