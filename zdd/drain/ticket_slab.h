// TicketSlab is the memory of tickets: slots of one cache line each, of which every thread keeps
// some at hand in a magazine, so that taking one and putting it back touches nothing shared.
//
// Slots come in chunks of 64. What a thread has too much of, or lacks, goes through a depot, 32 at
// a time. A thread claims a magazine at its first use of a slab and returns it when it ends; the
// magazine keeps its counts, and the next thread goes on counting there: no sum is ever folded.
//
// Threads: any; what a magazine holds is its thread's.
// Lifetime: shared. The slots die at Close(), or with the last ticket if that is later; this object
// when, besides, no thread keeps a magazine of it.
#ifndef ZDD_DRAIN_TICKET_SLAB_H_
#define ZDD_DRAIN_TICKET_SLAB_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "zdd/base/mutex.h"
#include "zdd/drain/ask.h"
#include "zdd/drain/ticket_flags.h"

namespace zdd {

// Written by the owner while the slot is not live; after that `told`, `done`, `has_callback` and
// `callback` belong to whoever holds the pin. Atomic (and relaxed) where a walk reads without it.
struct alignas(64) TicketSlot : TicketFlags {
  std::atomic<uint8_t> kind{0};
  std::atomic<uint8_t> told{0};  // the highest Ask that a callback heard
  std::atomic<uint8_t> done{0};  // the highest Ask that was done from outside
  std::atomic<uint8_t> has_callback{0};
  // The connection came from another process, which may still hold a copy of the fd.
  std::atomic<uint8_t> adopted{0};
  int fd = -1;
  uint32_t number = 0;                 // for ever
  std::atomic<int64_t> entered_ns{0};  // an Instant
  union {
    uint64_t cookie = 0;    // while live: of the socket `fd`; 0 if it is none
    TicketSlot* next_free;  // while in the depot
  };
  absl::AnyInvocable<void(Ask)> callback;
};
static_assert(sizeof(TicketSlot) == 64);

// Since the slab was made. Exact once all threads rest.
struct TicketSums {
  int64_t entered = 0;
  int64_t left = 0;

  int64_t live() const { return entered - left; }
};

class TicketSlab : public std::enable_shared_from_this<TicketSlab> {
 public:
  static constexpr int kChunkSlots = 64;
  static constexpr int kMagazineSlots = 64;
  static constexpr int kDepotBatch = 32;

  struct alignas(64) Magazine {
    explicit Magazine(TicketSlab* slab) : slab(slab) {}
    TicketSlab* const slab;
    // Counted by this thread alone, with release; read by Sums() with acquire.
    std::atomic<int64_t> entered{0};
    std::atomic<int64_t> left{0};
    // A ring, not a stack: taking and putting touch different words, so that neither waits for what
    // the other has just written.
    uint32_t taken = 0;
    uint32_t put = 0;
    TicketSlot* slots[kMagazineSlots];

    bool empty() const { return put == taken; }
    bool full() const { return put - taken == kMagazineSlots; }
    int count() const { return static_cast<int>(put - taken); }
    TicketSlot* Take() { return slots[taken++ % kMagazineSlots]; }
    void Put(TicketSlot* slot) { slots[put++ % kMagazineSlots] = slot; }
  };

  // Why a ticket may not just be marked free, counted and forgotten.
  enum Mode : uint8_t {
    kFenced = 1,    // there is no ProcessFence
    kDraining = 2,  // the drain may be using its fd or callback
    kLooking = 4,   // so may somebody else
    kClosed = 8,    // the last one frees the slots
  };

  TicketSlab();
  virtual ~TicketSlab();
  TicketSlab(const TicketSlab&) = delete;
  TicketSlab& operator=(const TicketSlab&) = delete;

  // This thread's magazine.
  Magazine* Mine() {
    Magazine* last = LastIfMine();
    return last != nullptr ? last : FindMine();
  }
  // The same if this thread used this slab last, else null: for hot paths.
  Magazine* LastIfMine() {
    Magazine* last = last_magazine_;
    return last != nullptr && last->slab == this ? last : nullptr;
  }

  // A slot for a new ticket, which is counted as entered.
  TicketSlot* Take(Magazine* mine) {
    Increment(&mine->entered);
    return mine->empty() ? Refill(mine) : mine->Take();
  }

  // The slot of a ticket that has ended.
  void Put(Magazine* mine, TicketSlot* slot) {
    if (mine->full()) Spill(mine);
    mine->Put(slot);
  }

  // Counts a ticket as left. In the mode kClosed the slots may be gone when it returns: nothing of
  // them may be touched after it.
  void CountLeft(Magazine* mine, uint8_t mode) {
    if ((mode & kClosed) != 0) return CountLeftOfClosed(mine);
    Increment(&mine->left);
  }

  // To be read after the slot was marked free. Without an order of its own: what pairs with SetMode
  // is its ProcessFence.
  uint8_t mode() const { return mode_.load(std::memory_order_relaxed); }

  // When SetMode returns, each thread that marks a slot free sees the mode after that; and each
  // slot that was marked free by one that did not see it, is seen free.
  void SetMode(Mode mode);
  void ClearMode(Mode mode) { mode_.fetch_and(static_cast<uint8_t>(~mode)); }

  TicketSums Sums() const;

  int chunk_count() const;
  TicketSlot* chunk(int i) const;  // kChunkSlots of them. REQUIRES: i < chunk_count(), not closed

  // No ticket enters any more. From now on the last one to leave frees the slots; this call does if
  // none is left.
  void Close();

 protected:
  // Keeps this object until the slots are freed. Called once, by who made it.
  void KeepAlive() {
    MutexLock lock(&mutex_);
    self_ = shared_from_this();
  }

 private:
  struct Chunk {
    TicketSlot slots[kChunkSlots];
  };
  struct Held;
  using HeldList = std::vector<Held>;

  static void Increment(std::atomic<int64_t>* count) {
    count->store(count->load(std::memory_order_relaxed) + 1, std::memory_order_release);
  }

  Magazine* FindMine();
  Magazine* Claim();
  void Return(Magazine* magazine);
  static void ReturnAll(void* held_list);
  static void ReturnAtThreadExit(HeldList* held);

  TicketSlot* Refill(Magazine* mine);
  void AddChunk(Magazine* mine) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Spill(Magazine* mine);
  void ToDepot(TicketSlot* slot) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void CountLeftOfClosed(Magazine* mine);
  int64_t LiveSlots() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  TicketSums SumsLocked() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void FreeSlots() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  // The magazine that this thread used last, of any slab. Initial-exec: one load, in a shared
  // library too.
  static constinit thread_local Magazine* last_magazine_ __attribute__((tls_model("initial-exec")));
  static constinit thread_local HeldList* held_list_;

  std::atomic<uint8_t> mode_{0};

  alignas(64) mutable Mutex mutex_;
  std::vector<std::unique_ptr<Chunk>> chunks_ ABSL_GUARDED_BY(mutex_);
  TicketSlot* depot_ ABSL_GUARDED_BY(mutex_) = nullptr;  // linked through the slots themselves
  std::vector<std::unique_ptr<Magazine>> magazines_ ABSL_GUARDED_BY(mutex_);  // all there ever were
  std::vector<Magazine*> unclaimed_ ABSL_GUARDED_BY(mutex_);
  bool freed_ ABSL_GUARDED_BY(mutex_) = false;
  std::shared_ptr<TicketSlab> self_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace zdd

#endif  // ZDD_DRAIN_TICKET_SLAB_H_
