// Drain empties a table of tickets by a plan: it asks each ticket at its moment, closes idle
// connections, cuts what is left at the deadline, and reports. The decisions are DrainMachine's,
// the tickets are TicketTable's.
//
//   Drain drain(table);
//   table->SetWake([&] { uv_async_send(&async); });         // -> Again(), on the loop
//   drain.Begin(plan, "commit", MonotonicNow());
//   Again();
//
//   void Again() {
//     Instant next = drain.Tick(MonotonicNow());
//     if (!drain.accepting()) StopAcceptors();
//     if (drain.drained()) Finish(drain.report());
//     timer.Start(next - MonotonicNow());                   // Again()
//   }
//
// Whoever can still bring work in (an acceptor that has not stopped, a queue) holds a ticket of its
// own: then "drained" cannot come too early, and one that never stops is named in the report like
// any other straggler.
//
// Threads: the loop's. OnAsk callbacks run inside Tick, one at a time; they may end their own and
// other tickets, enter new ones, and call Begin, Stop or Cut here (Tick inside of them does
// nothing). They must not destroy the Drain.
// Lifetime: keeps its table. At most one Drain at a time works on one table.
// Errors: none. A plan that does not fit is shortened, and the report says how.
#ifndef ZDD_DRAIN_DRAIN_H_
#define ZDD_DRAIN_DRAIN_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "zdd/base/time.h"
#include "zdd/drain/drain_machine.h"
#include "zdd/drain/drain_report.h"
#include "zdd/drain/migrate_wave.h"
#include "zdd/drain/plan.h"
#include "zdd/drain/ticket_table.h"

namespace zdd {

class Drain {
 public:
  // One Tick does about so much, and the rest after a turn of the loop.
  static constexpr absl::Duration kTickBudget = absl::Milliseconds(1);
  // Tickets that leave are counted so often at the most.
  static constexpr absl::Duration kRecountPeriod = absl::Milliseconds(1);
  // Between two looks at the clock while tickets are asked to move.
  static constexpr int kTicketsAtOnce = 64;
  // Passes over all tickets take at most this share of the loop's time: 1/20.
  static constexpr int kPassShare = 20;

  // Tickets that were asked to move, or have left to do so, and are not gone.
  static constexpr int kMoveCredit = 128;

  explicit Drain(std::shared_ptr<TicketTable> table);
  ~Drain();
  Drain(const Drain&) = delete;
  Drain& operator=(const Drain&) = delete;

  // Begins; Tick follows. A second call changes the reason and nothing else.
  void Begin(const DrainPlan& plan, absl::string_view reason, Instant now);

  // From now on tickets of these kinds are asked to move, and hear no goodbye meanwhile. `pending`
  // says how many connections have left their server and not yet this process. May come before
  // Begin: then nothing but this is asked.
  void Move(const std::vector<std::string>& kinds, std::function<int()> pending, Instant now);

  // No more can move: those who are left hear their goodbye, spread as the plan says. Tick follows.
  void EndMoving(Instant now);

  // A connection that was given to Migrate() has moved, or has come back.
  void Moved(Ticket ticket);
  void CameBack(const Ticket& ticket, int fd);

  // Does what is due, and answers when it wants to be called again: `now` means after one turn of
  // the loop, InfiniteDuration() never. To be called then, and whenever the table wakes, also after
  // the end: those who come late are asked to close.
  Instant Tick(Instant now);

  // Ends the waiting: no delay, spread or grace from now on. Busy ones still have until the
  // deadline. Tick follows.
  void Stop();

  // Cuts everything, from now on, over the plan's cut_spread. Tick follows.
  void Cut(Instant now);

  // Of the class that is least far.
  DrainState state() const;
  // Whether new work is still wanted: before the drain, and in its delay.
  bool accepting() const {
    return state() == DrainState::kServing || state() == DrainState::kDelay;
  }
  bool drained() const { return state() == DrainState::kDrained; }

  DrainProgress progress(Instant now) const;
  DrainReport report(Instant now) const;

 private:
  // Kinds of work with a plan of their own, or whatever has none: class 0.
  struct Class {
    DrainMachine machine;
    std::string kind;
    int64_t live = 1;  // in the last pass
  };

  Instant Work(Instant now);
  bool Walk(Instant now);
  void BeginWork();
  void BeginPass(Instant now);
  void EndPass();
  void Finish(Instant now);
  void NameBeforeCut();
  Class* ClassFor(const std::string& kind);
  void BeginClass(Class* drain_class, Instant now);
  bool Advance(Instant now);
  Instant NextOfMachines() const;
  Reaches reaches() const;

  const std::shared_ptr<TicketTable> table_;
  DrainPlan plan_;
  std::vector<Class> classes_;
  bool began_ = false;
  bool drained_ = false;
  bool ticking_ = false;
  bool named_ = false;  // who was there at the cut

  std::unique_ptr<MigrateWave> wave_;
  std::function<int()> pending_;
  int64_t moved_ = 0;
  int64_t came_back_ = 0;

  Instant armed_at_ = -absl::InfiniteDuration();
  Instant recount_at_ = absl::InfiniteDuration();

  // The pass over all chunks that is under way, or wanted.
  bool pass_wanted_ = false;
  bool walking_ = false;
  int chunk_ = 0;
  Reaches pass_reaches_;
  absl::Duration pass_cost_;
  Instant pass_not_before_ = -absl::InfiniteDuration();

  AskTally tally_;
  TicketSums sums_at_begin_;
  DrainReport report_;  // reason, adjustments; complete when drained
};

}  // namespace zdd

#endif  // ZDD_DRAIN_DRAIN_H_
