// TicketCore is what tickets and the drain share: how one enters and leaves, and the protocol by
// which the drain may use a ticket's fd and callback while its owner may end it at any moment.
//
// The pin. Who wants to use a slot's fd or callback takes its pin, then looks whether it is live,
// then uses it, then lets go. A leaving owner marks the slot free, then looks at the pin, and waits
// while it is taken. Both are sequentially consistent, so at least one sees the other. One owner
// may not wait: a callback that ends its own ticket. The drain then puts the slot back.
//
// The mode. All that is needed only while somebody may take pins, so it is done only then. The mode
// says so, and one ProcessFence at its beginning is what each Leave would need otherwise.
//
// Threads: any, but for what says "the drain's thread".
// Lifetime: see TicketSlab. A ticket's owner may use it until its Leave().
#ifndef ZDD_DRAIN_TICKET_CORE_H_
#define ZDD_DRAIN_TICKET_CORE_H_

#include <array>
#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/functional/function_ref.h"
#include "zdd/base/mutex.h"
#include "zdd/base/owned_fd.h"
#include "zdd/base/time.h"
#include "zdd/drain/ask.h"
#include "zdd/drain/reach.h"
#include "zdd/drain/ticket_slab.h"
#include "zdd/drain/ticket_tally.h"

namespace zdd {

class TicketCore : public TicketSlab {
 public:
  // AskedFds are shared by the tickets of one kind and bucket: 1/64 of all places.
  static constexpr int kBuckets = 64;

  using MigrateSink = absl::AnyInvocable<void(TicketSlot* slot, OwnedFd fd, std::string state)>;

  // `first_place`: that of slot 0.
  static std::shared_ptr<TicketCore> Create(Instant (*clock)(), uint32_t first_place);
  static uint32_t RandomPlace();

  // ---- For tickets.

  TicketSlot* Enter(uint8_t kind, int fd) {
    Magazine* mine = LastIfMine();
    if (fd >= 0 || mine == nullptr || mine->empty() || mode() != 0) return EnterSlowly(kind, fd);
    return Begin(Take(mine), kind);
  }

  void Leave(TicketSlot* slot) {
    slot->life.store(TicketFlags::kFree, std::memory_order_release);
    std::atomic_signal_fence(std::memory_order_seq_cst);  // pairs with SetMode
    const uint8_t now = mode();
    Magazine* mine = LastIfMine();
    if (now != 0 || mine == nullptr || mine->full() || IsMarked(*slot)) {
      return LeaveSlowly(slot, now);
    }
    Put(mine, slot);
    CountLeft(mine, now);
  }
  // See Ticket.
  void CountLostRace(TicketSlot* slot);
  void OnAsk(TicketSlot* slot, absl::AnyInvocable<void(Ask)> callback);
  int AskedFd(const TicketSlot* slot);
  void Migrate(TicketSlot* slot, OwnedFd fd, std::string state);

  // ---- For the drain's thread.

  void SetMigrateSink(MigrateSink sink);

  // A ticket that was given to Migrate() and has come back: live as if just entered, with nothing
  // told and at least `level`; asked once more to move by this drain only if `again`. `fd` is what
  // it has come back with: that, or a duplicate of it.
  void Revive(TicketSlot* slot, int fd, Ask level, bool again);

  // Which of the plan's classes the kind belongs to.
  void SetClass(uint8_t kind, uint8_t drain_class) {
    class_of_[kind].store(drain_class, std::memory_order_relaxed);
  }
  uint8_t ClassOf(uint8_t kind) const { return class_of_[kind].load(std::memory_order_relaxed); }
  uint8_t ClassOf(const TicketSlot& slot) const {
    return ClassOf(slot.kind.load(std::memory_order_relaxed));
  }
  int BucketOf(const TicketSlot& slot) const {
    return static_cast<int>(PlaceOf(slot) / (Reach::kAll / kBuckets));
  }

  // Where a ticket stands in the waves: an odd multiple of its slot's number, from a random start.
  // Even over any run of numbers, and the same for the life of the slot.
  uint32_t PlaceOf(const TicketSlot& slot) const {
    return slot.number * 0x9E3779B1u + first_place_;
  }

