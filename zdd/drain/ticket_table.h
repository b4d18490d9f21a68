// TicketTable holds the tickets of a service: work enters it, a Drain walks it.
//
//   std::shared_ptr<TicketTable> table = TicketTable::Create();
//   uint8_t http = table->Kind("http");
//   Ticket ticket = table->Enter(http, fd);          // any thread, wait-free but for new memory
//   TicketCounts counts = table->Count();
//
// Entering and leaving cost a few nanoseconds and share no cache line between threads: each thread
// takes its slots from a magazine of its own. There is no list of tickets and no counter that all
// would write; who wants to know walks the slots, 64 bytes each.
//
// Threads: any, but for the part that says "the drain's thread".
// Lifetime: tickets may outlive the table: what they need dies with the last of them.
// Errors: none. Kinds beyond 255 share the kind "other".
#ifndef ZDD_DRAIN_TICKET_TABLE_H_
#define ZDD_DRAIN_TICKET_TABLE_H_

#include <array>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/functional/function_ref.h"
#include "absl/strings/string_view.h"
#include "zdd/base/mutex.h"
#include "zdd/base/time.h"
#include "zdd/drain/asking.h"
#include "zdd/drain/drain_report.h"
#include "zdd/drain/reach.h"
#include "zdd/drain/ticket.h"
#include "zdd/drain/ticket_core.h"
#include "zdd/drain/ticket_tally.h"

namespace zdd {

class TicketTable {
 public:
  // The arguments are for tests: virtual time, and asks in an order that can be repeated.
  static std::shared_ptr<TicketTable> Create(Instant (*clock)() = &MonotonicNow,
                                             uint32_t first_place = TicketCore::RandomPlace());
  ~TicketTable();
  TicketTable(const TicketTable&) = delete;
  TicketTable& operator=(const TicketTable&) = delete;

  // The number of the kind of work called `name`, a new one the first time. Takes a lock.
  uint8_t Kind(absl::string_view name);

  // A ticket of that kind, born busy; during a drain also born with what has been asked already of
  // its like. `fd`, if any, is borrowed until the ticket ends.
  Ticket Enter(uint8_t kind, int fd = -1) { return Ticket(core_.get(), core_->Enter(kind, fd)); }

  // `wake` runs, on any thread, when the drain has something to do: someone left, or is to be asked
  // out of turn. Once per Arm(). It must only signal: it runs under a lock of its own, and may not
  // call this table. When SetWake({}) has returned no wake runs, nor will.
  void SetWake(absl::AnyInvocable<void()> wake) { core_->SetWake(std::move(wake)); }

  // Ages of tickets without an fd are as exact as this is called often: once a second will do.
  void SetClock(Instant now) { core_->SetCoarseTime(now); }

  TicketSums Sums() const { return core_->Sums(); }

  // What became of tickets of these kinds while this table drained.
  TicketTally Tally(const Kinds& kinds) const { return core_->tally().Of(kinds); }

  // These walk over everything: 1 ms for 100,000. Oldest first.
  TicketCounts Count(const Kinds& kinds = Kinds().set()) const;
  std::vector<Straggler> Oldest(int count_max, const Kinds& kinds = Kinds().set()) const;

  // What Ticket::Migrate gives goes to `sink`: on any thread, under a lock of its own; it must only
  // pass it on. Without one such connections are closed.
  using MigrateSink = absl::AnyInvocable<void(Ticket ticket, OwnedFd fd, std::string state)>;
  void SetMigrateSink(MigrateSink sink);

  // ---- The drain's thread.

  std::string KindName(uint8_t kind) const;
  uint8_t KindOf(const Ticket& ticket) const;
  absl::Duration AgeOf(const Ticket& ticket) const;

  // A ticket that was given to Migrate(): its connection has moved, or has come back, and then the
  // ticket is as if just entered, but has been asked `level` at least, and is asked to move once
  // more only if `again`.
  void EndMoved(Ticket ticket);
  // The ticket's connection came from another process: its end is to be the client's end of file,
  // whoever holds copies of the fd. REQUIRES: just entered.
  void MarkAdopted(const Ticket& ticket);
  void Revive(const Ticket& ticket, int fd, Ask level, bool again);
  // Nobody of these kinds is asked to move any more, until somebody asks anew.
  void WithdrawMove(const Kinds& kinds);
  // Whoever of these kinds has come back, and is asked nothing, may be asked to move once more.
  void ForgetRefusals(const Kinds& kinds);

  void SetClass(uint8_t kind, uint8_t drain_class) { core_->SetClass(kind, drain_class); }
  TicketCore* core() { return core_.get(); }

  Instant Now() const { return core_->Now(); }

  // From now on tickets may be asked, new ones are born with what SetReach() says, and events wake.
  void BeginDraining();
  void SetReach(const Reaches& reaches) { core_->SetReach(reaches); }
  void EndDraining() { core_->ClearMode(TicketSlab::kDraining); }

  // From now on the next event wakes, once. What happened before this call is seen after it.
  void Arm() { core_->Arm(); }

  // How many tickets were seen alive, by class.
  using Seen = std::array<int64_t, kDrainClassesMax>;

  // Asks each ticket of one chunk of 64 what is due and it has not heard.
  int chunk_count() const { return core_->chunk_count(); }
  void AskChunk(int chunk, const Reaches& reaches, Seen* seen);

  // The same for those who are to be asked out of turn (a callback set late, a late entry): about
  // one chunk's worth. True if there are more.
  bool AskWaiting(const Reaches& reaches);

  // After a full walk with `reach` for the tickets of `drain_class`: makes the AskedFds readable
  // whose tickets have all been asked.
  void SignalAsked(uint8_t drain_class, const Reach& reach);

  // A drain of that kind is over before the service's: what was asked holds for those who heard it,
  // and for nobody who enters.
  void ForgetAsked(uint8_t kind) { core_->ForgetAsked(kind); }

 private:
  void ForEachLive(absl::FunctionRef<void(TicketSlot&)> look) const;
  void WithPinOfEach(const Kinds& kinds, absl::FunctionRef<void(TicketSlot&)> use);
  void Describe(TicketSlot* slot, std::vector<Straggler>* stragglers) const;

  explicit TicketTable(std::shared_ptr<TicketCore> core) : core_(std::move(core)) {}

  const std::shared_ptr<TicketCore> core_;
  std::deque<TicketSlot*> waiting_;  // the drain's thread
  mutable Mutex looking_mutex_;
  mutable Mutex mutex_;
  std::vector<std::string> kinds_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace zdd

#endif  // ZDD_DRAIN_TICKET_TABLE_H_
