#include "zdd/drain/ticket_core.h"

#include <sys/eventfd.h>
#include <sys/random.h>

#include <algorithm>
#include <thread>
#include <utility>

#include "zdd/drain/tracked_socket.h"

namespace zdd {
namespace {

constexpr int kSpins = 100;

// Waits for the drain, which holds a pin for one system call or one callback.
void WaitWhile(const std::atomic<uint8_t>& pin) {
  for (int i = 0; pin.load(std::memory_order_seq_cst) != 0; ++i) {
    if (i >= kSpins) std::this_thread::yield();
  }
}

}  // namespace

constinit thread_local TicketCore::PinHeld* TicketCore::held_ = nullptr;

TicketCore::TicketCore(Instant (*clock)(), uint32_t first_place)
    : clock_(clock), first_place_(first_place), coarse_ns_(absl::ToInt64Nanoseconds(clock())) {}

std::shared_ptr<TicketCore> TicketCore::Create(Instant (*clock)(), uint32_t first_place) {
  std::shared_ptr<TicketCore> core(new TicketCore(clock, first_place));
  core->KeepAlive();
  return core;
}

uint32_t TicketCore::RandomPlace() {
  uint32_t place = 0;
  if (getrandom(&place, sizeof(place), GRND_NONBLOCK) != sizeof(place)) {
    place = static_cast<uint32_t>(absl::ToInt64Nanoseconds(MonotonicNow()));
  }
  return place;
}

// ---- Entering and leaving

TicketSlot* TicketCore::EnterSlowly(uint8_t kind, int fd) {
  TicketSlot* slot = Take(Mine());
  const bool draining = (mode() & kDraining) != 0;
  if (fd < 0 && !draining) return Begin(slot, kind);

  slot->kind.store(kind, std::memory_order_relaxed);
  slot->fd = fd;
  slot->cookie = fd >= 0 ? SocketCookie(fd) : 0;
  slot->entered_ns.store(absl::ToInt64Nanoseconds(clock_()), std::memory_order_relaxed);
  Ask due = Ask::kNone;
  if (draining) {
    // A wave may pass this place between the look at it and the birth: then the next pass asks.
    const BornWith& born_with = born_with_[class_of_[kind].load(std::memory_order_relaxed)];
    Reach reach;
    reach.goodbye = born_with.goodbye.load(std::memory_order_relaxed);
    reach.cut = born_with.cut.load(std::memory_order_relaxed);
    due = Due(reach, PlaceOf(*slot), /*busy=*/true, absl::InfiniteDuration());
    const uint64_t moving = moving_[kind].load(std::memory_order_relaxed);
    if ((moving >> BucketOf(*slot) & 1) != 0) due = std::max(due, Ask::kMigrate);
  }
  slot->level.store(static_cast<uint8_t>(due), std::memory_order_relaxed);
  slot->life.store(TicketFlags::kLive | TicketFlags::kBusy, std::memory_order_release);
  if (due == Ask::kCloseNow) AskAgain(slot);
  return slot;
}

void TicketCore::LeaveSlowly(TicketSlot* slot, uint8_t mode) {
  absl::AnyInvocable<void(Ask)> callback;  // dies last: what it holds may be anything
  Magazine* mine = Mine();
  PinHeld* held = FindHeld(slot);
  if (held == nullptr) {
    slot->life.exchange(TicketFlags::kFree, std::memory_order_seq_cst);  // the fence before the pin
    WaitWhile(slot->pin);
  }
  const uint8_t level = slot->level.load(std::memory_order_relaxed);
  const uint8_t kind = slot->kind.load(std::memory_order_relaxed);
  // A copy of the fd that the other process has not closed yet, or never will since it is frozen,
  // would hold back the end of file which our close() means.
  if (slot->adopted.load(std::memory_order_relaxed) != 0) HalfClose(slot->fd, slot->cookie);
  if (held == nullptr) {
    callback = std::exchange(slot->callback, nullptr);
    PutClean(mine, slot);
  } else {
    held->ended = true;
  }
  if ((mode & kDraining) != 0) tally_.Left(kind, level);
  CountLeft(mine, mode);
  if ((mode & kDraining) != 0) Wake();  // `this` lives: the thread's magazine holds it
}

void TicketCore::PutClean(Magazine* mine, TicketSlot* slot) {
  slot->level.store(0, std::memory_order_relaxed);
  slot->told.store(0, std::memory_order_relaxed);
  slot->done.store(0, std::memory_order_relaxed);
  slot->has_callback.store(0, std::memory_order_relaxed);
  slot->adopted.store(0, std::memory_order_relaxed);
  Put(mine, slot);
}

void TicketCore::CountLostRace(TicketSlot* slot) {
  const auto level = static_cast<Ask>(slot->level.load(std::memory_order_relaxed));
  if (level != Ask::kCloseWhenIdle) return;
  tally_.LostRace(slot->kind.load(std::memory_order_relaxed));
}

// ---- Moving

// The drain may be using the fd, or running the callback: as in Leave() we wait for it, and then
// nobody touches them any more.
void TicketCore::Migrate(TicketSlot* slot, OwnedFd fd, std::string state) {
  absl::AnyInvocable<void(Ask)> callback;  // dies last: what it holds may be anything
  if (PinHeld* held = FindHeld(slot); held != nullptr) {
    slot->life.store(TicketFlags::kLive | TicketFlags::kMoving, std::memory_order_seq_cst);
    held->replacement = nullptr;
    held->replaced = true;
  } else {
    slot->life.exchange(TicketFlags::kLive | TicketFlags::kMoving, std::memory_order_seq_cst);
    WaitWhile(slot->pin);
    callback = std::exchange(slot->callback, nullptr);
    slot->has_callback.store(0, std::memory_order_relaxed);
  }
  {
    MutexLock lock(&sink_mutex_);
    if (sink_) return sink_(slot, std::move(fd), std::move(state));
  }
  Leave(slot);  // the service is gone: nobody could bring it back
}

void TicketCore::SetMigrateSink(MigrateSink sink) {
  MutexLock lock(&sink_mutex_);
  std::swap(sink_, sink);
}

// `done` keeps that it is not to be asked again.
void TicketCore::Revive(TicketSlot* slot, int fd, Ask level, bool again) {
  tally_.CameBack(slot->kind.load(std::memory_order_relaxed));
  WithPin(slot, [&] { slot->fd = fd; });  // it may be looked at
  const auto old = static_cast<Ask>(slot->level.load(std::memory_order_relaxed));
  if (old >= Ask::kGoodbye) level = std::max(level, old);
  slot->level.store(static_cast<uint8_t>(level), std::memory_order_relaxed);
  slot->told.store(0, std::memory_order_relaxed);
  const Ask done = again ? Ask::kNone : Ask::kMigrate;
  slot->done.store(static_cast<uint8_t>(done), std::memory_order_relaxed);
  slot->life.store(TicketFlags::kLive | TicketFlags::kBusy, std::memory_order_release);
}

// ---- Pins and callbacks

void TicketCore::Pin(TicketSlot* slot) {
  for (int i = 0;; ++i) {
    uint8_t free = 0;
    if (slot->pin.compare_exchange_strong(free, 1, std::memory_order_seq_cst)) return;
    if (i >= kSpins) std::this_thread::yield();
  }
}

TicketCore::PinHeld* TicketCore::FindHeld(const TicketSlot* slot) {
  PinHeld* held = held_;
  while (held != nullptr && held->slot != slot) held = held->outer;
  return held;
}

void TicketCore::WithPin(TicketSlot* slot, absl::FunctionRef<void()> use) {
  Pin(slot);
  PinHeld held = {slot, held_};
  held_ = &held;
  if (slot->life.load(std::memory_order_seq_cst) != TicketFlags::kFree) use();
  held_ = held.outer;
  slot->pin.store(0, std::memory_order_release);
  if (held.ended) PutClean(Mine(), slot);
}

bool TicketCore::TryWithPin(TicketSlot* slot, absl::FunctionRef<void()> use) {
  uint8_t free = 0;
  if (!slot->pin.compare_exchange_strong(free, 1, std::memory_order_seq_cst)) return false;
  if (slot->life.load(std::memory_order_seq_cst) != TicketFlags::kFree) use();
  slot->pin.store(0, std::memory_order_release);
  return true;
}

// The callback may replace itself and end its ticket; so may what it holds, when it is destroyed.
// Both are carried out here, when it has returned.
void TicketCore::RunCallback(TicketSlot* slot, Ask ask) {
  PinHeld* held = FindHeld(slot);
  slot->callback(ask);
  while (held->replaced && !held->ended) {
    held->replaced = false;
    std::swap(slot->callback, held->replacement);
    held->replacement = nullptr;
  }
  if (held->ended) slot->callback = nullptr;
  slot->has_callback.store(slot->callback != nullptr ? 1 : 0, std::memory_order_relaxed);
}

void TicketCore::OnAsk(TicketSlot* slot, absl::AnyInvocable<void(Ask)> callback) {
  uint8_t told = 0;
  if (PinHeld* held = FindHeld(slot); held != nullptr) {
    std::swap(held->replacement, callback);
    held->replaced = true;
    told = slot->told.load(std::memory_order_relaxed);
  } else {
    Pin(slot);
    std::swap(slot->callback, callback);
    slot->has_callback.store(slot->callback != nullptr ? 1 : 0, std::memory_order_relaxed);
    told = slot->told.load(std::memory_order_relaxed);
    slot->pin.store(0, std::memory_order_release);
  }
  // The drain raises the level, then looks for a callback, both under the pin: it saw this one, or
  // we see its level.
  if (slot->level.load(std::memory_order_relaxed) > told) AskAgain(slot);
}

// ---- Waking

void TicketCore::AskAgain(TicketSlot* slot) {
  if ((mode() & kDraining) == 0) return;
  {
    MutexLock lock(&asking_mutex_);
    waiting_.push_back(slot);
  }
  Wake();
}

// The exchange is also the full fence that uv_async_send needs before it: that begins with a plain
// read of its own flag, which could otherwise overtake what we wrote for the drain.
void TicketCore::Wake() {
  if (!armed_.exchange(false, std::memory_order_seq_cst)) return;
  MutexLock lock(&wake_mutex_);
  if (wake_) wake_();
}

void TicketCore::SetWake(absl::AnyInvocable<void()> wake) {
  MutexLock lock(&wake_mutex_);
  std::swap(wake_, wake);  // the old one dies with the argument, after the lock
}

void TicketCore::Arm() { armed_.exchange(true, std::memory_order_seq_cst); }

std::vector<TicketSlot*> TicketCore::TakeWaiting() {
  MutexLock lock(&asking_mutex_);
  return std::exchange(waiting_, {});
}

void TicketCore::SetReach(const Reaches& reaches) {
  for (int i = 0; i < kDrainClassesMax; ++i) {
    born_with_[i].goodbye.store(reaches[i].goodbye, std::memory_order_relaxed);
    born_with_[i].cut.store(reaches[i].cut, std::memory_order_relaxed);
  }
}

void TicketCore::SetCoarseTime(Instant now) {
  coarse_ns_.store(absl::ToInt64Nanoseconds(now), std::memory_order_relaxed);
}

// ---- AskedFds

int TicketCore::AskedFd(const TicketSlot* slot) {
  const uint8_t kind = slot->kind.load(std::memory_order_relaxed);
  const int bucket = BucketOf(*slot);
  MutexLock lock(&asking_mutex_);
  OwnedFd& fd = asked_fds_[kind * kBuckets + bucket];
  const bool signalled = (signalled_[kind] >> bucket & 1) != 0;
  if (!fd.valid()) fd = OwnedFd(eventfd(signalled ? 1 : 0, EFD_CLOEXEC | EFD_NONBLOCK));
  return fd.get();
}

// Bucket by bucket, each when all its tickets have been asked: nobody is woken for nothing, or
// would find his eventfd readable long before he is asked.
void TicketCore::SignalAsked(uint8_t kind, uint64_t buckets) {
  MutexLock lock(&asking_mutex_);
  const uint64_t fresh = buckets & ~signalled_[kind];
  if (fresh == 0) return;
  signalled_[kind] |= fresh;
  for (int i = 0; i < kBuckets; ++i) {
    if ((fresh >> i & 1) == 0) continue;
    auto fd = asked_fds_.find(kind * kBuckets + i);
    if (fd != asked_fds_.end() && fd->second.valid()) eventfd_write(fd->second.get(), 1);
  }
}

// The same eventfds, since tickets that live on poll them.
void TicketCore::ForgetAsked(uint8_t kind) {
  MutexLock lock(&asking_mutex_);
  signalled_[kind] = 0;
  for (int i = 0; i < kBuckets; ++i) {
    eventfd_t signalled;
    auto fd = asked_fds_.find(kind * kBuckets + i);
    if (fd != asked_fds_.end() && fd->second.valid()) eventfd_read(fd->second.get(), &signalled);
  }
}

}  // namespace zdd