  // What tickets are born with in the mode kDraining.
  void SetReach(const Reaches& reaches);
  // Tickets of these kinds and buckets have been asked to move, so others like them are born so.
  void SetMoving(uint8_t kind, uint64_t buckets) {
    moving_[kind].store(buckets, std::memory_order_relaxed);
  }
  void SetWake(absl::AnyInvocable<void()> wake);
  void Arm();
  // All tickets of that kind in these buckets (a bit for each) have been asked.
  void SignalAsked(uint8_t kind, uint64_t buckets);
  // What they were asked counts no more: their AskedFds are unreadable again.
  void ForgetAsked(uint8_t kind);
  std::vector<TicketSlot*> TakeWaiting();

  // Takes the pin (waiting for a callback that is being replaced), runs `use` if the slot is live,
  // and lets go. REQUIRES: draining.
  void WithPin(TicketSlot* slot, absl::FunctionRef<void()> use);

  // The same, but gives up if the pin is taken: for other threads than the drain's, in the mode
  // kLooking. False: not run.
  bool TryWithPin(TicketSlot* slot, absl::FunctionRef<void()> use);

  // Within WithPin: runs the slot's callback with `ask`. REQUIRES: it has one.
  void RunCallback(TicketSlot* slot, Ask ask);

  TallyByKind& tally() { return tally_; }

  void SetCoarseTime(Instant now);
  Instant Now() const { return clock_(); }

 private:
  TicketCore(Instant (*clock)(), uint32_t first_place);

  // What a slot without a past needs to be a ticket.
  TicketSlot* Begin(TicketSlot* slot, uint8_t kind) {
    slot->kind.store(kind, std::memory_order_relaxed);
    slot->fd = -1;
    slot->entered_ns.store(coarse_ns_.load(std::memory_order_relaxed), std::memory_order_relaxed);
    // Release: who sees it live sees the fields.
    slot->life.store(TicketFlags::kLive | TicketFlags::kBusy, std::memory_order_release);
    return slot;
  }
  // Whether the slot has a past: such a one leaves slowly, and without.
  static bool IsMarked(const TicketSlot& slot) {
    return (slot.level.load(std::memory_order_relaxed) |
            slot.has_callback.load(std::memory_order_relaxed) |
            slot.adopted.load(std::memory_order_relaxed)) != 0;
  }
  TicketSlot* EnterSlowly(uint8_t kind, int fd);
  void LeaveSlowly(TicketSlot* slot, uint8_t mode);
  void PutClean(Magazine* mine, TicketSlot* slot);
  void AskAgain(TicketSlot* slot);
  void Wake();
  static void Pin(TicketSlot* slot);

  // A pin that this thread holds, and what is done meanwhile to that ticket by this very thread.
  // The first one is the innermost: a callback may drive another table's drain.
  struct PinHeld {
    TicketSlot* const slot;
    PinHeld* const outer;
    bool ended = false;
    bool replaced = false;
    absl::AnyInvocable<void(Ask)> replacement = nullptr;
  };
  static PinHeld* FindHeld(const TicketSlot* slot);
  static constinit thread_local PinHeld* held_;

  // Read by all, seldom written.
  alignas(64) Instant (*const clock_)();
  const uint32_t first_place_;
  std::atomic<int64_t> coarse_ns_;
  struct BornWith {
    std::atomic<uint64_t> goodbye{0};  // of the published reach
    std::atomic<uint64_t> cut{0};
  };
  std::array<BornWith, kDrainClassesMax> born_with_;
  std::array<std::atomic<uint8_t>, kKindsMax> class_of_ = {};
  std::array<std::atomic<uint64_t>, kKindsMax> moving_ = {};

  TallyByKind tally_;

  // True: the next event wakes. Both sides exchange it, so that whoever finds it false has written
  // what the drain will read after setting it.
  alignas(64) std::atomic<bool> armed_{false};
  Mutex wake_mutex_;
  absl::AnyInvocable<void()> wake_ ABSL_GUARDED_BY(wake_mutex_);

  Mutex asking_mutex_;
  std::vector<TicketSlot*> waiting_ ABSL_GUARDED_BY(asking_mutex_);
  std::map<int, OwnedFd> asked_fds_ ABSL_GUARDED_BY(asking_mutex_);  // by kind and bucket
  std::array<uint64_t, kKindsMax> signalled_ ABSL_GUARDED_BY(asking_mutex_) = {};  // buckets

  Mutex sink_mutex_;
  MigrateSink sink_ ABSL_GUARDED_BY(sink_mutex_);
};

}  // namespace zdd

#endif  // ZDD_DRAIN_TICKET_CORE_H_
