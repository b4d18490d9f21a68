// Threads enter, leave, set callbacks and hand tickets on while a drain asks them all, cuts them,
// ends and begins again. Under the sanitizers this finds what the other tests cannot.
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <random>
#include <thread>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "zdd/base/time.h"
#include "zdd/drain/drain.h"
#include "zdd/drain/ticket.h"
#include "zdd/drain/ticket_core.h"
#include "zdd/drain/ticket_slab.h"
#include "zdd/drain/ticket_table.h"

namespace zdd {
namespace {

constexpr int kThreads = 3;
constexpr absl::Duration kTime = absl::Milliseconds(1200);

// What a callback may use as long as its ticket lives; freed right after the ticket's end, so that
// a callback that came later is a use after free.
struct Session {
  Ticket ticket;
  std::atomic<int> heard{0};
  std::atomic<bool> alive{true};
  ~Session() {
    ticket.Reset();
    alive = false;
  }
};

std::unique_ptr<Session> Open(TicketTable* table, std::mt19937* random) {
  auto session = std::make_unique<Session>();
  session->ticket = table->Enter(static_cast<uint8_t>((*random)() % 3));
  if ((*random)() % 2 == 0) {
    Session* raw = session.get();
    session->ticket.OnAsk([raw](Ask ask) {
      EXPECT_TRUE(raw->alive);
      EXPECT_GT(ask, Ask::kNone);
      ++raw->heard;
    });
  }
  return session;
}

// Tickets pass from thread to thread.
class Exchange {
 public:
  std::unique_ptr<Session> Swap(std::unique_ptr<Session> mine, size_t place) {
    std::lock_guard<std::mutex> lock(mutex_);
    std::swap(places_[place % places_.size()], mine);
    return mine;
  }

