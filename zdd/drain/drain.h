// Drain empties a table of tickets by a plan: it asks each ticket at its moment, closes idle
// connections, cuts what is left at the deadline, and reports. The decisions are DrainMachine's
// (drain_machine.h), the tickets TicketTable's.
//
//   Drain drain(table);
//   table->SetWake([&] { uv_async_send(&async); });        // -> Again() on the loop
//   drain.Begin(plan, "commit", MonotonicNow());
//   void Again() {
//     Instant next = drain.Tick(MonotonicNow());
//     if (!drain.accepting()) StopAcceptors();
//     if (drain.drained()) return Finish(drain.report());
//     timer.Start(next - MonotonicNow());
//   }
//
// Whoever can still bring work in (an acceptor that has not stopped, a queue) holds a ticket of its
// own: then "drained" cannot come too early, and one that never stops is named in the report like
// any other straggler.
//
// Threads: the loop's. OnAsk callbacks run inside Tick, one at a time; they may end their own and
// other tickets, enter new ones, and call Stop, Cut or Begin here (Tick inside a callback does
// nothing). They must not destroy the Drain.
// Lifetime: keeps its table. At most one Drain works on one table.
// Errors: none. A plan that does not fit is shortened, and the report says how.
#ifndef ZDD_DRAIN_DRAIN_H_
#define ZDD_DRAIN_DRAIN_H_

#include <cstdint>
#include <memory>
#include <string>

#include "absl/strings/string_view.h"
#include "zdd/base/time.h"
#include "zdd/drain/drain_machine.h"
#include "zdd/drain/drain_report.h"
#include "zdd/drain/plan.h"
#include "zdd/drain/ticket_table.h"

namespace zdd {

class Drain {
 public:
  explicit Drain(std::shared_ptr<TicketTable> table);
  ~Drain();
  Drain(const Drain&) = delete;
  Drain& operator=(const Drain&) = delete;

  // Begins. A second call changes the reason and nothing else.
  void Begin(const DrainPlan& plan, absl::string_view reason, Instant now);

  // Does what is due, for about a millisecond at the most (a callback that takes longer is the
  // embedder's), and answers when it wants to be called again: `now` means "after one turn of the
  // loop", InfiniteDuration() never. To be called then, and whenever the table wakes, also after
  // the end: late tickets are asked to close.
  Instant Tick(Instant now);

  // Ends the waiting: no delay, spread or grace from now on. Busy ones still have until the
  // deadline.
  void Stop(Instant now);

  // Cuts everything, from now on, over the plan's cut_spread.
  void Cut(Instant now);

  DrainState state() const { return machine_.state(); }
  // Whether new work is still wanted: before the drain, and in its delay.
  bool accepting() const {
    return state() == DrainState::kServing || state() == DrainState::kDelay;
  }
  bool drained() const { return state() == DrainState::kDrained; }

  DrainProgress progress(Instant now) const;
  DrainReport report(Instant now) const;

 private:
  void Walk(Instant now);
  void Finish(Instant now);

  const std::shared_ptr<TicketTable> table_;
  DrainMachine machine_;
};

}  // namespace zdd

#endif  // ZDD_DRAIN_DRAIN_H_
