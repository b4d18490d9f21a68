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
// One kind of work, a listener's say, can be drained alone and before the rest, and that can be
// cancelled:
//
//   absl::Status begun = drain.BeginKind({"http"}, plan, "operator", MonotonicNow());
//   drain.CancelKind("http", MonotonicNow());               // or Begin: then it is part of that
//   for (KindEnd& end : drain.TakeEnded()) Tell(end);       // after Tick, and after those two
//
// Whoever can still bring work in (an acceptor that has not stopped, a queue) holds a ticket of its
// own: then "drained" cannot come too early, and one that never stops is named in the report like
// any other straggler.
//
// Threads: the loop's. OnAsk callbacks run inside Tick, one at a time; they may end their own and
// other tickets, enter new ones, and call Begin, BeginKind, CancelKind, Stop or Cut here (Tick
// inside of them does nothing). They must not destroy the Drain.
// Lifetime: keeps its table. At most one Drain at a time works on one table.
// Errors: BeginKind's. A plan that does not fit is shortened, and the report says how.
#ifndef ZDD_DRAIN_DRAIN_H_
#define ZDD_DRAIN_DRAIN_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/optional.h"
#include "zdd/base/time.h"
#include "zdd/drain/drain_books.h"
#include "zdd/drain/drain_machine.h"
#include "zdd/drain/drain_report.h"
#include "zdd/drain/migrate_wave.h"
#include "zdd/drain/plan.h"
#include "zdd/drain/reach.h"
#include "zdd/drain/ticket_table.h"

namespace zdd {

// A drain of one kind alone is over: it has ended, was cancelled, or goes on in the drain of all.
struct KindEnd {
  std::string kind;
  DrainReport report;  // `drained`: it has ended
};

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

  // Drains the work of these kinds alone. The first of them names it, and has its place in the
  // plan's classes. New tickets of theirs take part in it until its end; after the end nothing more
  // is asked. Tick follows. FailedPrecondition if that kind drains already, alone or with all;
  // ResourceExhausted beyond kDrainClassesMax - 1 at once, or for a kind without a number of its
  // own.
  absl::Status BeginKind(const std::vector<std::string>& kinds, const DrainPlan& plan,
                         absl::string_view reason, Instant now);
  // Nothing more is asked. Who has been asked already ends as he was asked to, whenever it is idle
  // the next time. False if that kind does not drain alone.
  bool CancelKind(absl::string_view kind, Instant now);
  bool DrainsAlone(absl::string_view kind) const { return FindAlone(kind) != nullptr; }
  std::vector<KindEnd> TakeEnded() { return std::exchange(ended_, {}); }

  // From now on tickets of these kinds (too) are asked to move, and hear no goodbye meanwhile.
  // `pending` says how many connections have left their server and not yet this process. May come
  // before Begin: then nothing but this is asked.
  void Move(const std::vector<std::string>& kinds, std::function<int()> pending, Instant now);

  // No more can move: those who are left hear their goodbye, spread as the plan says; before Begin,
  // nothing is asked of them any more. Tick follows.
  void EndMoving(Instant now);

  // A connection that was given to Migrate() has moved, or has come back. `again`: it may be asked
  // to move once more; else its goodbye is next.
  void Moved(Ticket ticket);
  void CameBack(const Ticket& ticket, int fd, bool again);

  // Does what is due, and answers when it wants to be called again: `now` means after one turn of
  // the loop, InfiniteDuration() never. To be called then, and whenever the table wakes, also after
  // the end: those who come late are asked to close.
  Instant Tick(Instant now);

  // Ends the waiting: no delay, spread or grace from now on. Busy ones still have until the
  // deadline. Tick follows.
  void Stop();

  // Cuts everything, from now on, over the plan's cut_spread. Tick follows.
  void Cut(Instant now);

  // Begin() was called: everything drains.
  bool began() const { return began_; }
  // Something is to be done: Tick does nothing otherwise.
  bool working() const;
  // Of the class that is least far, once all drain.
  DrainState state() const;
  // Whether new work is still wanted: before the drain, and in its delay.
  bool accepting() const {
    return state() == DrainState::kServing || state() == DrainState::kDelay;
  }
  bool drained() const { return state() == DrainState::kDrained; }

  // Without `now` and `oldest`, which any thread may ask of the table.
  DrainProgress progress(Instant now) const;
  DrainReport report(Instant now) const { return books_.Report(now); }
  // Of a kind that drains alone; of others as if nothing drained.
  DrainProgress KindProgress(absl::string_view kind, Instant now) const;

 private:
  // Kinds of work with a plan of their own, or whatever has none: class 0.
  struct Class {
    DrainMachine machine;
    std::string kind;     // empty: class 0, or not in use
    int64_t live = 1;     // in the last whole pass
    bool walked = false;  // the pass under way began with it
    // While it drains alone.
    absl::optional<DrainBooks> alone;
    int64_t ended_at_pass = 0;  // when the last pass began
  };

  Instant Work(Instant now);
  void TickMachines(Instant now);
  bool Walk(Instant now);
  void BeginWork();
  void BeginPass(Instant now);
  void EndPass();
  void Finish(Instant now);
  void NameBeforeCut();
  Class* FindClass(absl::string_view kind);
  const Class* FindAlone(absl::string_view kind) const;
  Class* ClassFor(const std::string& kind);
  void BeginClass(Class* one, const DrainPlan& plan, DrainBooks* books, Instant now);
  bool MayBeGone(const Class& one) const;
  void EndAlone(Class* one, Instant now);
  void Release(Class* one, const Kinds& kinds);
  bool Advance(Instant now);
  Instant NextOfMachines() const;
  Reaches Reached() const;
  bool AnyAlone() const;

  const std::shared_ptr<TicketTable> table_;
  DrainPlan plan_;
  std::vector<Class> classes_;
  std::vector<KindEnd> ended_;
  bool mode_set_ = false;  // the table's
  bool began_ = false;
  bool drained_ = false;
  bool ticking_ = false;

  std::unique_ptr<MigrateWave> wave_;
  std::function<int()> pending_;

  Instant armed_at_ = -absl::InfiniteDuration();
  Instant recount_at_ = absl::InfiniteDuration();

  // The pass over all chunks that is under way, or wanted.
  bool pass_wanted_ = false;
  bool walking_ = false;
  int chunk_ = 0;
  Reaches reaches_;  // as the table knows them
  Reaches pass_reaches_;
  TicketTable::Seen seen_ = {};
  absl::Duration pass_cost_;
  Instant pass_not_before_ = -absl::InfiniteDuration();

  DrainBooks books_;
};

}  // namespace zdd

#endif  // ZDD_DRAIN_DRAIN_H_
