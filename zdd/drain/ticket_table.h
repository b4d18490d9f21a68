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
#include <memory>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/strings/string_view.h"
#include "zdd/base/time.h"
#include "zdd/drain/ask.h"
#include "zdd/drain/drain_report.h"
#include "zdd/drain/reach.h"
#include "zdd/drain/ticket.h"

namespace zdd {

class TicketCore;

// Since the table was made. Exact once all threads rest.
struct TicketSums {
  int64_t entered = 0;
  std::array<int64_t, kAskCount> left = {};  // by the highest ask that each had got

  int64_t live() const;
};

// What one walk over all slots, or a part of it, saw and did.
struct WalkTally {
  int64_t total = 0;
  int64_t busy = 0;
  int64_t lost_race = 0;  // closed from outside just when bytes came in
  int64_t strangers = 0;  // the fd was another socket's: not touched
  std::array<int64_t, 256> by_kind = {};
};

class TicketTable {
 public:
  static constexpr int kChunkSlots = 64;

  // `clock` is for tests under virtual time.
  static std::shared_ptr<TicketTable> Create(Instant (*clock)() = &MonotonicNow);
  ~TicketTable();
  TicketTable(const TicketTable&) = delete;
  TicketTable& operator=(const TicketTable&) = delete;

  // The number of the kind of work called `name`, a new one the first time. Takes a lock.
  uint8_t Kind(absl::string_view name);

  // A ticket of that kind, born busy; during a drain also born with what has been asked already of
  // its like. `fd`, if any, is borrowed until the ticket ends.
  Ticket Enter(uint8_t kind, int fd = -1);

  // `wake` runs, on any thread, when the drain has something to do: someone left, or asks to be
  // asked. At most once per Arm(). It may only signal: no call back into this table. Once
  // SetWake({}) has returned no wake runs any more.
  void SetWake(absl::AnyInvocable<void()> wake);

  // Ages of tickets without an fd are as exact as this is called often: once a second will do.
  void SetClock(Instant now);

  TicketSums Sums() const;
  TicketCounts Count() const;                         // walks everything: 1 ms for 100,000
  std::vector<Straggler> Oldest(int max) const;       // walks everything

  // ---- The drain's thread.

  // The reach that late tickets are born with.
  void Publish(const Reach& reach);

  // From now on the next event wakes, once. What happened before this call is seen after it.
  void Arm();

  int chunk_count() const;

  // Asks each ticket of one chunk what is due and it has not heard.
  void AskChunk(int chunk, const Reach& reach, WalkTally* tally);

  // The same for the tickets that wanted it by themselves (a callback was set late, a late entry);
  // about one chunk's worth per call. True if there are more.
  bool AskWaiting(const Reach& reach, WalkTally* tally);

  // After a full walk with `reach`: makes the AskedFds readable whose tickets have all been asked.
  void SignalAsked(const Reach& reach);

 private:
  struct Private {};

 public:
  TicketTable(Private, Instant (*clock)());

 private:
  const std::shared_ptr<TicketCore> core_;
};

}  // namespace zdd

#endif  // ZDD_DRAIN_TICKET_TABLE_H_
