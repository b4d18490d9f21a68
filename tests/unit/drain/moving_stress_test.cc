// Threads that give their connections away while the drain asks them: no callback runs after
// Migrate() has returned, each ticket is given once, and the books stay whole.
#include <atomic>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "zdd/base/mutex.h"
#include "zdd/base/time.h"
#include "zdd/drain/drain.h"
#include "zdd/drain/ticket.h"
#include "zdd/drain/ticket_table.h"

namespace zdd {
namespace {

constexpr int kThreads = 3;
constexpr int kSessions = 400;

// As a server keeps it: the callback only sets a flag, and its thread lets go at a quiet point.
struct Session {
  Ticket ticket;
  std::atomic<bool> asked{false};
  std::atomic<bool> alive{true};
  ~Session() { alive = false; }
};

struct Given {
  OwnedFd fd;
  Ticket ticket;
};

class Server {
 public:
  Server(TicketTable* table, uint32_t seed) : random_(seed) {
    for (int i = 0; i < kSessions; ++i) {
      auto session = std::make_unique<Session>();
      session->ticket = table->Enter(table->Kind("http"));
      session->ticket.OnAsk([raw = session.get()](Ask) {
        EXPECT_TRUE(raw->alive);
        raw->asked = true;
      });
      session->ticket.SetBusy(false);
      sessions_.push_back(std::move(session));
    }
  }

  void Run() {
    while (!sessions_.empty()) {
      const size_t i = random_() % sessions_.size();
      Session* const session = sessions_[i].get();
      session->ticket.SetBusy(true);
      session->ticket.SetBusy(false);
      // Some do not wait to be asked, and some are closed by their clients.
      if (!session->asked && random_() % 1000 != 0) continue;
      if (random_() % 8 != 0) {
        std::move(session->ticket).Migrate(OwnedFd(), "");
        EXPECT_FALSE(session->ticket.valid());
      }
      sessions_[i] = std::move(sessions_.back());
      sessions_.pop_back();
    }
  }

 private:
  std::minstd_rand random_;
  std::vector<std::unique_ptr<Session>> sessions_;
};

TEST(MovingStressTest, NoCallbackRunsAfterItsTicketWasGivenAway) {
  for (uint32_t round = 0; round < 5; ++round) {
    std::shared_ptr<TicketTable> table = TicketTable::Create();
    Mutex mutex;
    std::vector<Given> given;
    table->SetMigrateSink([&](Ticket ticket, OwnedFd fd, std::string) {
      MutexLock lock(&mutex);
      given.push_back({std::move(fd), std::move(ticket)});
    });
    std::vector<std::unique_ptr<Server>> servers;
    for (uint32_t i = 0; i < kThreads; ++i)
      servers.push_back(std::make_unique<Server>(table.get(), round * kThreads + i + 1));
    Drain drain(table);
    DrainPlan plan;
    plan.deadline = absl::Seconds(100);
    drain.Move(
        {"http"}, [] { return 0; }, MonotonicNow());
    drain.Begin(plan, "test", MonotonicNow());
    std::vector<std::thread> threads;
    for (auto& server : servers) threads.emplace_back([&server] { server->Run(); });
    while (!drain.drained()) {
      drain.Tick(MonotonicNow());
      std::vector<Given> arrived;
      {
        MutexLock lock(&mutex);
        arrived.swap(given);
      }
      for (Given& each : arrived) drain.Moved(std::move(each.ticket));
    }
    for (std::thread& thread : threads) thread.join();
    const DrainReport report = drain.report(MonotonicNow());
    EXPECT_EQ(report.entered, kThreads * kSessions);
    EXPECT_EQ(report.finished + report.moved, report.entered);
    EXPECT_GT(report.moved, report.finished);
  }
}

}  // namespace
}  // namespace zdd
