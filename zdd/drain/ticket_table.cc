#include "zdd/drain/ticket_table.h"

#include <algorithm>
#include <array>
#include <utility>

#include "zdd/drain/tracked_socket.h"

namespace zdd {
namespace {

constexpr int kSlots = TicketSlab::kChunkSlots;

}  // namespace

std::shared_ptr<TicketTable> TicketTable::Create(Instant (*clock)(), uint32_t first_place) {
  return std::shared_ptr<TicketTable>(new TicketTable(TicketCore::Create(clock, first_place)));
}

TicketTable::~TicketTable() {
  core_->SetWake({});
  core_->Close();
}

uint8_t TicketTable::Kind(absl::string_view name) {
  MutexLock lock(&mutex_);
  auto kind = std::find(kinds_.begin(), kinds_.end(), name);
  if (kind == kinds_.end() && kinds_.size() < kKindsMax) {
    const bool last = kinds_.size() == kKindsMax - 1;
    kinds_.emplace_back(last ? absl::string_view("other") : name);
    return static_cast<uint8_t>(kinds_.size() - 1);
  }
  return static_cast<uint8_t>(std::min<size_t>(kind - kinds_.begin(), kKindsMax - 1));
}

// ---- Looking

void TicketTable::ForEachLive(absl::FunctionRef<void(TicketSlot&)> look) const {
  const int chunks = core_->chunk_count();
  for (int i = 0; i < chunks; ++i) {
    TicketSlot* slots = core_->chunk(i);
    for (int j = 0; j < kSlots; ++j) {
      if (slots[j].life.load(std::memory_order_acquire) != TicketFlags::kFree) look(slots[j]);
    }
  }
}

TicketCounts TicketTable::Count(const Kinds& kinds) const {
  std::array<KindCounts, kKindsMax> by_kind = {};
  ForEachLive([&](const TicketSlot& slot) {
    KindCounts& its = by_kind[slot.kind.load(std::memory_order_relaxed)];
    const bool busy = (slot.life.load(std::memory_order_relaxed) & TicketFlags::kBusy) != 0;
    ++its.total;
    ++(busy ? its.busy : its.idle);
  });
  TicketCounts counts;
  MutexLock lock(&mutex_);
  for (size_t i = 0; i < kKindsMax; ++i) {
    if (by_kind[i].total == 0 || !kinds[i]) continue;
    counts.total += by_kind[i].total;
    counts.busy += by_kind[i].busy;
    counts.idle += by_kind[i].idle;
    if (i < kinds_.size()) counts.by_kind[kinds_[i]] = by_kind[i];
  }
  return counts;
}

std::vector<Straggler> TicketTable::Oldest(int count_max, const Kinds& kinds) const {
  struct Found {
    int64_t entered_ns;
    TicketSlot* slot;
    bool operator<(const Found& other) const { return entered_ns < other.entered_ns; }
  };
  std::vector<Found> oldest;  // a heap: the youngest of them in front
  ForEachLive([&](TicketSlot& slot) {
    if (!kinds[slot.kind.load(std::memory_order_relaxed)]) return;
    oldest.push_back({slot.entered_ns.load(std::memory_order_relaxed), &slot});
    std::push_heap(oldest.begin(), oldest.end());
    if (oldest.size() <= static_cast<size_t>(count_max)) return;
    std::pop_heap(oldest.begin(), oldest.end());
    oldest.pop_back();
  });
  std::sort_heap(oldest.begin(), oldest.end());
  std::vector<Straggler> stragglers;
  MutexLock lock(&looking_mutex_);
  core_->SetMode(TicketSlab::kLooking);
  for (const Found& found : oldest) Describe(found.slot, &stragglers);
  core_->ClearMode(TicketSlab::kLooking);
  return stragglers;
}

// Appends it, unless it has gone meanwhile. Its peer is left out while it is being asked.
void TicketTable::Describe(TicketSlot* slot, std::vector<Straggler>* stragglers) const {
  Straggler straggler;
  core_->TryWithPin(slot, [&] {
    if (slot->fd >= 0) straggler.peer = PeerOf(slot->fd, slot->cookie);
  });
  straggler.age = Now() - absl::Nanoseconds(slot->entered_ns.load(std::memory_order_relaxed));
  const uint8_t kind = slot->kind.load(std::memory_order_relaxed);
  const uint8_t life = slot->life.load(std::memory_order_acquire);
  if (life == TicketFlags::kFree) return;
  straggler.busy = (life & TicketFlags::kBusy) != 0;
  straggler.kind = KindName(kind);
  stragglers->push_back(std::move(straggler));
}

// ---- Asking

void TicketTable::BeginDraining() {
  core_->SetReach(Reaches());
  core_->SetMode(TicketSlab::kDraining);
}

void TicketTable::AskChunk(int chunk, const Reaches& reaches, Seen* seen) {
  TicketSlot* slots = core_->chunk(chunk);
  for (int i = 0; i < kSlots; ++i) {
    const uint8_t life = slots[i].life.load(std::memory_order_acquire);
    if (life == TicketFlags::kFree) continue;
    ++(*seen)[core_->ClassOf(slots[i])];
    AskIfDue(core_.get(), &slots[i], reaches[core_->ClassOf(slots[i])]);
  }
}

bool TicketTable::AskWaiting(const Reaches& reaches) {
  const std::vector<TicketSlot*> more = core_->TakeWaiting();
  waiting_.insert(waiting_.end(), more.begin(), more.end());
  for (int i = 0; i < kSlots && !waiting_.empty(); ++i) {
    TicketSlot* slot = waiting_.front();
    waiting_.pop_front();
    AskIfDue(core_.get(), slot, reaches[core_->ClassOf(*slot)]);
  }
  return !waiting_.empty();
}

void TicketTable::SignalAsked(uint8_t drain_class, const Reach& reach) {
  constexpr uint64_t kBuckets = TicketCore::kBuckets;
  const uint64_t buckets = std::max(reach.goodbye, reach.cut) / (Reach::kAll / kBuckets);
  if (buckets == 0) return;
  const uint64_t mask = buckets >= kBuckets ? ~uint64_t{0} : (uint64_t{1} << buckets) - 1;
  size_t kinds;
  {
    MutexLock lock(&mutex_);
    kinds = kinds_.size();
  }
  for (size_t kind = 0; kind < kinds; ++kind) {
    if (core_->ClassOf(static_cast<uint8_t>(kind)) != drain_class) continue;
    core_->SignalAsked(static_cast<uint8_t>(kind), mask);
  }
}

// ---- Moving

void TicketTable::SetMigrateSink(MigrateSink sink) {
  if (!sink) return core_->SetMigrateSink(nullptr);
  core_->SetMigrateSink([core = core_.get(), sink = std::move(sink)](TicketSlot* slot, OwnedFd fd,
                                                                     std::string state) mutable {
    sink(Ticket(core, slot), std::move(fd), std::move(state));
  });
}

std::string TicketTable::KindName(uint8_t kind) const {
  MutexLock lock(&mutex_);
  return kind < kinds_.size() ? kinds_[kind] : "";
}

uint8_t TicketTable::KindOf(const Ticket& ticket) const {
  return static_cast<TicketSlot*>(ticket.flags_)->kind.load(std::memory_order_relaxed);
}

absl::Duration TicketTable::AgeOf(const Ticket& ticket) const {
  const auto* slot = static_cast<TicketSlot*>(ticket.flags_);
  return Now() - absl::Nanoseconds(slot->entered_ns.load(std::memory_order_relaxed));
}

void TicketTable::EndMoved(Ticket ticket) {
  core_->tally().Moved(KindOf(ticket));
  auto* slot = static_cast<TicketSlot*>(ticket.flags_);
  slot->level.store(static_cast<uint8_t>(Ask::kMigrate), std::memory_order_relaxed);
  slot->adopted.store(0, std::memory_order_relaxed);  // it goes on elsewhere
  ticket.Reset();
}

void TicketTable::MarkAdopted(const Ticket& ticket) {
  static_cast<TicketSlot*>(ticket.flags_)->adopted.store(1, std::memory_order_relaxed);
}

void TicketTable::WithPinOfEach(const Kinds& kinds, absl::FunctionRef<void(TicketSlot&)> use) {
  ForEachLive([&](TicketSlot& slot) {
    if (!kinds[slot.kind.load(std::memory_order_relaxed)]) return;
    core_->WithPin(&slot, [&] {
      if (kinds[slot.kind.load(std::memory_order_relaxed)]) use(slot);
    });
  });
}

void TicketTable::WithdrawMove(const Kinds& kinds) {
  constexpr uint8_t kMove = static_cast<uint8_t>(Ask::kMigrate);
  WithPinOfEach(kinds, [](TicketSlot& slot) {
    for (std::atomic<uint8_t>* mark : {&slot.level, &slot.told, &slot.done}) {
      if (mark->load(std::memory_order_relaxed) == kMove) mark->store(0, std::memory_order_relaxed);
    }
  });
  for (int kind = 0; kind < kKindsMax; ++kind) {
    if (kinds[kind]) core_->ForgetAsked(static_cast<uint8_t>(kind));
  }
}

void TicketTable::ForgetRefusals(const Kinds& kinds) {
  WithPinOfEach(kinds, [](TicketSlot& slot) {
    if (slot.level.load(std::memory_order_relaxed) == 0) {
      slot.done.store(0, std::memory_order_relaxed);
    }
  });
}

void TicketTable::Revive(const Ticket& ticket, int fd, Ask level, bool again) {
  core_->Revive(static_cast<TicketSlot*>(ticket.flags_), fd, level, again);
}

}  // namespace zdd
