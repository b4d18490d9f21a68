// Whole drains in virtual time: what must hold for each ticket, for any plan, arrivals and luck.
#include "zdd/drain/drain.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <map>
#include <memory>
#include <random>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/unit/drain/drain_world.h"
#include "tests/unit/drain/virtual_time.h"

namespace zdd {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

// The longest that the loop sleeps while it drains.
constexpr absl::Duration kPeriod = absl::Milliseconds(100);

DrainPlan Plan(absl::Duration delay, absl::Duration spread, absl::Duration grace,
               absl::Duration deadline) {
  DrainPlan plan;
  plan.delay = delay;
  plan.spread = spread;
  plan.grace = grace;
  plan.deadline = deadline;
  return plan;
}

void ExpectRising(const Life& life) {
  for (size_t i = 1; i < life.heard.size(); ++i) {
    EXPECT_GT(life.heard[i].ask, life.heard[i - 1].ask);
  }
}

// Not while it is busy, and `grace` after its goodbye, which it may have been born with.
void ExpectGrace(const Life& life, absl::Duration grace) {
  for (size_t i = 0; i < life.heard.size(); ++i) {
    if (life.heard[i].ask != Ask::kCloseWhenIdle) continue;
    EXPECT_FALSE(life.heard[i].busy);
    const Instant goodbye = i == 0 ? life.entered : life.heard[i - 1].at;
    EXPECT_GE(life.heard[i].at, goodbye + grace);
  }
}

void ExpectBooksInOrder(const DrainReport& report) {
  EXPECT_EQ(report.entered, report.finished + report.closed + report.cut + report.late);
}

class RandomDrainTest : public ::testing::TestWithParam<uint32_t> {
 protected:
  void SetUp() override {
    std::mt19937 random(GetParam());
    plan_ = RandomPlan(&random);
    options_ = RandomOptions(&random);
  }
  DrainPlan plan_;
  WorldOptions options_;
};

INSTANTIATE_TEST_SUITE_P(Seeds, RandomDrainTest, ::testing::Range(1u, 61u));

TEST_P(RandomDrainTest, EachTicketHearsEachAskOnceInOrderAndInItsTime) {
  DrainWorld world(GetParam(), options_);
  world.Open(300);
  world.RunFor(absl::Seconds(2));
  for (const Life& life : world.lives()) EXPECT_THAT(life.heard, IsEmpty());
  world.Begin(plan_);
  const absl::Duration took = world.RunUntilDrained();

  const Instant cut_time = world.began() + plan_.deadline - plan_.cut_spread;
  for (const Life& life : world.lives()) {
    ExpectRising(life);
    ExpectGrace(life, plan_.grace);
    EXPECT_GE(life.HeardAt(Ask::kGoodbye), world.began() + plan_.delay);
    EXPECT_GE(life.HeardAt(Ask::kCloseNow), cut_time);
  }
  EXPECT_TRUE(world.drain().drained());
  EXPECT_LE(took, plan_.deadline + plan_.linger + kPeriod * 2 + options_.late_tick_max * 40);
}

TEST_P(RandomDrainTest, TheReportAccountsForEachTicketAndNamesWhoIsLeft) {
  DrainWorld world(GetParam(), options_);
  world.Open(300);
  world.Begin(plan_);
  world.RunUntilDrained();
  const DrainReport report = world.drain().report(world.now());

  const auto& lives = world.lives();
  const auto left = std::count_if(lives.begin(), lives.end(), [](auto& one) { return one.gone(); });
  EXPECT_EQ(report.entered, static_cast<int64_t>(lives.size()));
  EXPECT_EQ(report.finished + report.closed + report.cut, left);
  ExpectBooksInOrder(report);
  EXPECT_EQ(report.stragglers.size(),
            std::min<size_t>(lives.size() - left, DrainReport::kStragglersMax));
  for (const Life& life : lives) {
    EXPECT_TRUE(life.gone() || life.ticket.Asked() == Ask::kCloseNow);
  }
}

TEST_P(RandomDrainTest, WhoComesLateHearsAtOnceWhatTheOthersHeard) {
  DrainWorld world(GetParam(), options_);
  world.Open(100);
  world.Begin(plan_);
  world.RunFor(plan_.delay + plan_.spread + kPeriod * 3 + options_.late_tick_max * 40);
  Life* late = world.OpenOne();
  EXPECT_TRUE(late->ticket.ShouldClose());
  world.TickNow();
  ASSERT_THAT(late->heard, SizeIs(1));
  EXPECT_EQ(late->heard[0].at, late->entered);
}

TEST_P(RandomDrainTest, StoppingAtAnyTimeOnlyShortensAndASecondBeginOnlyRenames) {
  options_.arrivals_per_second = 0;  // else luck decides when nobody is there
  options_.deaf_share = 0;
  DrainWorld unstopped(GetParam(), options_);
  unstopped.Open(200);
  unstopped.Begin(plan_);
  const absl::Duration full = unstopped.RunUntilDrained();
  unstopped.lives().clear();

  DrainWorld world(GetParam(), options_);
  world.Open(200);
  world.Begin(plan_);
  std::mt19937 random(GetParam());
  const absl::Duration before = full * std::uniform_real_distribution<double>(0, 1)(random);
  const absl::Duration took = world.RunUntilDrained(before);
  world.drain().Stop();
  world.Begin(Plan(absl::Hours(1), absl::Hours(1), absl::Hours(1), absl::Hours(9)));
  world.drain().Begin(DrainPlan(), "another reason", world.now());
  const absl::Duration rest = world.RunUntilDrained();
  EXPECT_LE(took + rest, full + kPeriod + options_.work * 3 + options_.rest * 3);
  EXPECT_EQ(world.drain().report(world.now()).reason, "another reason");
  for (const Life& life : world.lives()) ExpectRising(life);
}

TEST_P(RandomDrainTest, CallbacksMayEndTicketsEnterOthersAndCallTheDrain) {
  DrainWorld world(GetParam(), options_);
  std::mt19937 random(GetParam());
  int budget = 500;
  world.Also([&](Life* life, Ask) {
    if (--budget < 0) return;
    const int choice = std::uniform_int_distribution<int>(0, 7)(random);
    if (choice == 0) world.Close(life);
    if (choice == 1) world.OpenOne();
    if (choice == 2) world.Close(&world.lives()[random() % world.lives().size()]);
    if (choice == 3) world.drain().Begin(DrainPlan(), "inside", world.now());
    if (choice == 4) world.drain().Tick(world.now());  // does nothing
    if (choice == 5 && !life->gone()) {
      life->ticket.OnAsk([life](Ask ask) {
        life->heard.push_back({ask, VirtualTime::Now(), life->busy});
      });
    }
    if (choice == 6 && budget < 100) world.drain().Stop();
    if (choice == 7 && budget < 20) world.drain().Cut(world.now());
  });
  world.Open(200);
  world.Begin(plan_);
  world.RunUntilDrained();
  EXPECT_TRUE(world.drain().drained());
  for (const Life& life : world.lives()) ExpectRising(life);
  ExpectBooksInOrder(world.drain().report(world.now()));
}

TEST_P(RandomDrainTest, AfterAnHourOfSleepNothingComesInABurst) {
  options_.late_tick_max = absl::ZeroDuration();
  plan_ = Plan(absl::ZeroDuration(), absl::Seconds(10), absl::Seconds(5), absl::Minutes(1));
  options_.deaf_share = 0;
  options_.arrivals_per_second = 0;
  options_.rest = absl::InfiniteDuration();
  options_.work = absl::Milliseconds(1);
  DrainWorld world(GetParam(), options_);
  world.Open(1600);
  world.RunFor(absl::Seconds(1));
  world.Begin(plan_);
  world.RunFor(absl::Milliseconds(100) * (GetParam() % 60));
  world.Sleep(absl::Hours(1));
  world.RunUntilDrained();

  std::map<std::pair<Instant, Ask>, int> asked;
  for (const Life& life : world.lives()) {
    for (const Heard& heard : life.heard) ++asked[{heard.at, heard.ask}];
  }
  for (const auto& [when, count] : asked) {
    EXPECT_LE(count, 1600 / 16 + 5 * std::sqrt(1600 / 16))
        << AskName(when.second) << " at " << when.first - world.began();
  }
}

// ---- The shape of a drain

TEST(DrainTest, GoodbyesAreSpreadEvenlyWhateverTheTraffic) {
  constexpr int kCount = 5000;
  for (absl::Duration rest : {absl::Milliseconds(200), absl::InfiniteDuration()}) {
    WorldOptions options;
    options.rest = rest;
    options.deaf_share = 1;  // so that all are there to hear it
    DrainWorld world(7, options);
    world.Open(kCount);
    const DrainPlan plan =
        Plan(absl::Seconds(2), absl::Seconds(10), absl::Seconds(1), absl::Seconds(30));
    world.Begin(plan);
    world.RunFor(absl::Seconds(13));
    std::array<int, 10> tenths = {};
    for (const Life& life : world.lives()) {
      const absl::Duration after = life.HeardAt(Ask::kGoodbye) - world.began() - plan.delay;
      ASSERT_GE(after, absl::ZeroDuration());
      const int64_t tenth = absl::ToInt64Milliseconds(after - kPeriod / 2) / 1000;
      ++tenths[static_cast<size_t>(std::clamp<int64_t>(tenth, 0, 9))];
    }
    for (int count : tenths) {
      EXPECT_NEAR(count, kCount / 10, 5 * std::sqrt(kCount / 10));
    }
  }
}

TEST(DrainTest, WithoutSpreadAndGraceItNotifiesAllAndThenDropsAllThatAreIdle) {
  WorldOptions options;
  options.work = absl::InfiniteDuration();
  DrainWorld world(1, options);
  world.Open(130);
  for (size_t i = 0; i < 65; ++i) {
    world.lives()[i].busy = false;
    world.lives()[i].ticket.SetBusy(false);
  }
  world.Begin(
      Plan(absl::ZeroDuration(), absl::ZeroDuration(), absl::ZeroDuration(), absl::Seconds(10)));
  world.TickNow();
  for (size_t i = 0; i < 130; ++i) {
    const Life& life = world.lives()[i];
    ASSERT_EQ(life.heard.size(), i < 65 ? 2u : 1u);
    EXPECT_EQ(life.heard[0].ask, Ask::kGoodbye);
    EXPECT_EQ(life.gone(), i < 65);
  }
  EXPECT_EQ(world.drain().state(), DrainState::kWaiting);
}

TEST(DrainTest, ABusyOneIsClosedSoonAfterItBecomesIdle) {
  DrainWorld world(1);
  Life* life = world.OpenOne();
  life->deaf = true;
  world.Begin(
      Plan(absl::ZeroDuration(), absl::ZeroDuration(), absl::ZeroDuration(), absl::Seconds(10)));
  world.TickNow();
  ASSERT_THAT(life->heard, SizeIs(1));
  life->busy = false;
  life->ticket.SetBusy(false);
  VirtualTime::Advance(kPeriod);
  world.TickNow();
  EXPECT_EQ(life->heard.back().ask, Ask::kCloseWhenIdle);
}

TEST(DrainTest, NobodyThereIsDrainedAtOnceButNotBeforeTheLameDuckIsOver) {
  DrainWorld world(1);
  world.Begin(DrainPlan());
  EXPECT_TRUE(world.drain().accepting() || world.drain().drained());
  world.TickNow();
  EXPECT_TRUE(world.drain().drained());

  DrainWorld lame(1);
  lame.Begin(Plan(absl::Seconds(5), absl::ZeroDuration(), absl::ZeroDuration(), absl::Seconds(9)));
  lame.TickNow();
  EXPECT_TRUE(lame.drain().accepting());
  EXPECT_EQ(lame.RunUntilDrained(), absl::Seconds(5));
}

TEST(DrainTest, TheLastOneToLeaveEndsItWithoutWaitingForATick) {
  WorldOptions options;
  options.work = absl::InfiniteDuration();
  DrainWorld world(1, options);
  Life* life = world.OpenOne();
  world.Begin(Plan(absl::ZeroDuration(), absl::Seconds(10), absl::Seconds(10), absl::Minutes(9)));
  world.RunFor(absl::Seconds(21));
  ASSERT_FALSE(world.drain().drained());
  VirtualTime::Advance(absl::Milliseconds(1));
  world.Close(life);
  EXPECT_EQ(world.RunUntilDrained(), absl::ZeroDuration());
}

TEST(DrainTest, ManyLeavingWakeItOncePerMillisecondAtTheMost) {
  DrainWorld world(1);
  world.Open(1000);
  int wakes = 0;
  world.table().SetWake([&] { ++wakes; });
  world.Begin(DrainPlan());
  world.TickNow();
  for (size_t i = 0; i < 900; ++i) world.Close(&world.lives()[i]);
  EXPECT_EQ(wakes, 1);
  world.drain().Tick(world.now());
  for (size_t i = 900; i < 950; ++i) world.Close(&world.lives()[i]);
  EXPECT_EQ(wakes, 1);
  VirtualTime::Advance(Drain::kRecountPeriod);
  world.drain().Tick(world.now());
  world.Close(&world.lives()[950]);
  EXPECT_EQ(wakes, 2);
}

TEST(DrainTest, CutBeginsTheCutNowAndSpreadsIt) {
  WorldOptions options;
  options.work = absl::InfiniteDuration();
  options.deaf_share = 1;
  DrainWorld world(1, options);
  world.Open(1000);
  world.Begin(DrainPlan());
  world.RunFor(absl::Seconds(1));
  world.drain().Cut(world.now());
  const Instant asked = world.now();
  world.TickNow();
  world.RunUntilDrained();
  Instant first = absl::InfiniteDuration();
  Instant last = asked;
  for (const Life& life : world.lives()) {
    first = std::min(first, life.HeardAt(Ask::kCloseNow));
    last = std::max(last, life.HeardAt(Ask::kCloseNow));
  }
  EXPECT_GE(first, asked);
  EXPECT_LE(first, asked + kPeriod);
  EXPECT_GE(last, asked + absl::Milliseconds(950));
  EXPECT_LE(last, asked + absl::Milliseconds(1100));
  const DrainReport report = world.drain().report(world.now());
  EXPECT_EQ(report.late, 1000);
  EXPECT_THAT(report.stragglers, SizeIs(DrainReport::kStragglersMax));
}

TEST(DrainTest, ATickIsBoundedWithAHundredThousandTickets) {
  std::shared_ptr<TicketTable> table = TicketTable::Create(&VirtualTime::Now);
  std::vector<Ticket> tickets;
  for (int i = 0; i < 100000; ++i) tickets.push_back(table->Enter(table->Kind("http")));
  int heard = 0;
  for (Ticket& ticket : tickets) ticket.OnAsk([&heard](Ask) { ++heard; });
  VirtualTime::SetCostPerReading(absl::Microseconds(5));  // as if a chunk of 64 took so long
  Drain drain(table);
  drain.Begin(Plan(absl::ZeroDuration(), absl::ZeroDuration(), absl::Seconds(9), absl::Minutes(1)),
              "test", VirtualTime::Now());
  int ticks = 0;
  int most = 0;
  while (heard < 100000 && ticks < 1000) {
    const int before = heard;
    const Instant next = drain.Tick(VirtualTime::Now());
    most = std::max(most, heard - before);
    if (next > VirtualTime::Now()) VirtualTime::Set(next);
    ++ticks;
  }
  VirtualTime::SetCostPerReading(absl::ZeroDuration());
  EXPECT_EQ(heard, 100000);
  EXPECT_LE(most, 64 * 1000 / 5 + 64);
}

// ---- Who is late, and the end

TEST(DrainTest, WhoEntersAfterTheEndIsLateAndToldToCloseNow) {
  DrainWorld world(1);
  world.Begin(DrainPlan());
  world.TickNow();
  ASSERT_TRUE(world.drain().drained());
  Life* late = world.OpenOne();
  EXPECT_EQ(late->ticket.Asked(), Ask::kCloseNow);
  world.TickNow();
  EXPECT_THAT(late->heard, SizeIs(1));
  EXPECT_TRUE(late->gone());
  const DrainReport report = world.drain().report(world.now());
  EXPECT_EQ(report.late, 1);
  ExpectBooksInOrder(report);
}

TEST(DrainTest, TheReportIsFrozenAtTheEnd) {
  WorldOptions options;
  options.work = absl::InfiniteDuration();
  options.deaf_share = 1;
  DrainWorld world(1, options);
  Life* stuck = world.OpenOne();
  world.Begin(
      Plan(absl::ZeroDuration(), absl::ZeroDuration(), absl::ZeroDuration(), absl::Seconds(3)));
  const absl::Duration took = world.RunUntilDrained();
  EXPECT_GE(took, absl::Seconds(5));  // deadline + linger
  world.Close(stuck);
  world.RunFor(absl::Hours(1));
  const DrainReport report = world.drain().report(world.now());
  EXPECT_TRUE(report.drained);
  EXPECT_EQ(report.duration, took);
  EXPECT_EQ(report.late, 1);
  EXPECT_EQ(report.cut, 0);
  ASSERT_THAT(report.stragglers, SizeIs(1));
  EXPECT_EQ(report.stragglers[0].kind, "http");
  EXPECT_EQ(report.stragglers[0].age, took);
  EXPECT_TRUE(report.stragglers[0].busy);
}

TEST(DrainTest, StragglersAreNamedOldestFirst) {
  WorldOptions options;
  options.work = absl::InfiniteDuration();
  options.deaf_share = 1;
  DrainWorld world(1, options);
  for (int i = 0; i < 3; ++i) {
    world.OpenOne();
    VirtualTime::Advance(absl::Seconds(60));
    world.table().SetClock(world.now());
  }
  world.Begin(DrainPlan());
  world.RunUntilDrained();
  const DrainReport report = world.drain().report(world.now());
  ASSERT_THAT(report.stragglers, SizeIs(3));
  EXPECT_GT(report.stragglers[0].age, report.stragglers[1].age);
  EXPECT_GT(report.stragglers[1].age, report.stragglers[2].age);
}

TEST(DrainTest, ProgressCountsByKindAndForetellsTheEnd) {
  WorldOptions options;
  options.work = absl::InfiniteDuration();
  DrainWorld world(1, options);
  world.Open(3);
  world.lives()[0].ticket.SetBusy(false);
  Ticket job = world.table().Enter(world.table().Kind("job"));
  world.Begin(DrainPlan());
  world.RunFor(absl::Seconds(3));
  const DrainProgress progress = world.drain().progress(world.now());
  EXPECT_EQ(progress.state, "asking");
  const TicketCounts counts = world.table().Count();
  EXPECT_EQ(counts.total, 4);
  EXPECT_EQ(counts.busy, 3);
  EXPECT_EQ(counts.idle, 1);
  ASSERT_THAT(counts.by_kind, SizeIs(2));
  EXPECT_EQ(counts.by_kind.at("http").total, 3);
  EXPECT_EQ(counts.by_kind.at("http").idle, 1);
  EXPECT_EQ(counts.by_kind.at("job").busy, 1);
  EXPECT_GT(progress.expected, absl::Seconds(16));
  EXPECT_LE(progress.expected, absl::Seconds(18));
  EXPECT_GT(progress.at_most, absl::Seconds(28));
  EXPECT_LE(progress.at_most, absl::Seconds(30));
  EXPECT_FALSE(progress.so_far.drained);
}

TEST(DrainTest, WhoIsCutIsNamedInTheReport) {
  WorldOptions options;
  options.work = absl::InfiniteDuration();
  DrainWorld world(1, options);
  world.Open(30);
  world.Begin(
      Plan(absl::ZeroDuration(), absl::ZeroDuration(), absl::ZeroDuration(), absl::Seconds(3)));
  world.RunUntilDrained();
  const DrainReport report = world.drain().report(world.now());
  EXPECT_EQ(report.cut, 30);
  ASSERT_THAT(report.at_cut, SizeIs(DrainReport::kAtCutMax));
  EXPECT_EQ(report.at_cut[0].kind, "http");
  EXPECT_TRUE(report.at_cut[0].busy);
  EXPECT_THAT(report.stragglers, IsEmpty());
}

TEST(DrainTest, AnAcceptorsTicketHoldsTheEndBack) {
  DrainWorld world(1);
  Ticket acceptor = world.table().Enter(world.table().Kind("acceptor of http"));
  world.Begin(
      Plan(absl::ZeroDuration(), absl::ZeroDuration(), absl::ZeroDuration(), absl::Seconds(30)));
  world.RunFor(absl::Seconds(10));
  EXPECT_FALSE(world.drain().drained());
  acceptor.Reset();
  EXPECT_EQ(world.RunUntilDrained(), absl::ZeroDuration());
}

TEST(DrainTest, APlanThatDoesNotFitIsShortenedAndTheReportSaysSo) {
  DrainWorld world(1);
  world.Begin(Plan(absl::ZeroDuration(), absl::Seconds(30), absl::Seconds(30), absl::Seconds(31)));
  world.TickNow();
  EXPECT_THAT(world.drain().report(world.now()).adjustments, SizeIs(2));
}

TEST(DrainTest, WithoutADrainTicketsAreBornUnaskedEvenAfterOne) {
  std::shared_ptr<TicketTable> table = TicketTable::Create(&VirtualTime::Now);
  {
    Drain drain(table);
    drain.Begin(DrainPlan(), "test", VirtualTime::Now());
    drain.Tick(VirtualTime::Now());
    EXPECT_TRUE(drain.drained());
  }
  Ticket ticket = table->Enter(table->Kind("http"));
  EXPECT_EQ(ticket.Asked(), Ask::kNone);
}

}  // namespace
}  // namespace zdd