 private:
  std::mutex mutex_;
  std::vector<std::unique_ptr<Session>> places_ = std::vector<std::unique_ptr<Session>>(64);
};

void Work(TicketTable* table, Exchange* exchange, uint32_t seed, const std::atomic<bool>& stop) {
  std::mt19937 random(seed);
  std::vector<std::unique_ptr<Session>> held(100);
  while (!stop) {
    std::unique_ptr<Session>& one = held[random() % held.size()];
    switch (random() % 6) {
      case 0:
      case 1:
        one = Open(table, &random);
        break;
      case 2:
        one.reset();
        break;
      case 3:
        one = exchange->Swap(std::move(one), random());
        break;
      case 4:
        if (one != nullptr) one->ticket.SetBusy(random() % 2 == 0);
        break;
      case 5:
        if (one != nullptr && random() % 4 == 0) {
          one->ticket.OnAsk([raw = one.get()](Ask) { EXPECT_TRUE(raw->alive); });
        }
        break;
    }
    if (one != nullptr && one->ticket.ShouldClose() && random() % 2 == 0) one.reset();
  }
}

// Threads that come and go.
void ComeAndGo(TicketTable* table, const std::atomic<bool>& stop) {
  uint32_t seed = 1000;
  while (!stop) {
    std::thread([&] {
      std::mt19937 random(++seed);
      for (int i = 0; i < 50; ++i) Open(table, &random);
    }).join();
  }
}

DrainPlan FastPlan() {
  DrainPlan plan;
  plan.spread = absl::Milliseconds(10);
  plan.grace = absl::Milliseconds(5);
  plan.deadline = absl::Milliseconds(40);
  plan.cut_spread = absl::Milliseconds(5);
  plan.linger = absl::Milliseconds(5);
  return plan;
}

// As the loop does it, but without sleeping.
int DrainAgainAndAgain(const std::shared_ptr<TicketTable>& table, Instant until) {
  int drains = 0;
  while (MonotonicNow() < until) {
    Drain drain(table);
    drain.Begin(FastPlan(), "stress", MonotonicNow());
    while (!drain.drained() && MonotonicNow() < until) {
      drain.Tick(MonotonicNow());
      if (drain.state() == DrainState::kWaiting) table->Oldest(5);
    }
    const DrainReport report = drain.report(MonotonicNow());
    if (drain.drained()) {
      EXPECT_EQ(report.entered, report.finished + report.closed + report.cut + report.late);
    }
    ++drains;
  }
  return drains;
}

TEST(TicketStressTest, NoCallbackRunsAfterItsTicketsEndAndEveryTicketIsCounted) {
  std::shared_ptr<TicketTable> table = TicketTable::Create();
  for (const char* kind : {"a", "b", "c"}) table->Kind(kind);
  std::atomic<int> wakes{0};
  table->SetWake([&] { ++wakes; });
  std::atomic<bool> stop{false};
  {
    Exchange exchange;
    std::vector<std::thread> threads;
    for (int i = 0; i < kThreads; ++i) {
      threads.emplace_back([&, i] { Work(table.get(), &exchange, 7u + i, stop); });
    }
    threads.emplace_back([&] { ComeAndGo(table.get(), stop); });
    EXPECT_GT(DrainAgainAndAgain(table, MonotonicNow() + kTime), 0);
    stop = true;
    for (std::thread& thread : threads) thread.join();
  }
  EXPECT_GT(wakes, 0);
  EXPECT_EQ(table->Sums().live(), 0);
  EXPECT_EQ(table->Count().total, 0);
}

TEST(TicketStressTest, AThreadThatEndsATicketWaitsForItsCallback) {
  std::shared_ptr<TicketTable> table = TicketTable::Create();
  for (int round = 0; round < 50; ++round) {
    auto session = std::make_unique<Session>();
    session->ticket = table->Enter(0);
    std::atomic<bool> inside{false};
    session->ticket.OnAsk([&, raw = session.get()](Ask) {
      inside = true;
      for (int i = 0; i < 100; ++i) std::this_thread::yield();
      EXPECT_TRUE(raw->alive);
    });
    std::thread ender([&] {
      while (!inside) std::this_thread::yield();
      session.reset();
    });
    Drain drain(table);
    drain.Begin(FastPlan(), "test", MonotonicNow());
    while (!drain.drained()) drain.Tick(MonotonicNow());
    ender.join();
  }
}

void Spin(uint32_t turns) {
  for (std::atomic<uint32_t> i{0}; i < turns; ++i) {
  }
}

// A leaver looks at the mode without a fence of its own; SetMode's ProcessFence stands in for it.
// Without that, 10 tickets ended under the eyes of who used them in 3 seconds.
TEST(TicketStressTest, NoTicketEndsWhileADrainThatHasJustBegunUsesIt) {
  std::shared_ptr<TicketCore> core = TicketCore::Create(&MonotonicNow, 0);
  std::atomic<TicketSlot*> offered{nullptr};
  std::atomic<bool> go{false};
  std::atomic<bool> ended{false};
  std::atomic<bool> stop{false};
  std::thread owner([&] {
    std::minstd_rand random(1);
    while (!stop) {
      ended = false;
      go = false;
      TicketSlot* mine = core->Enter(0, -1);
      offered = mine;
      while (!go && !stop) {
      }
      Spin(random() % 40);
      core->Leave(mine);
      ended.store(true, std::memory_order_release);
      while (offered != nullptr && !stop) {
      }
    }
  });
  std::minstd_rand random(2);
  int ended_in_use = 0;
  for (const Instant until = MonotonicNow() + kTime; MonotonicNow() < until;) {
    TicketSlot* slot;
    while ((slot = offered) == nullptr) {
    }
    go = true;
    Spin(random() % 40);
    core->SetMode(TicketSlab::kLooking);
    core->TryWithPin(slot, [&] {
      bool seen = false;
      for (int i = 0; i < 30; ++i) seen |= ended.load(std::memory_order_acquire);
      if (seen) ++ended_in_use;
    });
    core->ClearMode(TicketSlab::kLooking);
    offered = nullptr;
  }
  stop = true;
  owner.join();
  core->Close();
  EXPECT_EQ(ended_in_use, 0);
}

TEST(TicketStressTest, TheWakeOfTheLastToLeaveIsNeverLost) {
  for (int round = 0; round < 500; ++round) {
    std::shared_ptr<TicketTable> table = TicketTable::Create();
    std::atomic<bool> woken{false};
    table->SetWake([&] { woken = true; });
    Ticket ticket = table->Enter(0);
    table->BeginDraining();
    std::thread leaver([&] { ticket.Reset(); });
    // The drain's side: arm, count, and if somebody is there wait for the wake.
    table->Arm();
    if (table->Sums().live() != 0) {
      while (!woken) std::this_thread::yield();
      EXPECT_EQ(table->Sums().live(), 0);
    }
    leaver.join();
    table->EndDraining();
  }
}

TEST(TicketStressTest, AfterSetWakeHasReturnedTheOldOneNeverRuns) {
  std::shared_ptr<TicketTable> table = TicketTable::Create();
  table->BeginDraining();
  std::atomic<bool> stop{false};
  std::thread leaver([&] {
    while (!stop) Ticket ticket = table->Enter(0);
  });
  for (int i = 0; i < 2000; ++i) {
    auto alive = std::make_unique<std::atomic<bool>>(true);
    table->SetWake([raw = alive.get()] { EXPECT_TRUE(*raw); });
    table->Arm();
    std::this_thread::yield();
    table->SetWake({});
  }
  stop = true;
  leaver.join();
  table->EndDraining();
}

}  // namespace
}  // namespace zdd
