// What a ticket costs: to enter and leave with one thread and with two, to say busy and ask whether
// to close, and to be asked by a drain, 100,000 at a time.
//
// Each figure is the best of many short rounds, which take turns over the whole run: what disturbs
// a round (another process, a neighbour on the same core) only ever adds, and lasts. Two threads on
// one core would measure the scheduler, so that figure is the CPU time of the slower one.
#include <time.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "benchmarks/util/bars.h"
#include "zdd/base/time.h"
#include "zdd/drain/asking.h"
#include "zdd/drain/reach.h"
#include "zdd/drain/ticket_slab.h"
#include "zdd/drain/ticket_table.h"

namespace zdd {
namespace {

constexpr int kRounds = 200;
constexpr int kOperations = 100000;
constexpr int kAskRounds = 25;
constexpr int kTickets = 100000;

// Keeps the compiler from dropping the work.
template <typename T>
void Keep(const T& value) {
  asm volatile("" : : "g"(&value) : "memory");
}

double ThreadCpuNs() {
  timespec now;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e9 + static_cast<double>(now.tv_nsec);
}

// CPU time of this thread for one of `count` calls.
template <typename Work>
double NsEach(int count, Work work) {
  const double began = ThreadCpuNs();
  for (int i = 0; i < count; ++i) work(i);
  return (ThreadCpuNs() - began) / count;
}

double EnterAndLeave(TicketTable* table, uint8_t kind) {
  return NsEach(kOperations, [&](int) {
    Ticket ticket = table->Enter(kind);
    Keep(ticket);
  });
}

// 256 are held at any time and leave in another order than they came.
double EnterAndLeaveAmongMany(TicketTable* table, uint8_t kind) {
  std::vector<Ticket> held;
  for (int i = 0; i < 256; ++i) held.push_back(table->Enter(kind));
  uint32_t random = 1;
  return NsEach(kOperations, [&](int) {
    random = random * 1664525u + 1013904223u;
    held[random >> 24] = table->Enter(kind);
  });
}

// The slower of `count` threads that do `work` at the same time.
double Slowest(int count, const std::function<double()>& work) {
  std::vector<double> ns(static_cast<size_t>(count));
  std::atomic<int> ready{0};
  std::vector<std::thread> threads;
  for (double& mine : ns) {
    threads.emplace_back([&ready, &mine, &work, count] {
      ++ready;
      while (ready < count) std::this_thread::yield();
      mine = work();
    });
  }
  for (std::thread& thread : threads) thread.join();
  return *std::max_element(ns.begin(), ns.end());
}

struct Figure {
  std::string name;
  double bar;  // 0: none
  std::function<double()> round;
  double best = std::numeric_limits<double>::infinity();
};

// Nanoseconds.
void Measure(std::vector<Figure> figures, Bars* bars) {
  for (int i = 0; i < kRounds; ++i) {
    for (Figure& figure : figures) figure.best = std::min(figure.best, figure.round());
  }
  for (const Figure& figure : figures) {
    if (figure.bar == 0) {
      bars->Note(figure.name, figure.best, "ns");
    } else {
      bars->AtMost(figure.name, figure.best, figure.bar, "ns");
    }
  }
}

void MeasureTickets(Bars* bars) {
  std::shared_ptr<TicketTable> table = TicketTable::Create();
  const uint8_t kind = table->Kind("bench");
  const auto enter_and_leave = [&] { return EnterAndLeave(table.get(), kind); };
  const auto among_many = [&] { return EnterAndLeaveAmongMany(table.get(), kind); };
  Ticket ticket = table->Enter(kind);
  const auto set_busy = [&] {
    return NsEach(kOperations, [&](int i) { ticket.SetBusy((i & 1) != 0); });
  };
  const auto should_close = [&] {
    return NsEach(kOperations, [&](int) { Keep(ticket.ShouldClose()); });
  };
  auto session = std::make_shared<int>(0);
  std::weak_ptr<int> weak = session;
  const auto with_callback = [&] {
    return NsEach(kOperations / 10, [&](int) {
      Ticket one = table->Enter(kind);
      one.OnAsk([weak](Ask) { weak.lock(); });
    });
  };
  Measure(
      {
          {"enter + leave, 1 thread", 5, enter_and_leave},
          {"enter + leave, 2 threads", 5, [&] { return Slowest(2, enter_and_leave); }},
          {"enter + leave, 256 held, 1 thread", 6, among_many},
          {"enter + leave, 256 held, 2 threads", 6, [&] { return Slowest(2, among_many); }},
          {"SetBusy", 1, set_busy},
          {"ShouldClose", 1, should_close},
          {"enter + OnAsk(weak_ptr) + leave", 0, with_callback},
      },
      bars);
  bars->AtMost("slot", sizeof(TicketSlot), 64, "bytes");
}

struct AskCost {
  double total_ms = 0;
  double worst_us = 0;  // of a batch: one chunk of 64
};

enum class Callback { kNone, kHears, kEndsItsTicket };

AskCost AskAll(Callback what) {
  std::shared_ptr<TicketTable> table = TicketTable::Create();
  const uint8_t kind = table->Kind("bench");
  std::vector<Ticket> tickets;
  tickets.reserve(kTickets);
  int64_t heard = 0;
  for (int i = 0; i < kTickets; ++i) {
    tickets.push_back(table->Enter(kind));
    Ticket* ticket = &tickets.back();
    if (what == Callback::kHears) ticket->OnAsk([&heard](Ask) { ++heard; });
    if (what == Callback::kEndsItsTicket) ticket->OnAsk([ticket](Ask) { ticket->Reset(); });
  }
  table->BeginDraining();
  Reaches reaches;
  reaches[0].goodbye = Reach::kAll;
  TicketTable::Seen seen{};
  AskCost cost;
  const int chunks = table->chunk_count();
  for (int i = 0; i < chunks; ++i) {
    const Instant began = MonotonicNow();
    table->AskChunk(i, reaches, &seen);
    const double us = absl::ToDoubleMicroseconds(MonotonicNow() - began);
    cost.total_ms += us / 1000;
    cost.worst_us = std::max(cost.worst_us, us);
  }
  Keep(heard);
  return cost;
}

AskCost BestAskAll(Callback what) {
  AskCost best = AskAll(what);
  for (int i = 1; i < kAskRounds; ++i) {
    const AskCost cost = AskAll(what);
    best.total_ms = std::min(best.total_ms, cost.total_ms);
    best.worst_us = std::min(best.worst_us, cost.worst_us);
  }
  return best;
}

// What a pass costs that finds nothing to do, and a count for the status page.
void MeasureWalks(Bars* bars) {
  std::shared_ptr<TicketTable> table = TicketTable::Create();
  const uint8_t kind = table->Kind("bench");
  std::vector<Ticket> tickets;
  for (int i = 0; i < kTickets; ++i) tickets.push_back(table->Enter(kind));
  table->BeginDraining();
  const Reaches nothing_due;
  TicketTable::Seen seen{};
  double walk_ms = std::numeric_limits<double>::infinity();
  double count_ms = walk_ms;
  for (int round = 0; round < kAskRounds; ++round) {
    const double walk_ns = NsEach(1, [&](int) {
      for (int i = 0; i < table->chunk_count(); ++i) table->AskChunk(i, nothing_due, &seen);
    });
    walk_ms = std::min(walk_ms, walk_ns / 1e6);
    count_ms = std::min(count_ms, NsEach(1, [&](int) { Keep(table->Count().busy); }) / 1e6);
  }
  bars->AtMost("walk over 100,000, nothing due", walk_ms, 1.5, "ms");
  bars->AtMost("count 100,000", count_ms, 1.5, "ms");
}

void MeasureAsking(Bars* bars) {
  const std::pair<Callback, const char*> cases[] = {
      {Callback::kNone, "no callback"},
      {Callback::kHears, "callback"},
      {Callback::kEndsItsTicket, "callback that ends its ticket"},
  };
  for (const auto& [what, name] : cases) {
    const AskCost cost = BestAskAll(what);
    bars->AtMost(std::string("100,000 asked, ") + name, cost.total_ms, 5, "ms");
    bars->AtMost("  worst batch of 64", cost.worst_us, 100, "us");
  }
}

int Main(int argc, char** argv) {
  Bars bars("ticket");
  MeasureTickets(&bars);
  MeasureAsking(&bars);
  MeasureWalks(&bars);
  return bars.Finish(JsonPathFromArgs(argc, argv));
}

}  // namespace
}  // namespace zdd

int main(int argc, char** argv) { return zdd::Main(argc, argv); }
