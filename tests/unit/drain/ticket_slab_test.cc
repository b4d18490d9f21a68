// Threads that come and go, tables that die before their tickets, and tickets at a thread's very
// end.
#include "zdd/drain/ticket_slab.h"

#include <pthread.h>

#include <memory>
#include <set>
#include <thread>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "zdd/drain/ticket.h"
#include "zdd/drain/ticket_core.h"
#include "zdd/drain/ticket_table.h"

namespace zdd {
namespace {

std::shared_ptr<TicketCore> NewCore() { return TicketCore::Create(&MonotonicNow, 0); }

TEST(TicketSlabTest, EachTicketHasASlotOfItsOwn) {
  std::shared_ptr<TicketCore> core = NewCore();
  std::set<TicketSlot*> slots;
  for (int i = 0; i < 1000; ++i) slots.insert(core->Enter(0, -1));
  EXPECT_EQ(slots.size(), 1000u);
  for (TicketSlot* slot : slots) {
    EXPECT_EQ(reinterpret_cast<uintptr_t>(slot) % 64, 0u);
    core->Leave(slot);
  }
  EXPECT_EQ(core->Sums().entered, 1000);
  EXPECT_EQ(core->Sums().live(), 0);
  core->Close();
}

TEST(TicketSlabTest, SlotsAreUsedAgainOnWhateverThreadTheyWereLeft) {
  std::shared_ptr<TicketTable> table = TicketTable::Create();
  for (int round = 0; round < 50; ++round) {
    std::vector<Ticket> tickets;
    for (int i = 0; i < 500; ++i) tickets.push_back(table->Enter(0));
    std::thread([tickets = std::move(tickets)]() mutable { tickets.clear(); }).join();
  }
  EXPECT_EQ(table->Sums().entered, 25000);
  EXPECT_EQ(table->Sums().live(), 0);
  EXPECT_LE(table->chunk_count(), 500 / 64 + 3);
}

TEST(TicketSlabTest, AnEndedThreadGivesItsMagazineToTheNext) {
  std::shared_ptr<TicketTable> table = TicketTable::Create();
  for (int i = 0; i < 200; ++i) {
    std::thread([&] { Ticket ticket = table->Enter(0); }).join();
  }
  EXPECT_EQ(table->Sums().entered, 200);
  EXPECT_EQ(table->Sums().live(), 0);
  EXPECT_EQ(table->chunk_count(), 1);
}

TEST(TicketSlabTest, TicketsOutliveTheirTable) {
  std::shared_ptr<TicketTable> table = TicketTable::Create();
  Ticket first = table->Enter(0);
  Ticket second = table->Enter(0);
  table.reset();
  first.SetBusy(false);
  first.OnAsk([](Ask) {});
  EXPECT_FALSE(first.ShouldClose());
  EXPECT_GE(first.AskedFd(), 0);
  first.Reset();
  std::thread([second = std::move(second)]() mutable { second.Reset(); }).join();
}

TEST(TicketSlabTest, TheLastTicketFreesWhatTheTableLeft) {
  std::weak_ptr<TicketCore> watched;
  {
    std::shared_ptr<TicketCore> core = NewCore();
    watched = core;
    TicketSlot* slot = core->Enter(0, -1);
    core->Close();
    TicketCore* raw = core.get();
    core.reset();
    EXPECT_FALSE(watched.expired());
    // On a thread that then ends, so that nobody keeps a magazine.
    std::thread([=] { raw->Leave(slot); }).join();
  }
  // This thread's own magazine is let go of at its next search for one.
  std::shared_ptr<TicketCore> another = NewCore();
  another->Leave(another->Enter(0, -1));
  another->Close();
  EXPECT_TRUE(watched.expired());
}

TEST(TicketSlabTest, SeveralTablesShareAThread) {
  std::vector<std::shared_ptr<TicketTable>> tables;
  std::vector<Ticket> tickets;
  for (int i = 0; i < 5; ++i) tables.push_back(TicketTable::Create());
  for (int i = 0; i < 1000; ++i) tickets.push_back(tables[i % 5]->Enter(0));
  for (auto& table : tables) EXPECT_EQ(table->Sums().live(), 200);
  tables.erase(tables.begin(), tables.begin() + 3);
  tickets.clear();
  for (auto& table : tables) EXPECT_EQ(table->Sums().live(), 0);
}

TEST(TicketSlabTest, ManyTablesCanComeAndGoOnOneThread) {
  for (int i = 0; i < 1000; ++i) {
    std::shared_ptr<TicketTable> table = TicketTable::Create();
    Ticket ticket = table->Enter(0);
    if (i % 2 == 0) table.reset();
  }
}

TEST(TicketSlabTest, TheTableMayDieWhileThreadsEndItsTickets) {
  for (int round = 0; round < 200; ++round) {
    std::shared_ptr<TicketTable> table = TicketTable::Create();
    std::vector<std::thread> threads;
    for (int i = 0; i < 3; ++i) {
      std::vector<Ticket> tickets;
      for (int j = 0; j < 100; ++j) tickets.push_back(table->Enter(0));
      threads.emplace_back([tickets = std::move(tickets)]() mutable { tickets.clear(); });
    }
    table.reset();
    for (std::thread& thread : threads) thread.join();
  }
}

// ---- The end of a thread

TicketTable* table_at_exit = nullptr;

// An object of somebody else's whose destructor still uses tickets.
struct AtExit {
  Ticket ticket;
  ~AtExit() {
    ticket.Reset();
    if (table_at_exit != nullptr) Ticket last = table_at_exit->Enter(0);
  }
};

TEST(TicketSlabTest, ThreadLocalDestructorsMayEnterAndLeave) {
  std::shared_ptr<TicketTable> table = TicketTable::Create();
  table_at_exit = table.get();
  for (int i = 0; i < 20; ++i) {
    std::thread([&] {
      thread_local AtExit at_exit;
      at_exit.ticket = table->Enter(0);
    }).join();
  }
  table_at_exit = nullptr;
  EXPECT_EQ(table->Sums().entered, 40);
  EXPECT_EQ(table->Sums().live(), 0);
  EXPECT_EQ(table->chunk_count(), 1);
}

TEST(TicketSlabTest, SoMayDestructorsOfThreadKeysThatRunLater) {
  std::shared_ptr<TicketTable> table = TicketTable::Create();
  pthread_key_t key;
  ASSERT_EQ(pthread_key_create(&key, [](void* exit) { delete static_cast<AtExit*>(exit); }), 0);
  table_at_exit = table.get();
  for (int i = 0; i < 20; ++i) {
    std::thread([&] {
      auto at_exit = std::make_unique<AtExit>();
      at_exit->ticket = table->Enter(0);
      pthread_setspecific(key, at_exit.release());
    }).join();
  }
  table_at_exit = nullptr;
  pthread_key_delete(key);
  EXPECT_EQ(table->Sums().entered, 40);
  EXPECT_EQ(table->Sums().live(), 0);
  EXPECT_LE(table->chunk_count(), 2);
}

// ---- Without membarrier

TEST(TicketSlabTest, WhereThereIsNoProcessFenceEveryLeaveIsFenced) {
  std::shared_ptr<TicketCore> core = NewCore();
  core->SetMode(TicketSlab::kFenced);  // as its constructor does then
  for (int i = 0; i < 1000; ++i) core->Leave(core->Enter(0, -1));
  core->SetMode(TicketSlab::kDraining);
  TicketSlot* slot = core->Enter(0, -1);
  core->ClearMode(TicketSlab::kDraining);
  core->Leave(slot);
  EXPECT_EQ(core->Sums().entered, 1001);
  EXPECT_EQ(core->Sums().live(), 0);
  core->Close();
}

}  // namespace
}  // namespace zdd
