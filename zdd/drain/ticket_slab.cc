#include "zdd/drain/ticket_slab.h"

#include <pthread.h>

#include <algorithm>
#include <thread>
#include <utility>

#include "zdd/drain/process_fence.h"

namespace zdd {

constinit thread_local TicketSlab::Magazine* TicketSlab::last_magazine_ = nullptr;
constinit thread_local TicketSlab::HeldList* TicketSlab::held_list_ = nullptr;

// What one thread holds of one slab.
struct TicketSlab::Held {
  std::shared_ptr<TicketSlab> slab;
  Magazine* magazine;
};

TicketSlab::TicketSlab() {
  if (!RegisterProcessFence()) mode_.store(kFenced, std::memory_order_relaxed);
}

TicketSlab::~TicketSlab() = default;

// ---- Magazines

TicketSlab::Magazine* TicketSlab::FindMine() {
  if (held_list_ == nullptr) {
    held_list_ = new HeldList;
    ReturnAtThreadExit(held_list_);
  }
  HeldList& held = *held_list_;
  // Slabs whose last ticket has gone are let go of on the way.
  last_magazine_ = nullptr;
  held.erase(std::remove_if(held.begin(), held.end(),
                            [this](const Held& one) {
                              if (one.slab.get() == this) return false;
                              MutexLock lock(&one.slab->mutex_);
                              return one.slab->freed_;
                            }),
             held.end());
  auto mine = std::find_if(held.begin(), held.end(),
                           [this](const Held& one) { return one.slab.get() == this; });
  if (mine == held.end()) mine = held.insert(mine, Held{shared_from_this(), Claim()});
  return last_magazine_ = mine->magazine;
}

// A key's destructor, and not one of a thread_local object: it runs after all of those, which may
// still end tickets, and again if another key's destructor does.
void TicketSlab::ReturnAtThreadExit(HeldList* held) {
  static const int key = [] {
    pthread_key_t created;
    return pthread_key_create(&created, &ReturnAll) == 0 ? static_cast<int>(created) : -1;
  }();
  // Without a key (there are 1,024 in a process) ending threads keep their magazines: a leak of
  // some 60 free slots each, and nothing worse.
  if (key >= 0) pthread_setspecific(static_cast<pthread_key_t>(key), held);
}

void TicketSlab::ReturnAll(void* held_list) {
  std::unique_ptr<HeldList> held(static_cast<HeldList*>(held_list));
  held_list_ = nullptr;
  last_magazine_ = nullptr;
  for (Held& one : *held) one.slab->Return(one.magazine);
}

TicketSlab::Magazine* TicketSlab::Claim() {
  MutexLock lock(&mutex_);
  if (!unclaimed_.empty()) {
    Magazine* magazine = unclaimed_.back();
    unclaimed_.pop_back();
    return magazine;
  }
  magazines_.push_back(std::make_unique<Magazine>(this));
  return magazines_.back().get();
}

void TicketSlab::Return(Magazine* magazine) {
  MutexLock lock(&mutex_);
  if (freed_) return;
  while (!magazine->empty()) ToDepot(magazine->Take());
  unclaimed_.push_back(magazine);
}

// ---- Slots

TicketSlot* TicketSlab::Refill(Magazine* mine) {
  MutexLock lock(&mutex_);
  if (depot_ == nullptr) AddChunk(mine);
  while (depot_ != nullptr && mine->count() < kDepotBatch) {
    mine->Put(depot_);
    depot_ = depot_->next_free;
  }
  return mine->Take();
}

void TicketSlab::AddChunk(Magazine* mine) {
  const uint32_t first = static_cast<uint32_t>(chunks_.size()) * kChunkSlots;
  chunks_.push_back(std::make_unique<Chunk>());
  for (uint32_t i = 0; i < kChunkSlots; ++i) {
    TicketSlot* slot = &chunks_.back()->slots[i];
    slot->number = first + i;
    mine->Put(slot);
  }
}

void TicketSlab::ToDepot(TicketSlot* slot) {
  slot->next_free = depot_;
  depot_ = slot;
}

void TicketSlab::Spill(Magazine* mine) {
  MutexLock lock(&mutex_);
  for (int i = 0; i < kDepotBatch; ++i) ToDepot(mine->Take());
}

int TicketSlab::chunk_count() const {
  MutexLock lock(&mutex_);
  return static_cast<int>(chunks_.size());
}

TicketSlot* TicketSlab::chunk(int i) const {
  MutexLock lock(&mutex_);
  return chunks_[static_cast<size_t>(i)]->slots;
}

// ---- Counting and the end

TicketSums TicketSlab::Sums() const {
  MutexLock lock(&mutex_);
  return SumsLocked();
}

// Who has left is summed before who has entered: a ticket that left on one thread and had entered
// on another is then counted as entered too, so that "nobody is left" is never said too early.
TicketSums TicketSlab::SumsLocked() const {
  TicketSums sums;
  for (const auto& magazine : magazines_) {
    sums.left += magazine->left.load(std::memory_order_acquire);
  }
  for (const auto& magazine : magazines_) {
    sums.entered += magazine->entered.load(std::memory_order_acquire);
  }
  return sums;
}

void TicketSlab::SetMode(Mode mode) {
  const uint8_t before = mode_.fetch_or(mode, std::memory_order_seq_cst);
  if ((before & kFenced) == 0) ProcessFence();
}

// A leaving owner marks its slot free, looks at the mode, puts the slot back and counts: the last
// thing it does here. Close() sets the mode, sums the counts and looks for live slots. So an owner
// whose slot is seen live will see the mode, and free everything if it is the last. One that did
// not see the mode is counted as live but has no live slot: it is within a few instructions of
// counting, and is waited for.
void TicketSlab::Close() {
  SetMode(kClosed);
  for (;;) {
    {
      MutexLock lock(&mutex_);
      if (freed_) return;
      const int64_t counted = SumsLocked().live();
      if (counted == 0) return FreeSlots();
      if (counted == LiveSlots()) return;
    }
    std::this_thread::yield();
  }
}

int64_t TicketSlab::LiveSlots() const {
  int64_t live = 0;
  for (const auto& chunk : chunks_) {
    for (const TicketSlot& slot : chunk->slots) {
      if (slot.life.load(std::memory_order_seq_cst) != TicketFlags::kFree) ++live;
    }
  }
  return live;
}

void TicketSlab::CountLeftOfClosed(Magazine* mine) {
  MutexLock lock(&mutex_);
  Increment(&mine->left);
  if (SumsLocked().live() == 0 && !freed_) FreeSlots();
}

// Nobody is inside: all have been counted as left, which is the last thing that they do here. The
// caller holds a reference of its own, so that `self_` is not the last one.
void TicketSlab::FreeSlots() {
  for (const auto& magazine : magazines_) magazine->taken = magazine->put;
  depot_ = nullptr;
  chunks_.clear();
  freed_ = true;
  self_.reset();
}

}  // namespace zdd
